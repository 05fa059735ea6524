"""Widgets are freed, go on through faults of what they show, and take rapid clicks."""

import gc
import io
import queue
import sys
import weakref
from dataclasses import replace

import pytest
import torch
from ipywidgets.widgets import widget as registry
from jupyter_client.manager import start_new_kernel
from PIL import Image
from test_widgets import PICTURES, WAIT, Gate, upload

from stylelab import InputError, LiveLab, Painter, SweepExplorer, Training, recipe, sample, sweep
from stylelab.training.transfer import Transfer
from stylelab.widgets import cells
from stylelab.widgets.child import ChildOfTwo
from stylelab.widgets.training_view import TrainingView


@pytest.fixture
def tiny(small):
    return replace(small, size=(32, 48), steps=3, weights="random")


@pytest.fixture
def lab(tiny, tmp_path):
    lab = LiveLab(*PICTURES, tiny, tmp_path / "live")
    yield lab
    lab.close()


SMALL = {"weights": "random", "crop": 32, "side": 64, "style_side": 64, "batch": 2, "every": 50}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of photographs."""
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("chenonceau", "eiffel_tower", "pont_du_gard"):
        Image.open(sample(name)).resize((96, 72)).save(folder / f"{name}.png")
    return folder


def training(folder, steps=4):
    return Training(recipe("johnson", steps=steps, **SMALL), "night_cafe", folder)


def makers(tiny, tmp_path, folder):
    def explorer():
        axes, out = {"style_weight": [1, 2]}, tmp_path / "sweep"
        return SweepExplorer(sweep(*PICTURES, axes, replace(tiny, steps=1), out, progress=False))

    return {
        "lab": lambda: LiveLab(*PICTURES, tiny, tmp_path),
        "painter": lambda: Painter(PICTURES[0], "optimised", 48, tiny, tmp_path),
        "training": lambda: TrainingView(training(folder)),
        "child": ChildOfTwo,
        "explorer": explorer,
    }


@pytest.mark.parametrize("name", ["lab", "painter", "training", "child", "explorer"])
def test_what_is_closed_is_freed_with_all_its_widgets(name, tiny, tmp_path, folder):
    make = makers(tiny, tmp_path, folder)[name]
    make().close()  # what is read once
    gc.collect()
    kept = set(registry._instances)
    shown = make()
    if name in ("lab", "training"):
        shown.run()
        assert shown.join(WAIT)
    assert len(registry._instances) > len(kept)
    references = [weakref.ref(shown)]
    if name == "lab":
        references.append(weakref.ref(shown._transfer))
    shown.close()
    shown.close()
    assert set(registry._instances) == kept
    assert "closed" in shown._repr_mimebundle_()["text/plain"]
    del shown
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


def test_a_closed_lab_that_is_kept_holds_no_run_but_its_picture(lab):
    lab.run()
    assert lab.join(WAIT)
    run = weakref.ref(lab._transfer)
    image, history = lab.image, lab.history
    lab.close()
    gc.collect()
    assert run() is None
    assert torch.equal(lab.image, image)
    assert lab.history.equals(history)
    for press in (lab.run, lab.step, lab.save, lab.reset):
        with pytest.raises(InputError, match="this LiveLab is closed; make a new one"):
            press()


def test_closing_ends_a_run_after_the_step_at_hand(lab, monkeypatch):
    gate = Gate(monkeypatch)
    lab.run()
    gate.wait()
    gate.let(1)
    lab.close()
    assert len(lab.history) == 1
    assert lab.join(0)


def test_polish_again_frees_the_lab_before(tiny, tmp_path):
    painter = Painter(PICTURES[0], "johnson", 48, tiny, tmp_path)
    first = weakref.ref(painter.polish())
    second = painter.polish()
    gc.collect()
    assert first() is None
    painter.close()
    assert second.closed


RERUN = """
from ipywidgets.widgets import widget
from stylelab import LiveLab, PRESETS
from dataclasses import replace
config = replace(PRESETS["paper"], size=(16, 24), steps=1, weights="random")
"""
MAKE = "labs = [LiveLab(config=config) for _ in range(2)]\nlabs[0]"
COUNT = "print(sum(type(w).__name__ == 'FileUpload' for w in widget._instances.values()))"


def test_a_cell_that_runs_again_closes_what_it_made():
    manager, client = start_new_kernel()

    def run(code, cell):
        content = {"code": code, "silent": False, "store_history": True, "stop_on_error": True}
        content |= {"user_expressions": {}, "allow_stdin": False}
        message = client.session.msg("execute_request", content, metadata={"cellId": cell})
        client.shell_channel.send(message)
        said = ""
        while True:
            try:
                reply = client.get_iopub_msg(timeout=WAIT)
            except queue.Empty:
                pytest.fail("the kernel does not answer")
            if reply["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            assert reply["msg_type"] != "error", reply["content"]
            said += reply["content"].get("text", "")
            if reply["content"].get("execution_state") == "idle":
                return said

    try:
        run(RERUN, "imports")
        for cell, labs in (("one", 2), ("one", 2), ("two", 4), ("one", 4)):
            run(MAKE, cell)
            assert run(COUNT, "count") == f"{2 * labs}\n", cell  # two uploads of each lab
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_outside_of_a_notebook_nothing_is_closed(tiny, tmp_path):
    assert cells.running_cell() is None
    first, second = (LiveLab(*PICTURES, tiny, tmp_path) for _ in range(2))
    assert not first.closed
    first.close()
    second.close()


def broken(*given, **settings):
    raise RuntimeError("the picture does not come")


def test_a_draw_that_fails_ends_no_run(lab, monkeypatch):
    monkeypatch.setattr(lab.panel, "show_picture", broken)
    monkeypatch.setattr(lab.panel, "show_curve", broken)
    lab.run()
    assert lab.join(WAIT)
    assert (lab.state, len(lab.history)) == ("ended", 3)
    assert "the picture does not come" in lab.panel.message.value


def test_a_draw_that_fails_ends_no_run_of_the_painter(tiny, tmp_path, monkeypatch):
    painter = Painter(PICTURES[0], "johnson", 48, tiny, tmp_path)
    mix, calls = painter._mix, []

    def sometimes():
        calls.append(1)
        return broken() if len(calls) == 2 else mix()

    monkeypatch.setattr(painter, "_mix", sometimes)
    painter.chosen.value = "optimised"
    assert painter.join(WAIT)
    assert painter.progress.value == 3
    assert "the picture does not come" in painter.message.value
    painter.close()


def test_a_draw_that_fails_ends_no_training(folder, monkeypatch):
    view = TrainingView(training(folder))
    monkeypatch.setattr(view._curves, "draw", broken)
    view.run()
    assert view.join(WAIT)
    assert (view.state, view.training.steps_done) == ("ended", 4)
    assert "the picture does not come" in view.message.value
    view.close()


def leave(*arguments):
    sys.exit("enough")


def test_leaving_python_within_a_step_ends_the_run_in_words(
    lab, tiny, tmp_path, folder, monkeypatch
):
    monkeypatch.setattr(Transfer, "step", leave)
    lab.run()
    assert lab.join(WAIT)
    assert lab.state == "ended"
    assert "SystemExit: enough" in lab.panel.message.value
    painter = Painter(PICTURES[0], "optimised", 48, tiny, tmp_path)
    assert painter.join(WAIT)
    assert "SystemExit: enough" in painter.message.value
    painter.close()
    view = TrainingView(training(folder))
    monkeypatch.setattr(view.training, "step", leave)
    view.run()
    assert view.join(WAIT)
    assert (view.state, view.buttons["pause"].disabled) == ("ended", True)
    view.close()


def test_rapid_clicks_are_all_heard(lab, folder):
    lab.panel.steps.value = 10
    for _ in range(20):
        for name in ("run", "pause", "step", "stop", "reset"):
            lab.panel.buttons[name].click()
    assert lab.join(WAIT)
    assert (lab.error, lab.state, len(lab.history)) == (None, "ready", 0)
    view = TrainingView(training(folder, 8))
    for _ in range(20):
        view.pause()
        view.run()  # though the step at hand is not over
    assert view.join(WAIT)
    assert (view.state, view.training.steps_done) == ("ended", 8)
    view.close()


def png(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_style_may_be_called_none(lab):
    upload(lab, "style", png("red"), "none")
    assert (lab.panel.style.value, lab.panel.second.value) == ("none", "")
    assert lab.panel.pictures[1] == [png("red")]
    assert lab.panel.config.blend == ()
    lab.panel.second.value = "none"
    assert lab.panel.pictures[1] == 2 * [png("red")]
    assert lab.panel.config.blend == (0.5, 0.5)
    lab.step()
    assert lab.join(WAIT)
    assert lab.error is None


def test_thumbnails_show_what_is_chosen(lab):
    panel = lab.panel
    before = panel.thumbnails["style"].value
    hidden = panel.thumbnails["second"].layout.display, panel.share.layout.display
    assert hidden == ("none", "none")
    upload(lab, "style", png("red"), "mine.png")
    shown = Image.open(io.BytesIO(panel.thumbnails["style"].value))
    assert shown.getpixel((20, 15))[0] > 240
    assert panel.thumbnails["style"].value != before
    assert panel.thumbnails["style"].tooltip == "style: mine.png"
    assert panel.uploads["style"].value == (), "the file is kept twice, and in saved notebooks"
    panel.second.value = "mine.png"
    assert (panel.thumbnails["second"].layout.display, panel.share.layout.display) == ("", "")


def test_what_is_saved_can_be_downloaded(lab):
    lab.step()
    lab.save()
    assert lab.join(WAIT)
    assert 'download="image.png" href="data:image/png;base64,iVBOR' in lab.panel.message.value


def test_a_run_whose_files_are_gone_is_said_and_the_others_shown(tiny, tmp_path, folder):
    explorer = makers(tiny, tmp_path, folder)["explorer"]()
    (tmp_path / "sweep" / explorer.run / "history.csv").write_text("")
    explorer._show()
    assert "this run cannot be shown: EmptyDataError" in explorer.numbers.value
    assert explorer.picture.layout.visibility == "hidden"
    explorer.sliders["style_weight"].value = 2
    assert explorer.picture.layout.visibility == "visible"
    assert "style distance to the painting" in explorer.numbers.value
    explorer.close()


def test_a_control_that_fails_says_so(tiny, tmp_path, monkeypatch):
    painter = Painter(PICTURES[0], "johnson", 48, tiny, tmp_path)
    monkeypatch.setattr("stylelab.widgets.painter.paint", broken)
    painter.strength.value = 0.5
    assert "the picture does not come" in painter.message.value
    painter.close()
