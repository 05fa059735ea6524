"""What becomes of files: nothing lost, nothing overwritten, nothing wrong kept as right."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

import stylelab.files
from stylelab import (
    InputError,
    NotSaved,
    Result,
    Transfer,
    collect,
    grid,
    recipe,
    run_all,
    sample,
    save_image,
    stylize,
    sweep,
    train,
)
from stylelab.applications.reproduce import reproduce
from stylelab.cli import main
from stylelab.config import Config
from stylelab.files import write_together
from stylelab.sweeps.grids import read_grid
from stylelab.training.folders import LOCK, Busy, held
from stylelab.vgg.network import shared_network

PAIR = ("chenonceau", "night_cafe")
TINY = Config(
    size=(32, 48), steps=4, weights="random", normalise="none", device="cpu", precision="float32",
    content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"),
)  # fmt: skip
COMMAND = ["--size", "32", "48", "--steps", "2", "--weights", "random", "--normalise", "none"]
COMMAND += ["--content-layers", "relu2_1", "--style-layers", "relu2_1"]


def run(out, config=TINY, content="chenonceau", **options):
    content = content if isinstance(content, Path) else sample(content)
    return stylize(content, sample("night_cafe"), config, out, progress=False, **options)


def halfway(out, config=TINY):
    """An interrupted run in a folder, made by two steps of four."""
    transfer = Transfer(sample("chenonceau"), sample("night_cafe"), config)
    for done in transfer:
        if done == 2:
            return transfer.result().save(out)


def contents(folder):
    return {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.is_file()}


def refused(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, arguments)])
    return stopped.value.code


# An output is never an input, nor anybody else's file.


def test_a_run_does_not_overwrite_the_picture_that_it_reads(tmp_path):
    photo = tmp_path / "image.png"
    photo.write_bytes(sample("chenonceau").read_bytes())
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"image.png' is read and would be overwritten"):
        run(tmp_path, content=photo)
    start = replace(TINY, init=str(photo))  # nor one that a setting names
    with pytest.raises(InputError, match=r"image.png' is read and would be overwritten"):
        run(tmp_path, start)
    assert contents(tmp_path) == before


def test_a_folder_with_a_picture_of_somebody_else_is_no_runs(tmp_path):
    for name in ("image.png", "history.csv"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(sample("eiffel_tower").read_bytes())
        before = contents(folder)
        with pytest.raises(InputError, match="holds no run; name another folder"):
            run(folder)
        with pytest.raises(InputError, match="holds no run; name another folder"):
            run(None).save(folder)
        assert contents(folder) == before


def test_the_command_does_not_overwrite_its_input(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("photo.webp").write_bytes(sample("chenonceau").read_bytes())
    before = contents(tmp_path)
    assert refused("transfer", "photo.webp", "night_cafe", "-o", "photo.webp", *COMMAND) == 2
    assert refused("transfer", "chenonceau", "photo.webp", "-o", "./photo.webp", *COMMAND) == 2
    assert capsys.readouterr().err.count("'photo.webp' is read and would be overwritten") == 2
    assert contents(tmp_path) == before


def test_a_sweep_and_a_report_leave_foreign_files_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()
    Path("own/table.csv").write_text("year,sales\n2025,7\n")
    Path("own/figure.png").write_text("mine")
    Path("g.toml").write_text('content = "chenonceau"\nstyle = "night_cafe"\n')
    assert refused("sweep", "g.toml", "-o", "own") == 2
    assert "table.csv' is no table of a sweep" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"figure.png' would be overwritten"):
        reproduce("own")
    assert sorted(contents("own")) == ["figure.png", "table.csv"]
    assert contents("own")["table.csv"] == b"year,sales\n2025,7\n"


def test_a_training_does_not_write_among_the_pictures_that_it_reads(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, name in enumerate(("chenonceau", "eiffel_tower", "pont_du_gard", "mont_saint_michel")):
        (photos / f"{i}.webp").write_bytes(sample(name).read_bytes())
    tiny = recipe("adain", steps=1, batch=1, weights="random", device="cpu")
    with pytest.raises(InputError, match=r"lies in '.*photos', which is read"):
        train(tiny, [], [photos], photos / "run", progress=False)
    assert len(contents(photos)) == 4
    assert not (photos / "run").exists()


def test_what_file_managers_leave_is_no_obstacle(tmp_path):
    for name in (".DS_Store", "Thumbs.db", "._image.png", ".image.png.0123456789ab.part"):
        (tmp_path / name).write_text("x")
    assert not run(tmp_path).interrupted
    assert not (tmp_path / ".image.png.0123456789ab.part").exists()  # what a kill had left
    assert (tmp_path / ".DS_Store").exists()


# Inputs are read once.


@pytest.mark.parametrize("scales", [1, 2])
def test_a_picture_that_changes_or_goes_during_a_run_changes_nothing(tmp_path, scales):
    config = replace(TINY, size=(48, 64), steps=6, scales=scales)
    expected = run(None, config)
    for change in (Path.unlink, lambda p: p.write_bytes(sample("eiffel_tower").read_bytes())):
        photo = tmp_path / "photo.webp"
        photo.write_bytes(sample("chenonceau").read_bytes())
        watch = {"on_step": lambda t, change=change, p=photo: t.steps_done == 1 and change(p)}
        found = run(tmp_path / str(change), config, photo, **watch)
        assert torch.equal(found.image, expected.image)
        assert found.info["content_sha256"] == expected.info["content_sha256"]


def test_a_picture_that_changes_between_two_runs_of_a_sweep_fails_the_second(tmp_path, monkeypatch):
    photo, module = tmp_path / "photo.webp", sys.modules["stylelab.sweeps.runs"]
    photo.write_bytes(sample("chenonceau").read_bytes())
    real = module.stylize

    def changing(*given, **named):
        photo.write_bytes(sample("eiffel_tower").read_bytes())
        return real(*given, **named)

    monkeypatch.setattr(module, "stylize", changing)
    axes, out = {"style_weight": [10, 100]}, tmp_path / "sweep"
    table = sweep(photo, "night_cafe", axes, TINY, out, progress=False).table
    assert table["status"].tolist() == ["complete", "failed"]
    assert "changed since the sweep began; start it again" in table["error"].iloc[1]
    first = Result.load(out / table.index[0]).info["content_sha256"]
    assert first == hashlib.sha256(sample("chenonceau").read_bytes()).hexdigest()
    monkeypatch.undo()
    again = sweep(photo, "night_cafe", axes, TINY, out, progress=False).table  # of the new photo
    assert again["status"].value_counts().to_dict() == {"complete": 3, "failed": 1}


def test_weights_that_change_before_they_are_read_are_refused():
    where = torch.device("cpu"), torch.float32
    with pytest.raises(InputError, match="weights 'random' changed since the run began; start it"):
        shared_network(TINY, ["relu1_1"], *where, identity="what the file was")
    assert shared_network(TINY, ["relu1_1"], *where, identity="random-0").layers == ("relu1_1",)


# One run at a time, and each to its end.


def test_a_second_run_on_a_folder_that_is_in_use_is_refused(tmp_path):
    faults = []

    def second():
        try:
            run(tmp_path, replace(TINY, seed=1))
        except InputError as error:
            faults.append(error)

    def watch(transfer):
        if transfer.steps_done == 2:
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()

    run(tmp_path, on_step=watch)
    (fault,) = faults
    assert isinstance(fault, Busy)
    assert "another run is at work in" in str(fault)
    assert Result.load(tmp_path).config.seed == 0


def test_a_folder_that_was_held_for_nothing_is_gone_again(tmp_path):
    with held(tmp_path / "a" / "run"):
        assert (tmp_path / "a" / "run" / LOCK).exists()
    assert not (tmp_path / "a" / "run").exists()


def test_sigterm_saves_a_run_which_then_goes_on_to_the_same_bytes(tmp_path):
    ended, before = [], signal.signal(signal.SIGTERM, lambda *_: ended.append(saved()))

    def saved():
        return sorted(p.name for p in tmp_path.iterdir() if p.name != LOCK)

    def watch(transfer):
        if transfer.steps_done == 2:
            signal.raise_signal(signal.SIGTERM)

    try:
        found = run(tmp_path, on_step=watch)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found.interrupted
    assert ended == [["history.csv", "image.png", "state.pt"]]  # before the process ended
    assert torch.equal(run(tmp_path).image, run(None).image)


FOLLOWER = """
import multiprocessing, sys, time
from stylelab.sweeps.workers import _follow
def work():
    _follow()
    time.sleep(60)
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    print(child.pid, flush=True)
    time.sleep(60)
"""


def test_a_worker_ends_when_the_process_that_started_it_is_killed(tmp_path):
    import psutil

    (tmp_path / "main.py").write_text(FOLLOWER)
    starter = subprocess.Popen([sys.executable, tmp_path / "main.py"], stdout=subprocess.PIPE)
    worker = psutil.Process(int(starter.stdout.readline()))
    deadline = time.monotonic() + 30
    while worker.num_threads() < 2 and time.monotonic() < deadline:  # the second one follows
        time.sleep(0.05)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    psutil.wait_procs([worker], timeout=30)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_workers_of_a_script_without_a_guard_are_refused_once(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text("from stylelab.sweeps.workers import start_workers\nstart_workers(2)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("put the sweep below if __name__ == '__main__':") == 1
    assert done.stderr.count("Traceback") == 1


# What cannot be saved is handed back.


def test_what_cannot_be_saved_is_kept_elsewhere_and_handed_back(tmp_path, monkeypatch):
    real, out = os.replace, tmp_path / "run"

    def full(source, target):
        if Path(target).parent == out:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(NotSaved, match=r"No space left on device; the result is kept in '") as got:
        run(out)
    kept = Path(str(got.value).rpartition("kept in '")[2].rstrip("'"))
    assert torch.equal(got.value.result.image, Result.load(kept).image)
    assert len(Result.load(kept).history) == 4
    monkeypatch.undo()
    assert not run(out).interrupted


def test_the_command_keeps_a_picture_that_it_cannot_save(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "kept"))
    real = os.replace

    def full(source, target):
        if Path(target) == Path("p.png"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    assert refused("transfer", *PAIR, "-o", "p.png", *COMMAND) == 2
    (kept,) = (tmp_path / "kept").rglob("p.png")
    assert f"kept in '{kept.parent}'" in capsys.readouterr().err


def test_places_that_cannot_be_written_are_refused_before_the_first_step(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    steps = []
    for name in ("link", "file", "file/run", "x" * 300, "a\0b"):
        with pytest.raises(InputError, match=r"link to nothing|a file; name|cannot write") as fault:
            run(f"{tmp_path}/{name}", on_step=steps.append)
        assert len(str(fault.value).splitlines()) == 1
    assert not steps


def test_a_folder_with_a_pictures_name_takes_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("d.png").mkdir()
    main(["transfer", *PAIR, "-o", "d.png", *COMMAND])
    assert Path("d.png/result.json").exists()
    assert refused("transfer", *PAIR, "-o", "d.png", *COMMAND, "--seed", "1") == 2
    assert "holds another run" in capsys.readouterr().err


# Files are whole, and those of one run.


def test_files_are_on_the_disk_before_any_takes_its_place(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        note = lambda *given, name=name, real=real: calls.append(name) or real(*given)  # noqa: E731
        monkeypatch.setattr(os, name, note)
    write_together({tmp_path / "a": b"a", tmp_path / "b": b"b"})
    assert calls == ["fsync", "fsync", "replace", "fsync", "replace", "fsync"]  # folders, too


def test_a_file_that_is_open_elsewhere_is_waited_for(tmp_path, monkeypatch):
    """As on Windows, where a viewer keeps others from renaming."""
    real, tries = os.replace, []

    def busy(source, target):
        tries.append(target)
        if len(tries) < 3:
            raise PermissionError(13, "Access is denied")
        real(source, target)

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(InputError, match="Access is denied"):
        write_together({tmp_path / "a": b"new"})
    monkeypatch.setattr(stylelab.files, "PATIENCE", 5.0)
    write_together({tmp_path / "a": b"new"})
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(tries) == 3


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    out = tmp_path_factory.mktemp("swept")
    return sweep(*PAIR, {"style_weight": [10, 100]}, TINY, out, progress=False)


@pytest.mark.parametrize("name", ["image.png", "history.csv"])
@pytest.mark.parametrize("fault", ["gone", "cut", "other"])
def test_a_run_whose_files_are_not_as_written_is_no_longer_complete(swept, name, fault):
    key = swept.table.index[0]
    path = swept.out / key / name
    good = path.read_bytes()
    if fault == "gone":
        path.unlink()
    else:
        path.write_bytes(good[:-9] if fault == "cut" else good[:-9] + b"123456789")
    if fault != "other":  # the table compares sizes, a sweep and loading compare hashes, too
        assert swept.table.loc[key, "status"] == "failed"
    words = f"{name} is missing" if fault == "gone" else f"{name} is not what the run wrote"
    with pytest.raises(InputError, match=rf"is damaged \(ValueError: {words}\)"):
        Result.load(swept.out / key)
    sweep(*PAIR, {"style_weight": [10]}, TINY, swept.out, retry_failed=True, progress=False)
    assert path.read_bytes() == good or name == "history.csv"  # which has seconds
    assert (swept.table["status"] == "complete").all()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"content": 1, "style": "", "config": {}}'])
def test_one_bad_run_json_costs_its_row_and_not_the_table(swept, text):
    path = swept.out / swept.table.index[0] / "run.json"
    good = path.read_bytes()
    path.write_text(text)
    with pytest.warns(UserWarning, match=r"left out: '.*run.json' is damaged; make the sweep agai"):
        assert len(swept.table) == 1
    sweep(*PAIR, {"style_weight": [10]}, TINY, swept.out, progress=False)
    assert path.read_bytes() == good


@pytest.mark.parametrize("text", ["[]", "{}", "", '{"config": 3}', '{"config": {}, "files": [1]}'])
def test_one_bad_result_json_is_a_failed_row(swept, text):
    key = swept.table.index[0]
    path = swept.out / key / "result.json"
    path.write_text(text)
    table = collect(swept.out)
    assert table.loc[key, "status"] == "failed"
    assert "is damaged" in table.loc[key, "error"]
    sweep(*PAIR, {"style_weight": [10]}, TINY, swept.out, retry_failed=True, progress=False)
    assert (swept.table["status"] == "complete").all()


@pytest.mark.parametrize("state", ["cut", "one bit", "no keys", "no list"])
def test_a_damaged_state_fails_its_run_and_heals_when_it_is_retried(tmp_path, state):
    (cell,) = grid(*PAIR, [TINY], TINY)
    folder = halfway(tmp_path / cell.key)
    path = folder / "state.pt"
    if state == "cut":
        path.write_bytes(path.read_bytes()[:999])
    elif state == "one bit":  # of a pixel, in the middle of the largest tensor
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    else:
        kept = torch.load(path, weights_only=True)
        torch.save({"config": kept["config"]} if state == "no keys" else [1], path)
    with pytest.raises(InputError, match=r"damaged|another run"):
        run(folder)
    assert run_all([cell], tmp_path, progress=False).table["status"].tolist() == ["failed"]
    done = run_all([cell], tmp_path, retry_failed=True, progress=False)
    assert done.table["status"].tolist() == ["complete"]
    assert torch.equal(done.result(cell.key).image, run(None).image)


def test_a_run_of_a_newer_version_is_not_called_damaged(swept):
    key = swept.table.index[0]
    path = swept.out / key / "result.json"
    good = json.loads(path.read_text())
    for record in ({**good, "schema": 99}, {**good, "config": {**good["config"], "glow": 1}}):
        path.write_text(json.dumps(record))
        with pytest.raises(InputError, match=r"newer version|does not know; update"):
            Result.load(swept.out / key)
    path.write_text(json.dumps({**good, "schema": 99}))
    assert "made by a newer version of stylelab" in swept.table.loc[key, "error"]
    retry = {"retry_failed": True, "progress": False}
    sweep(*PAIR, {"style_weight": [10]}, TINY, swept.out, **retry)
    assert swept.table.loc[key, "status"] == "failed"
    assert json.loads(path.read_text())["schema"] == 99  # it is not thrown away
    path.write_text(json.dumps(good))


def test_auto_precision_goes_on_as_it_began(tmp_path, monkeypatch):
    config, place = replace(TINY, precision="auto"), "stylelab.training.transfer.pick_precision"
    monkeypatch.setattr(place, lambda *_: torch.bfloat16)
    whole = run(None, config)
    halfway(tmp_path, config)
    monkeypatch.setattr(place, lambda *_: torch.float32)  # another machine
    found = run(tmp_path, config)
    assert found.info["precision"] == "bfloat16"
    assert torch.equal(found.image, whole.image)


# Settings and grids.


def test_options_as_pairs_in_any_order_are_the_same_settings():
    pairs = (("transform", "wct"), ("strength", 0.5))
    configs = [replace(TINY, method="inversion", options=o) for o in (pairs, pairs[::-1])]
    assert configs[0] == configs[1]
    assert configs[0].to_record() == configs[1].to_record()
    assert len({run.key for run in grid(*PAIR, configs, TINY)}) == 1


@pytest.mark.parametrize("kind", [set, frozenset])
def test_a_set_has_no_order_and_is_refused(kind):
    with pytest.raises(InputError, match="style_layers: a set has no order; give a list"):
        replace(TINY, style_layers=kind({"relu1_1", "relu2_1"}))


def test_settings_that_are_no_mapping_are_refused_in_words():
    for wrong in ([1], "x", None, {1: 2}):
        with pytest.raises(InputError, match="settings are a mapping of names to values"):
            Config.from_dict(wrong)


def test_a_grid_has_a_most_that_can_be_raised(tmp_path):
    axes = {name: range(1000) for name in ("seed", "style_weight", "content_weight")}
    with pytest.raises(InputError, match=r"1,000,000,000 runs or more, .* set most"):
        grid(*PAIR, axes, TINY)
    axes = {"seed": range(6), "style_weight": [1, 2]}
    with pytest.raises(InputError, match=r"the grid has 12 runs or more, and more than 11"):
        grid(*PAIR, axes, TINY, most=11)
    assert len(grid(*PAIR, axes, TINY, most=12)) == 12
    path, text = tmp_path / "g.toml", 'content = "chenonceau"\nstyle = "night_cafe"\n'
    path.write_text(f"{text}[axes]\nseed = {list(range(101))}\nsteps = {list(range(1, 101))}\n")
    with pytest.raises(InputError, match="10,100 runs or more"):
        read_grid(path)
    path.write_text(f"most = 20_000\n{path.read_text()}")
    assert len(read_grid(path)) == 10_100


@pytest.mark.parametrize("line", ['axes = "x"', "axes = [1]", "base = 3", 'most = "many"'])
def test_a_grid_file_with_a_value_for_a_table_says_so(tmp_path, line):
    path = tmp_path / "g.toml"
    path.write_text(f'content = "chenonceau"\nstyle = "night_cafe"\n{line}\n')
    with pytest.raises(InputError, match=r"g.toml, line 3: (.* is no table|most='many' should)"):
        read_grid(path)


def test_no_name_in_the_table_is_a_formula(tmp_path):
    from stylelab.sweeps.table import write_table

    row = {
        "run": "0",
        "status": "complete",
        "content": "=HYPERLINK(1)",
        "style": "@x",
        "ssim": -1.5,
    }
    write_table(pd.DataFrame([row]).set_index("run").convert_dtypes(), tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[1] == "0,complete,'=HYPERLINK(1),'@x,-1.5"
    write_table(pd.DataFrame([row]).set_index("run"), tmp_path / "table.csv")  # over its own


def test_a_new_line_in_a_files_name_makes_no_second_line(tmp_path, capsys):
    with pytest.raises(InputError, match=r"a\\nb.png' does not exist") as fault:
        run(None, content=tmp_path / "a\nb.png")
    assert len(str(fault.value).splitlines()) == 1
    assert refused("transfer", f"{tmp_path}/a\nb.png", "night_cafe", "-o", tmp_path / "o") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_sigterm_waits_for_the_film_of_a_run_without_a_folder(tmp_path):
    there, before = (
        [],
        signal.signal(signal.SIGTERM, lambda *_: there.append((tmp_path / "film.gif").exists())),
    )

    def watch(transfer):
        if transfer.steps_done == 2:
            signal.raise_signal(signal.SIGTERM)

    try:
        run(None, on_step=watch, record=tmp_path / "film.gif", record_every=1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert there == [True]


def test_a_picture_of_the_kit_alone_makes_no_run(tmp_path):
    save_image(torch.zeros(1, 3, 32, 48), tmp_path / "image.png")
    (tmp_path / "history.csv").write_text("mine")
    with pytest.raises(InputError, match="holds no run"):
        run(tmp_path)
    assert (tmp_path / "history.csv").read_text() == "mine"


def test_a_run_may_have_the_name_of_its_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert torch.equal(run(Path("random")).image, run(Path("random")).image)
