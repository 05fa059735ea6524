"""The live lab and the sweep explorer, driven without a browser."""

import datetime
import gc
import io
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from stylelab import (
    PRESETS,
    InputError,
    LiveLab,
    Painter,
    Result,
    SweepExplorer,
    Transfer,
    load_image,
    paint,
    sample,
    stylize,
    sweep,
)
from stylelab.networks.loading import painters
from stylelab.registry import load_method
from stylelab.widgets import pictures
from stylelab.widgets.panel import SIZES
from stylelab.widgets.pictures import SHARE, LossCurve, Pace, encode, shown_size, weight_changes

PICTURES = "chenonceau", "night_cafe"
WAIT = 60  # seconds, for what takes one


@pytest.fixture
def lab(small, tmp_path):
    lab = LiveLab(*PICTURES, small, tmp_path / "live")
    yield lab
    lab.stop()
    assert lab.join(WAIT)


class Gate:
    """Holds each step until it is let through, so that a test knows where the worker is."""

    def __init__(self, monkeypatch):
        self.reached, self.free = threading.Semaphore(0), threading.Semaphore(0)
        step = Transfer.step

        def gated(transfer):
            self.reached.release()
            assert self.free.acquire(timeout=WAIT)
            step(transfer)

        monkeypatch.setattr(Transfer, "step", gated)

    def wait(self):
        assert self.reached.acquire(timeout=WAIT)

    def let(self, steps=1):
        for _ in range(steps):
            self.free.release()


@pytest.fixture
def gate(monkeypatch, lab):
    gate = Gate(monkeypatch)
    yield gate
    gate.let(100)


def test_a_run_changes_the_picture_and_is_the_run_of_stylize(lab, small):
    before = lab.panel.picture.value, lab.panel.curve.value
    assert torch.equal(lab.image, load_image(sample("chenonceau"), (48, 64)))
    lab.run()
    assert lab.join(WAIT)
    assert (lab.error, lab.state, len(lab.history)) == (None, "ended", 6)
    assert lab.panel.picture.value != before[0]
    assert lab.panel.curve.value != before[1]
    assert (lab.panel.progress.value, lab.panel.progress.max) == (6, 6)
    assert "s a step" in lab.panel.status.value
    assert "chenonceau after 6 steps, 48x64" in lab.panel.caption.value
    expected = stylize(*map(sample, PICTURES), small, progress=False)
    assert torch.equal(lab.image, expected.image)


def test_pause_halts_and_run_goes_on(lab, gate):
    lab.run()
    gate.wait()
    lab.pause()
    gate.let()
    assert lab.join(WAIT)
    assert (lab.state, len(lab.history)) == ("paused", 1)
    assert lab.panel.buttons["run"].description == "Resume"
    gate.let(5)
    lab.panel.buttons["run"].click()
    assert lab.join(WAIT)
    assert (lab.state, len(lab.history)) == ("ended", 6)
    assert lab.panel.buttons["run"].description == "Run"


def test_step_makes_exactly_one_step(lab):
    lab.step()
    assert lab.join(WAIT)
    assert (lab.state, len(lab.history)) == ("paused", 1)
    lab.step()
    lab.step()
    assert lab.join(WAIT)
    assert len(lab.history) == 3


def test_step_halts_a_run_after_one_more_step(lab, gate):
    lab.run()
    gate.wait()
    lab.step()
    gate.let(6)
    assert lab.join(WAIT)
    assert (lab.state, len(lab.history)) == ("paused", 2)


def test_stop_ends_the_run_and_the_next_begins_anew(lab, gate):
    lab.run()
    gate.wait()
    lab.stop()
    gate.let()
    assert lab.join(WAIT)
    assert (lab.state, len(lab.history)) == ("ended", 1)
    gate.let(6)
    lab.run()
    assert lab.join(WAIT)
    assert len(lab.history) == 6


def test_the_page_is_told_of_the_end_last(lab, monkeypatch):
    """A worker that is about to say "running" when Stop is pressed must not have the last word."""
    status, sent = lab.panel.status, []
    about_to, pressed = threading.Event(), threading.Event()

    def send_slowly(key):
        words = status.value
        if "step 1 of" in words and threading.current_thread() is not threading.main_thread():
            about_to.set()
            pressed.wait(1)
        sent.append(words)

    monkeypatch.setattr(status, "send_state", send_slowly)
    lab.run()
    assert about_to.wait(WAIT)
    lab.stop()
    pressed.set()
    assert lab.join(WAIT)
    assert sent[-1] == status.value
    assert sent[-1].startswith("ended")


def test_reset_returns_to_the_photograph_even_in_a_run(lab, gate):
    lab.run()
    gate.wait()
    lab.panel.content.value = "pont_du_gard"  # which waits for the reset
    lab.reset()
    gate.let()
    assert lab.join(WAIT)
    assert (lab.state, len(lab.history)) == ("ready", 0)
    assert torch.equal(lab.image, load_image(sample("pont_du_gard"), (48, 64)))


def test_run_after_reset_begins_anew_though_a_last_step_was_under_way(lab, gate):
    lab.panel.steps.value = 1
    lab.run()
    gate.wait()
    lab.reset()
    lab.run()
    gate.let(2)
    assert lab.join(WAIT)
    assert (lab.state, len(lab.history)) == ("ended", 1)


def test_running_twice_starts_one_thread(lab, gate):
    threads = threading.active_count()
    for _ in range(5):
        lab.run()
        lab.panel.buttons["run"].click()
    gate.wait()
    assert threading.active_count() == threads + 1
    gate.let(6)
    assert lab.join(WAIT)
    assert len(lab.history) == 6


def test_a_weight_changed_in_a_run_counts_from_the_next_step_on(lab, gate, small):
    lab.run()
    for _ in range(2):
        gate.wait()
        gate.let()
    gate.wait()  # the third step has begun
    lab.panel.weights["style_weight"].value = 50
    gate.let(4)
    assert lab.join(WAIT)
    history = lab.history
    assert history["style_weight"].tolist() == [1000] * 3 + [50] * 3
    assert history["tv_weight"].tolist() == [10] * 6
    assert weight_changes(history) == [4]
    assert lab.panel.curves.marks.get_xdata()[0] == 4
    style = history.filter(like="style/").sum(axis=1)
    content = history.filter(like="content/").sum(axis=1)
    total = content + history["style_weight"] * style + history["tv_weight"] * history["tv"]
    assert history["total"].to_numpy() == pytest.approx(total.to_numpy(), rel=1e-4)


def test_a_slider_at_its_left_end_turns_its_term_off(lab):
    slider = lab.panel.weights["tv_weight"]
    slider.value = 10**slider.min
    lab.step()
    assert lab.join(WAIT)
    assert lab.history["tv_weight"].tolist() == [0]


def test_another_method_is_chosen_and_scales_the_weights(lab):
    lab.panel.method.value = "cnnmrf"
    assert lab.panel.config.method == "cnnmrf"
    assert lab.panel.preset.value == "own settings"
    lab.panel.weights["style_weight"].value = 100
    lab.step()
    assert lab.join(WAIT)
    assert lab.error is None
    assert "style/relu3_1" in lab.history
    assert lab._transfer.loss_weights == load_method("cnnmrf").loss_weights(lab.panel.config)


def test_errors_are_kept_and_shown_in_words(lab, monkeypatch):
    def fail(transfer):
        raise RuntimeError("no <b>memory</b>")

    with monkeypatch.context() as patch:
        patch.setattr(Transfer, "step", fail)
        lab.run()
        assert lab.join(WAIT)
    assert isinstance(lab.error, RuntimeError)
    assert lab.state == "ended"
    assert "no &lt;b&gt;memory" in lab.panel.message.value
    lab.run()
    assert lab.join(WAIT)
    assert (lab.error, lab.panel.message.value, len(lab.history)) == (None, "", 6)


def test_settings_that_do_not_go_together_are_refused_in_words(lab):
    for slider in lab.panel.weights.values():
        slider.value = 10**slider.min
    lab.run()
    assert lab.join(WAIT)
    assert "all loss weights are 0" in lab.panel.message.value
    assert lab.state == "ended"


def test_a_run_whose_weights_all_become_zero_is_paused_and_not_lost(lab):
    lab.step()
    assert lab.join(WAIT)
    before = {slider: slider.value for slider in lab.panel.weights.values()}
    for slider in before:
        slider.value = 10**slider.min
    lab.run()
    assert lab.join(WAIT)
    assert "all loss weights are 0" in lab.panel.message.value
    assert (lab.state, len(lab.history)) == ("paused", 1)
    for slider, value in before.items():
        slider.value = value
    lab.run()
    assert lab.join(WAIT)
    assert (lab.error, lab.panel.message.value, len(lab.history)) == (None, "", 6)


def test_a_run_that_diverges_says_so(lab, monkeypatch):
    step = Transfer.step

    def spoil(transfer):
        transfer.variable.data.fill_(torch.nan)
        step(transfer)

    monkeypatch.setattr(Transfer, "step", spoil)
    lab.run()
    assert lab.join(WAIT)
    assert lab.state == "ended"
    assert "lower the learning" in lab.panel.message.value


def test_the_last_step_ends_the_run_however_it_is_made(lab):
    lab.panel.steps.value = 1
    lab.step()
    assert lab.join(WAIT)
    assert lab.state == "ended"


def test_save_writes_a_run_that_loads(lab, small):
    lab.run()
    assert lab.join(WAIT)
    lab.save()
    assert lab.join(WAIT)
    folder = lab.out / "run-1"
    assert str(folder) in lab.panel.message.value
    result = Result.load(folder)
    assert (result.config, result.interrupted) == (small, False)
    assert result.history["style_weight"].tolist() == [1000] * 6
    assert not [name for name in result.info if "weight" in name and name != "weights_id"]
    lab.panel.strength.value = 0.5
    lab.save()
    assert lab.join(WAIT)
    mixed = load_image(lab.out / "run-2" / "mixed.png")
    assert (mixed - lab.image).abs().max() < 0.003


def test_a_run_saved_in_the_middle_can_go_on(lab, small):
    lab.step()
    assert lab.join(WAIT)
    lab.panel.weights["tv_weight"].value = 20
    lab.step()
    lab.save()
    assert lab.join(WAIT)
    assert lab.error is None
    result = Result.load(lab.out / "run-1")
    config = replace(small, tv_weight=20.0)
    assert (result.interrupted, result.config) == (True, config)
    ended = stylize(*map(sample, PICTURES), config, lab.out / "run-1", progress=False)
    assert (len(ended.history), ended.interrupted) == (6, False)


def test_nothing_to_save_and_no_place_to_save_to_are_said(lab, tmp_path):
    lab.save()
    assert lab.join(WAIT)
    assert "press Run" in lab.panel.message.value
    (tmp_path / "file").write_text("")
    lab.out = tmp_path / "file" / "inside"
    lab.step()
    lab.save()
    assert lab.join(WAIT)
    assert isinstance(lab.error, (InputError, OSError))
    assert lab.state == "paused"


def test_strength_mixes_result_and_photograph(lab):
    lab.run()
    assert lab.join(WAIT)
    result, photograph = lab.image, load_image(sample("chenonceau"), (48, 64))
    shown = lab.panel.picture.value
    lab.panel.strength.value = 0
    assert lab.join(WAIT)
    assert torch.equal(lab.image, photograph)
    assert lab.panel.picture.value != shown
    lab.panel.strength.value = 0.25
    assert torch.allclose(lab.image, 0.75 * photograph + 0.25 * result, atol=1e-6)
    lab.panel.strength.value = 1
    assert lab.join(WAIT)
    assert torch.equal(lab.image, result)
    assert lab.panel.picture.value == shown


def test_the_divide_has_the_photograph_on_its_left():
    before, after = torch.zeros(1, 3, 40, 60), torch.full((1, 3, 40, 60), 0.5)
    pixels = np.asarray(Image.open(io.BytesIO(encode(after, before, 0.5))))
    assert pixels[:, :20].mean() == pytest.approx(0, abs=3)
    assert pixels[:, 40:].mean() == pytest.approx(128, abs=3)
    assert encode(after, before, 0) == encode(after)


def test_pictures_are_encoded_no_larger_than_they_are_shown():
    image = torch.rand(1, 3, 600, 300)
    assert shown_size(image) == (340, 170)
    assert Image.open(io.BytesIO(encode(image))).size == (170, 340)


def test_two_labs_do_not_disturb_one_another(small, tmp_path):
    configs = small, replace(small, style_weight=10)
    expected = [stylize(*map(sample, PICTURES), c, progress=False).image for c in configs]
    labs = [LiveLab(*PICTURES, config, tmp_path) for config in configs]
    for lab in labs:
        lab.run()
    assert all(lab.join(WAIT) for lab in labs)
    for lab, image in zip(labs, expected, strict=True):
        assert torch.equal(lab.image, image)
        lab.save()
    assert all(lab.join(WAIT) for lab in labs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-1", "run-2"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_moves_the_sliders(lab, name):
    lab.panel.preset.value = name
    assert lab.panel.config == PRESETS[name]
    assert lab.panel.preset.value == name
    lab.panel.steps.value = 7
    assert lab.panel.preset.value == "own settings"
    assert lab.panel.config == replace(PRESETS[name], steps=7)


def test_settings_beyond_the_sliders_are_kept(small, tmp_path):
    config = replace(small, style_weight=3e9, tv_weight=1e-6, learning_rate=200, steps=5000)
    assert LiveLab(*PICTURES, config, tmp_path).panel.config == config


def upload(lab, role, content, name="own.png"):
    lab.panel.uploads[role].value = (
        {
            "name": name,
            "type": "image/png",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
        },
    )


def test_own_pictures_can_be_uploaded(lab):
    buffer = io.BytesIO()
    Image.new("RGB", (80, 60), (200, 30, 30)).save(buffer, "PNG")
    upload(lab, "content", buffer.getvalue())
    assert lab.join(WAIT)
    assert lab.panel.content.value == "own.png"
    assert lab.image[0, 0].mean() == pytest.approx(200 / 255, abs=0.01)
    lab.step()
    assert lab.join(WAIT)
    assert (lab.error, len(lab.history)) == (None, 1)


def test_two_uploads_of_one_name_are_two_pictures(lab):
    for role, colour in (("content", "red"), ("style", "blue")):
        buffer = io.BytesIO()
        Image.new("RGB", (40, 30), colour).save(buffer, "PNG")
        upload(lab, role, buffer.getvalue(), "image.png")
    assert (lab.panel.content.value, lab.panel.style.value) == ("image.png", "image (2).png")
    content, (style,) = lab.panel.pictures[0], lab.panel.pictures[1]
    assert content != style


def test_an_upload_that_is_no_picture_is_refused_in_words(lab):
    upload(lab, "style", b"no picture")
    assert "not an image" in lab.panel.message.value
    assert lab.panel.style.value == "night_cafe"


def test_an_unknown_sample_is_refused_at_once():
    with pytest.raises(InputError, match="did you mean 'chenonceau'"):
        LiveLab("chenonceaux")


def test_it_displays_itself(lab):
    bundle = lab._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_pictures_have_the_empty_description_that_their_words_need(lab):
    for picture in (lab.panel.picture, lab.panel.curve):
        state = picture.get_state()
        assert state["tooltip"]
        assert state["description"] == ""


def test_curves_drawn_into_kept_axes_are_those_of_a_new_figure(lab, monkeypatch):
    lab.run()
    assert lab.join(WAIT)
    curve, history = LossCurve(), lab.history
    drawn = []
    monkeypatch.setattr(curve.canvas, "draw", lambda draw=curve.canvas.draw: drawn.append(draw()))
    for rows in (0, 1, 4, 6):
        assert curve.draw(history[:rows]) == LossCurve().draw(history[:rows])
    many = len(drawn)
    low, high = curve.axes.get_ylim()
    values = np.concatenate([line.get_ydata() for line in curve.lines.values()])
    assert low < np.nanmin(values) <= np.nanmax(values) < high
    assert curve.draw(history[:5]) != curve.draw(history)
    assert len(drawn) == many, "the axes were drawn anew though the curves fit into them"


def test_a_view_takes_its_share_of_the_time_at_most(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(pictures.time, "perf_counter", lambda: now[0])
    pace, drawn = Pace(pytest.fail), []

    def view():
        now[0] += 0.05
        drawn.append(now[0])

    while now[0] < 100:
        pace.draw(view)
        now[0] += 0.01
    assert 0.05 * len(drawn) <= SHARE * 100 + 0.05
    assert 0.05 * len(drawn) > 0.9 * SHARE * 100


def test_two_thousand_frames_do_not_grow_memory(lab):
    lab.run()
    assert lab.join(WAIT)
    process = psutil.Process()

    def frames(count):
        for number in range(count):
            lab._draw_picture()
            if number % 4 == 0:  # as in a run, where curves are drawn less often
                lab._draw_curve()
        gc.collect()
        return process.memory_info().rss / 2**20

    before = frames(200)
    assert frames(2000) - before < 50


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    axes = {"style_weight": [1000, 10], "size": [(32, 48), (48, 64)]}
    base = replace(PRESETS["paper"], steps=2)
    return sweep(*PICTURES, axes, base, tmp_path_factory.mktemp("sweep"), progress=False)


def test_the_explorer_has_a_slider_for_what_varies_and_shows_its_run(swept):
    explorer = SweepExplorer(swept)
    assert list(explorer.sliders) == ["size", "style_weight"]
    assert [value for _, value in explorer.sliders["style_weight"].options] == [10, 1000]
    shown = set()
    for size in ("32x48", "48x64"):
        for weight in (10, 1000):
            explorer.sliders["size"].value = size
            explorer.sliders["style_weight"].value = weight
            row = swept.table.loc[explorer.run]
            assert (row["size"], row["style_weight"]) == (size, weight)
            assert f"{row['style_distance']:.4g}" in explorer.numbers.value
            shown.add(explorer.picture.value)
    assert len(shown) == 4


def test_pinned_runs_stay_while_the_sliders_move(swept):
    explorer = SweepExplorer(swept)
    explorer.sliders["style_weight"].value = 10
    pinned = explorer.picture.value
    explorer.pins["left"].button.click()
    explorer.sliders["style_weight"].value = 1000
    explorer.pins["right"].button.click()
    assert explorer.pins["left"].picture.value == pinned
    assert explorer.pins["right"].picture.value == explorer.picture.value != pinned
    assert "style weight 10" in explorer.pins["left"].caption.value


def test_the_explorer_says_what_is_missing(swept):
    explorer = SweepExplorer(swept)
    key = explorer.run
    explorer.table = explorer.table.drop(index=key)
    explorer._show()
    assert explorer.run is None
    assert "no run with these settings" in explorer.numbers.value
    explorer = SweepExplorer(swept)
    explorer.table.loc[key, ["status", "error"]] = ["failed", "<Diverged>"]
    explorer._show()
    assert "failed: &lt;Diverged&gt;" in explorer.numbers.value


def test_drawing_needs_no_pyplot():
    text = "".join(
        (Path(pictures.__file__).parent / name).read_text()
        for name in ("pictures.py", "panel.py", "live_lab.py", "sweep_explorer.py")
    )
    assert "plt" not in text
    assert "Output(" not in text


def test_another_size_leaves_the_numbers_of_the_others(lab, small):
    # A page sends the number of its choice: one that changes is another size on the way.
    shown = []
    for size in ((32, 48), (150, 225), 300):
        lab.panel.show_config(replace(small, size=size))
        assert lab.panel.config.size == size
        shown.append(lab.panel.size.options[:6])
    assert shown == [tuple(SIZES.items())] * 3


def test_two_styles_are_blended_in_their_shares(lab, small):
    panel = lab.panel
    panel.second.value, panel.share.value = "cafe_terrace_at_night", 0.25
    panel.colours.value = "luminance"
    lab.run()
    assert lab.join(WAIT)
    assert lab.error is None
    config = replace(small, blend=(0.75, 0.25), colours="luminance")
    styles = [sample(PICTURES[1]), sample("cafe_terrace_at_night")]
    same = stylize(sample(PICTURES[0]), styles, config, progress=False)
    torch.testing.assert_close(lab.image, same.image)
    panel.second.value = ""
    assert panel.config.blend == ()


def test_the_painter_shows_the_blend_under_its_sliders():
    painter = Painter(PICTURES[0], "26 styles", size=64)
    photograph, network = load_image(sample(PICTURES[0]), 64), painter.network
    painter.first.value, painter.second.value = "3", "19"
    for share, expected in ((0, "3"), (1, "19"), (0.25, {"3": 0.75, "19": 0.25})):
        before, painter.share.value = painter.picture.value, share
        torch.testing.assert_close(painter.image, paint(network, photograph, expected))
        assert share == 0 or painter.picture.value != before
    painter.second.value = "3"
    torch.testing.assert_close(painter.image, paint(network, photograph, "3"))
    painter.strength.value = 0
    torch.testing.assert_close(painter.image, photograph)
    painter.content.value = "eiffel_tower"
    torch.testing.assert_close(painter.image, load_image(sample("eiffel_tower"), 64))


def test_the_painter_takes_networks_of_each_kind():
    painter = Painter(PICTURES[0], "johnson", size=64)
    photograph = load_image(sample(PICTURES[0]), 64)
    assert painter.second.layout.display == "none"
    torch.testing.assert_close(painter.image, paint("johnson", photograph))
    painter.chosen.value = "adain"
    assert painter.second.layout.display == ""
    painter.first.value, painter.second.value = "night_cafe", "langlois_bridge"
    painter.share.value = 0.25
    styles = [sample("night_cafe"), sample("langlois_bridge")]
    expected = paint("adain", photograph, styles, blend=(0.75, 0.25))
    torch.testing.assert_close(painter.image, expected)


def test_the_painter_takes_every_network_that_comes_with_the_kit(tmp_path, small):
    painter = Painter(PICTURES[0], "johnson", 64, replace(small, steps=1), tmp_path)
    for name in painters():
        painter.image = torch.zeros(1)
        painter.chosen.value = name
        assert painter.message.value == "", name
        assert painter.image.shape == (1, 3, 48, 64), name
    painter.chosen.value = "cyclegan"
    assert painter.first.options == ("there", "back")
    expected = paint("cyclegan", load_image(sample(PICTURES[0]), 64), "there")
    torch.testing.assert_close(painter.image, expected)
    lab = painter.polish()
    assert lab.join(60)
    assert lab.error is None
    painter.close()


def test_the_painter_optimises_once_and_its_sliders_mix(tmp_path, small, monkeypatch):
    painter = Painter(PICTURES[0], "johnson", 64, replace(small, steps=3), tmp_path)
    assert painter.progress.layout.display == "none"
    painter.first.value = "night_cafe"
    painter.chosen.value = "optimised"
    assert (painter.second.layout.display, painter.progress.layout.display) == ("none", "")
    assert painter.join(WAIT)
    assert (painter.progress.value, painter.progress.max, painter.message.value) == (3, 3, "")
    photograph = load_image(sample(PICTURES[0]), 64)
    config = replace(small, steps=3, size=tuple(photograph.shape[2:]))
    expected = stylize(sample(PICTURES[0]), sample("night_cafe"), config, progress=False).image
    assert torch.equal(painter.image, expected)
    shown = painter.picture.value
    painter.divide.value = 0.5
    assert painter.picture.value != shown
    assert torch.equal(painter.image, expected)
    steps = []
    monkeypatch.setattr(Transfer, "step", lambda transfer: steps.append(transfer))
    painter.strength.value = 0.25
    assert painter.join(WAIT)
    mixed = 0.75 * photograph + 0.25 * expected
    torch.testing.assert_close(painter.image, mixed, atol=0.51 / 255, rtol=0)
    painter.chosen.value = "johnson"
    painter.chosen.value = "optimised"
    torch.testing.assert_close(painter.image, mixed, atol=0.51 / 255, rtol=0)
    assert painter.join(WAIT)
    assert steps == [], "a run was made again"
    path = painter.save()
    assert torch.equal(load_image(path), painter.image)
    text = Image.open(path).text
    assert (text["painted by"], text["strength"]) == ('"optimised"', "0.25")
    assert path.name in painter.message.value
    painter.out = path / "inside"
    with pytest.raises((InputError, OSError)):
        painter.save()
    assert "alert" in painter.message.value


def test_a_run_that_is_wanted_no_more_is_given_up(small, monkeypatch, tmp_path):
    painter = Painter(PICTURES[0], "johnson", 64, replace(small, steps=3), tmp_path)
    gate = Gate(monkeypatch)
    painter.first.value = "night_cafe"
    painter.chosen.value = "optimised"
    gate.wait()
    painter.content.value = "eiffel_tower"  # of another shape
    painter.first.value = "langlois_bridge"
    gate.let(10)
    assert painter.join(WAIT)
    assert painter.message.value == ""
    photograph = load_image(sample("eiffel_tower"), 64)
    config = replace(small, steps=3, size=tuple(photograph.shape[2:]))
    expected = stylize(photograph, sample("langlois_bridge"), config, progress=False).image
    assert torch.equal(painter.image, expected)
    assert [(key, ended) for key, (_, ended) in painter._runs.items() if ended] == [
        (("eiffel_tower", "langlois_bridge"), True)
    ]


def test_a_run_that_fails_says_why(small, tmp_path):
    faulty = replace(small, mask=str(tmp_path / "none.png"))
    painter = Painter(PICTURES[0], "optimised", 64, faulty, tmp_path)
    assert painter.join(WAIT)
    assert "does not exist" in painter.message.value
    torch.testing.assert_close(painter.image, load_image(sample(PICTURES[0]), 64))


def test_polish_goes_on_from_the_picture(tmp_path, small):
    painter = Painter(PICTURES[0], "johnson", 64, replace(small, steps=2), tmp_path)
    painter.first.value = "night_cafe"
    lab = painter.polish()
    assert lab.join(WAIT)
    assert (lab.error, lab.state) == (None, "ended")
    assert painter.below.children == (lab.box,)
    start = load_image(tmp_path / "painted-1.png")
    torch.testing.assert_close(start, painter.image)
    size = tuple(start.shape[2:])
    config = replace(small, steps=2, init=str(tmp_path / "painted-1.png"), size=size)
    same = stylize(sample(PICTURES[0]), sample("night_cafe"), config, progress=False)
    torch.testing.assert_close(lab.image, same.image)
