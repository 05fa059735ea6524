import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from stylelab import (
    NETWORKS,
    Diverged,
    InputError,
    Result,
    Trained,
    Training,
    TrainingView,
    paint,
    read_grid,
    recipe,
    sample,
    sweep,
    train,
)
from stylelab.sweeps.grids import estimate
from stylelab.training.sets import kit

SMALL = {"weights": "random", "crop": 32, "side": 64, "style_side": 64, "batch": 2, "every": 2}
STYLE = {"johnson": "night_cafe", "multistyle": ("night_cafe", "langlois_bridge")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight photographs."""
    path = tmp_path_factory.mktemp("photographs")
    for source in sorted(kit()[0].iterdir())[:8]:
        (path / source.name).write_bytes(source.read_bytes())
    return path


def small(name, folder, steps=5, **settings):
    return train(
        name, STYLE.get(name, ()), folder, steps=steps, progress=False, **{**SMALL, **settings}
    )


@pytest.mark.parametrize(
    "name", ["johnson", "texture", "multistyle", "adain", "wct", "sanet", "aams", "solver"]
)
def test_a_few_steps_lower_the_losses_of_held_out_pictures(name, folder):
    style = STYLE.get(name, "night_cafe" if name == "texture" else ())
    steps = {"multistyle": 40, "aams": 40, "solver": 30}.get(name, 20)
    changes = {**SMALL, "weights": "original", "precision": "float32"}
    if name == "solver":  # descent goes astray on tiny crops, and on some pairs nothing is left
        changes |= {"crop": 96, "side": 96, "style_side": 96, "batch": 1, "held_out": 0.5}
        changes["options"] = {"steps": 3}
    changes |= {"steps": steps, "every": steps}
    for seed in (0, 1):
        training = Training(recipe(name, seed=seed, **changes), style, folder)
        for step in training:
            if step == 4:
                before = training.judge()["total"]  # of the same crops as at the end
        assert training.held_out["total"].iloc[-1] < before, (name, seed)


def train_losses(result):
    totals = result.held_out["total"]  # of the same crops at each look
    return float(totals.iloc[0]), float(totals.iloc[-1])


def test_a_run_folder_holds_the_network_its_history_its_sheet_and_its_card(folder, tmp_path):
    result = train("johnson", "night_cafe", folder, tmp_path / "run", steps=4, progress=False,
                   **SMALL)  # fmt: skip
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "network.safetensors", "history.csv", "held_out.csv", "image.png", "card.md", "result.json",
        ".stylelab",
    }  # fmt: skip
    again = Trained.load(tmp_path / "run")
    assert again.config == result.config
    assert len(again.history) == 4
    assert list(again.held_out["step"]) == [2, 4]
    assert set(again.held_out) == {"step", "total", "content", "style", "tv"}
    pictures = again.info["pictures"]
    assert (len(pictures["trained"]), len(pictures["held_out"])) == (7, 1)
    text = (tmp_path / "run" / "card.md").read_text()
    for word in ("night_cafe", "4 of 4 steps", "seed 0", *pictures["held_out"]):
        assert word in text
    assert Result.load(tmp_path / "run").losses["total"] == pytest.approx(
        again.held_out["total"].iloc[-1]
    )


def test_the_sheet_of_a_network_whose_attention_learns_is_that_of_now(folder):
    changes = {**SMALL, "steps": 8, "every": 2, "learning_rate": 0.005, "batch": 1}
    training = Training(recipe("aams", **changes), (), folder)
    for step in training:
        if step == 2:
            training.result()
    last = training.result().image
    training.network.styles.kept.clear()
    assert torch.equal(training.result().image, last)


def test_pictures_of_one_name_are_told_apart(folder, tmp_path):
    first, second = sorted(folder.iterdir())[:2]
    for place, source in (("a", first), ("b", second)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "x.webp").write_bytes(source.read_bytes())
    styles = [tmp_path / "a" / "x.webp", tmp_path / "b" / "x.webp"]
    training = Training(recipe("multistyle", **SMALL, steps=1), styles, folder)
    assert training.sets.names == ["a/x", "b/x"]
    assert list(training.sets.pictures["styles"]) == ["a/x.webp", "b/x.webp"]


def test_a_folder_with_the_name_of_the_style_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="'night_cafe' is read and would be overwritten"):
        train("johnson", "night_cafe", folder, "night_cafe", steps=1, **SMALL)
    assert not list(tmp_path.iterdir())


def test_a_complete_training_is_loaded_and_not_made_again(folder, tmp_path):
    arguments = ("johnson", "night_cafe", folder, tmp_path / "run")
    train(*arguments, steps=2, progress=False, **SMALL)
    made = (tmp_path / "run" / "result.json").stat().st_mtime_ns
    again = train(*arguments, steps=2, progress=False, **SMALL)
    assert (tmp_path / "run" / "result.json").stat().st_mtime_ns == made
    assert not again.interrupted
    with pytest.raises(InputError, match="holds another run"):
        train(*arguments, steps=3, progress=False, **SMALL)


def test_an_interrupted_training_goes_on_to_the_same_bytes(folder, tmp_path):
    def interrupt(training):
        if training.steps_done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    arguments = {"steps": 6, "progress": False, **SMALL}
    train("johnson", "night_cafe", folder, tmp_path / "whole", **arguments)
    first = train("johnson", "night_cafe", folder, tmp_path / "cut", on_step=interrupt, **arguments)
    assert first.interrupted
    assert len(first.history) == 3
    second = train("johnson", "night_cafe", folder, tmp_path / "cut", readers=0, **arguments)
    assert not second.interrupted
    for name in ("network.safetensors", "held_out.csv", "image.png"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_killed_training_goes_on_from_its_last_look_to_the_same_bytes(folder, tmp_path):
    code = (
        "import sys; from stylelab import train; train('johnson', 'night_cafe', sys.argv[1], "
        f"sys.argv[2], steps=12, progress=False, readers=2, **{SMALL!r})"
    )
    run = [sys.executable, "-c", code, str(folder)]
    subprocess.run([*run, str(tmp_path / "whole")], check=True)
    killed = subprocess.Popen([*run, str(tmp_path / "cut")])
    while not (tmp_path / "cut" / "state.pt").exists():
        time.sleep(0.05)
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "cut" / "result.json").exists()
    subprocess.run([*run, str(tmp_path / "cut")], check=True)
    for name in ("network.safetensors", "held_out.csv", "image.png"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_held_out_pictures_are_never_trained_on(folder):
    training = Training(recipe("johnson", **SMALL), "night_cafe", folder)
    seen = {photo.sha256 for photo in training.sets._crops["contents"].photos}
    assert not seen & {photo.sha256 for photo in training.sets.unseen}


def test_the_same_seed_gives_the_same_network_and_another_seed_another(folder):
    first, second, third = (small("johnson", folder, 2, seed=seed) for seed in (0, 0, 1))
    tensors = [result.network.learnt() for result in (first, second, third)]
    assert all(torch.equal(tensors[0][k], tensors[1][k]) for k in tensors[0])
    assert not all(torch.equal(tensors[0][k], tensors[2][k]) for k in tensors[0])


def test_a_new_style_of_many_trains_its_row_alone(folder):
    network = small("multistyle", folder).network
    assert network.names == ["langlois_bridge", "night_cafe"] or set(network.names) == {
        "langlois_bridge",
        "night_cafe",
    }
    assert network.table.shape[0] == 2


def test_a_loss_that_is_not_finite_stops_the_training(folder):
    with pytest.raises(Diverged, match="lower the learning_rate"):
        small("wct", folder, 10, learning_rate=1000)


FAULTS = {
    "unknown network": ({"network": "nope"}, "unknown network 'nope'"),
    "no style": ({"style": ()}, "learns a style; name a picture"),
    "two styles": ({"style": STYLE["multistyle"]}, "learns one style, not 2"),
    "style too small": ({"crop": 1024, "side": 1024, "style_side": 1024}, "can be used"),
    "crop too large": ({"crop": 128}, "crop=128 is larger than side=64"),
    "unknown setting": ({"step": 3}, "unknown setting 'step'"),
    "unknown option": ({"options": {"widht": 3}}, "did you mean 'width'"),
    "bad option": ({"options": {"width": 1}}, "options of 'johnson': width=1"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:left out")
def test_bad_trainings_are_refused_in_one_line(fault, folder):
    changes, words = FAULTS[fault]
    arguments = {"network": "johnson", "style": "night_cafe", "contents": folder, **SMALL}
    with pytest.raises(InputError, match=words) as caught:
        train(**{**arguments, **changes}, progress=False)
    assert "\n" not in str(caught.value)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no pictures"):
        train("johnson", sample("night_cafe"), tmp_path, progress=False, **SMALL)


def test_the_walk_through_of_contributing_trains_and_paints(folder, tmp_path):
    """The very text, registered as a network of one's own."""
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")
    found = re.search(r"`stylelab/networks/(\w+)\.py`:\n\n```py\n(.*?)```", text, re.DOTALL)
    name, code = found.groups()
    (tmp_path / f"{name}.py").write_text(code, "utf-8")
    try:
        NETWORKS.load_file(tmp_path / f"{name}.py")
        result = train(name, "night_cafe", folder, tmp_path / "run", steps=30, progress=False,
                       **{**SMALL, "every": 3})  # fmt: skip
        before, after = train_losses(result)
        assert after < before
        assert paint(tmp_path / "run", sample("chenonceau"), size=64).shape[3] == 64
        NETWORKS.sources[name] += "#"
        with pytest.raises(InputError, match="holds another run"):
            train(name, "night_cafe", folder, tmp_path / "run", steps=30, progress=False,
                  **{**SMALL, "every": 3})  # fmt: skip
    finally:
        NETWORKS.own.clear()
        NETWORKS.sources.clear()


def test_settings_are_swept_as_those_of_transfers_are(folder, tmp_path):
    base = recipe("johnson", steps=3, **SMALL)
    weights = [100.0, 1000.0]
    made = sweep(str(folder), "night_cafe", {"style_weight": weights}, base, tmp_path / "s",
                 workers=2, progress=False)  # fmt: skip
    table = made.table
    assert list(table["status"]) == ["complete", "complete"], table["error"]
    assert list(table["style_weight"]) == weights
    assert set(table["network"]) == {"johnson"}
    for key, row in table.iterrows():
        found = Trained.load(tmp_path / "s" / key)
        torch.set_num_threads(found.info["threads"])  # other sums would part in three steps
        alone = train("johnson", "night_cafe", folder, steps=3, progress=False,
                      **{**SMALL, "style_weight": row["style_weight"]})  # fmt: skip
        assert row["held_out/total"] == pytest.approx(alone.losses["total"], rel=1e-3)
        assert found.network.kind == "one"
    assert set(made.histories["run"]) == set(table.index)
    times = [(tmp_path / "s" / key / "result.json").stat().st_mtime_ns for key in table.index]
    again = sweep(str(folder), "night_cafe", {"style_weight": weights}, base, tmp_path / "s",
                  progress=False)  # fmt: skip
    assert [(again.out / k / "result.json").stat().st_mtime_ns for k in table.index] == times


def test_a_grid_file_may_name_a_network(folder, tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(
        f'network = "johnson"\ncontent = "{folder}"\nstyle = "night_cafe"\n'
        '[base]\nsteps = 4\nweights = "random"\ncrop = 32\n[axes]\nlearning_rate = [1e-3, 1e-2]\n'
        '"options.width" = [4, 8]\n'
    )
    runs = read_grid(path)
    assert [(r.config.learning_rate, dict(r.config.options)) for r in runs] == [
        (1e-3, {"width": 4}), (1e-3, {"width": 8}), (1e-2, {"width": 4}), (1e-2, {"width": 8}),
    ]  # fmt: skip
    assert len({run.key for run in runs}) == 4
    seconds, size = estimate(runs[:1])
    assert seconds > 0
    assert size > 1000
    path.write_text(path.read_text().replace('"johnson"', '"nope"'))
    with pytest.raises(InputError, match="unknown network 'nope'"):
        read_grid(path)
    path.write_text('network = "johnson"\n[axes]\nsteps = [1]\n')
    with pytest.raises(InputError, match="learns a style"):
        _ = read_grid(path)[0].key


def test_a_training_is_watched_paused_and_stopped_in_a_notebook(folder, tmp_path):
    def view():
        settings = recipe("johnson", steps=8, **SMALL)
        return TrainingView(Training(settings, "night_cafe", folder), tmp_path / "run")

    first = view()
    assert (first.state, first.buttons["stop"].disabled) == ("ready", True)
    before = first.curve.value, first.sheet.value
    step = first.training.step

    def pause_after_three():
        step()
        if first.training.steps_done == 3:
            first.pause()

    first.training.step = pause_after_three
    first.run()
    assert first.join(60)
    assert (first.state, first.training.steps_done) == ("paused", 3)
    assert first.curve.value != before[0]
    assert first.sheet.value != before[1]
    assert "paused, step 3 of 8" in first.status.value
    second = view()  # in another kernel, say
    assert (second.state, second.training.steps_done) == ("paused", 3)
    second.buttons["run"].click()
    assert second.join(60)
    assert (second.state, second.error) == ("ended", None)
    assert second.buttons["run"].disabled
    assert len(Trained.load(tmp_path / "run").history) == 8
    with pytest.raises(InputError, match="holds the complete training"):
        view()


def test_what_ends_a_training_is_shown(folder, monkeypatch):
    view = TrainingView(Training(recipe("johnson", steps=8, **SMALL), "night_cafe", folder))
    monkeypatch.setattr(view.training, "step", lambda: 1 / 0)
    view.run()
    assert view.join(60)
    assert isinstance(view.error, ZeroDivisionError)
    assert view.state == "ended"
    assert "ZeroDivisionError" in view.message.value
