import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from conftest import BASE

import stylelab.sweeps.runs
from stylelab import (
    InputError,
    Result,
    Sweep,
    SweepExplorer,
    Transfer,
    collect,
    grid,
    run_all,
    sample,
    sweep,
)
from stylelab.cli import main
from stylelab.metrics import METRICS
from stylelab.sample_pictures import find_styles
from stylelab.sweeps.grids import (
    TABLES,
    estimate,
    flat,
    read_grid,
    shipped_grids,
    shipped_table,
    summary,
)

PAIR = ("chenonceau", "night_cafe")
TWELVE = {"style_weight": [10, 100, 1000], "size": [(32, 48), (48, 64)], "tv_weight": [0, 10]}
VARIES = ["seconds", "peak_memory_mb"]


def quick(out, axes=None, **options):
    axes = {"style_weight": [10, 1000]} if axes is None else axes
    options = {"base": BASE, "out": out, "progress": False} | options
    return sweep(*PAIR, axes, **options)


def stamps(out):
    return {p: p.stat().st_mtime_ns for p in Path(out).rglob("*.*") if p.name != ".stylelab"}


def test_axes_multiply_in_order():
    runs = grid(*PAIR, {"style_weight": [1, 2], "seed": [0, 1, 2]}, BASE)
    assert [(r.config.style_weight, r.config.seed) for r in runs] == [
        (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2),
    ]  # fmt: skip
    assert len({run.key for run in runs}) == 6


def test_a_tuple_of_settings_moves_together_and_pictures_are_axes():
    axes = {
        ("content_weight", "style_weight"): [(1, 10), (2, 20)],
        "style": ["night_cafe", "harvest_at_la_crau"],
    }
    runs = grid("chenonceau", "", axes, BASE)
    assert [(r.config.content_weight, r.config.style_weight, r.style) for r in runs] == [
        (1, 10, "night_cafe"), (1, 10, "harvest_at_la_crau"),
        (2, 20, "night_cafe"), (2, 20, "harvest_at_la_crau"),
    ]  # fmt: skip


def test_a_list_of_configs_is_a_grid():
    configs = [BASE, replace(BASE, seed=1), BASE]
    assert [run.config for run in grid(*PAIR, configs, BASE)] == configs


def test_the_table_is_tidy_and_typed(tmp_path):
    done = quick(tmp_path, {"style_weight": [1000, 10], "size": [(48, 64), (32, 48)]})
    table = done.table
    assert list(zip(table["style_weight"], table["size"], strict=True)) == [
        (1000, "48x64"), (10, "48x64"), (1000, "32x48"), (10, "32x48"),
    ][::-1]  # fmt: skip
    assert (table["status"] == "complete").all()
    assert table["content"].unique().tolist() == ["chenonceau"]
    for column in ("last/total", "last/tv", "ssim", "content_distance", "seconds", "learning_rate"):
        assert pd.api.types.is_numeric_dtype(table[column]), column
    key = table.index[0]
    assert done.result(key).config.style_weight == 10
    assert table.loc[key, "saved/total"] == pytest.approx(done.result(key).losses["total"])
    assert (table["outside"] > 0).all()
    assert table.loc[key, "last/total"] == pytest.approx(done.result(key).history["total"].iloc[-1])
    histories = done.histories
    assert len(histories) == 4 * 2
    assert set(histories["run"]) == set(table.index)
    table.to_parquet(tmp_path / "table.parquet")
    again = pd.read_parquet(tmp_path / "table.parquet")
    assert again["ssim"].tolist() == table["ssim"].tolist()
    assert Sweep.load(tmp_path).table.equals(table)


def test_rerun_skips_completed_runs_and_growing_computes_only_what_is_new(tmp_path):
    quick(tmp_path)
    before = stamps(tmp_path)
    quick(tmp_path)
    assert stamps(tmp_path) == before
    table = quick(tmp_path, {"style_weight": [10, 100, 1000]}).table
    assert table["style_weight"].tolist() == [10, 100, 1000]
    assert before.items() <= stamps(tmp_path).items()


def test_partial_runs_are_redone(tmp_path):
    done = quick(tmp_path)
    key = done.table.index[0]
    (tmp_path / key / "result.json").unlink()
    assert done.table.loc[key, "status"] == "pending"
    assert (quick(tmp_path).table["status"] == "complete").all()


def test_a_run_that_fails_is_a_row_with_its_error_until_it_is_retried(tmp_path, monkeypatch):
    config, made = replace(BASE, seed=1), stylelab.sweeps.runs.stylize

    def fail(content, style, settings, *rest, **more):
        if settings == config:
            raise InputError("no luck")
        return made(content, style, settings, *rest, **more)

    monkeypatch.setattr("stylelab.sweeps.runs.stylize", fail)
    out = tmp_path / "sweep"
    table = quick(out, [BASE, config]).table
    assert sorted(table["status"]) == ["complete", "failed"]
    (error,) = table["error"].dropna()
    assert error == "InputError: no luck"
    before = stamps(out)
    quick(out, [BASE, config])
    assert stamps(out) == before
    monkeypatch.undo()
    assert (quick(out, [BASE, config], retry_failed=True).table["status"] == "complete").all()


def test_a_picture_to_start_from_is_part_of_the_run(tmp_path):
    start = tmp_path / "start.png"
    config = replace(BASE, init=str(start))
    start.write_bytes(sample("chenonceau").read_bytes())
    before = grid(*PAIR, [config], BASE)[0].key
    quick(tmp_path / "sweep", [config])
    start.write_bytes(sample("night_cafe").read_bytes())
    assert grid(*PAIR, [config], BASE)[0].key != before
    assert len(quick(tmp_path / "sweep", [config]).table) == 2


def test_sizes_of_one_number_are_sorted_by_pixels(tmp_path):
    table = quick(tmp_path, {"size": [(32, 48), 64, 40]}).table
    assert table["size"].tolist() == [40, "32x48", 64] or table["size"].tolist() == [
        "32x48", 40, 64,
    ]  # fmt: skip
    assert quick(tmp_path / "other", {"size": [64, 40]}).table["size"].tolist() == [40, 64]


def test_threads_are_given_back_and_workers_are_counted_from_one(tmp_path):
    before = torch.get_num_threads()
    quick(tmp_path, threads=1)
    assert torch.get_num_threads() == before
    for wrong in ({"workers": 0}, {"threads": 0}):
        with pytest.raises(InputError, match="should be 1 or above"):
            quick(tmp_path, **wrong)


def test_a_corrupt_run_is_a_failed_row_and_can_be_retried(tmp_path):
    done = quick(tmp_path)
    key = done.table.index[0]
    (tmp_path / key / "result.json").write_text("{")
    row = quick(tmp_path).table.loc[key]
    assert row["status"] == "failed"
    assert re.search("is damaged .*; retry the failed runs", row["error"])
    assert (quick(tmp_path, retry_failed=True).table["status"] == "complete").all()


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    out = tmp_path_factory.mktemp("serial")
    return quick(out, TWELVE, threads=1).table.drop(columns=VARIES)


def test_two_processes_give_the_same_table(tmp_path, serial):
    table = quick(tmp_path, TWELVE, workers=2, threads=1).table.drop(columns=VARIES)
    pd.testing.assert_frame_equal(table, serial, check_exact=True)


def test_a_dask_cluster_gives_the_same_table(tmp_path, serial):
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        LocalCluster(host="127.0.0.1", **options) as cluster,
        Client(cluster) as client,
    ):
        executor = client.get_executor(pure=False)
        table = quick(tmp_path, TWELVE, executor=executor, threads=1).table.drop(columns=VARIES)
    pd.testing.assert_frame_equal(table, serial, check_exact=True)


def test_workers_that_do_not_see_the_folder_send_their_files_back(tmp_path, monkeypatch):
    """A thread pool stands for a far machine: what it is told as folder exists nowhere."""
    module = importlib.import_module("stylelab.sweeps.runs")
    real = module.execute

    def far(key, run, out, *rest):
        return real(key, run, tmp_path / "nowhere", *rest)

    monkeypatch.setattr(module, "execute", far)
    with ThreadPoolExecutor(1) as executor:
        table = quick(tmp_path / "sweep", executor=executor).table
    assert (table["status"] == "complete").all()
    assert not (tmp_path / "nowhere").exists()
    assert Result.load(tmp_path / "sweep" / table.index[0]).config.steps == 2


def test_a_worker_that_dies_costs_its_run_and_not_the_sweep(tmp_path):
    configs = [replace(BASE, steps=100_000), BASE, replace(BASE, seed=1)]
    sweeping = threading.Thread(target=quick, args=(tmp_path, configs), kwargs={"workers": 2})
    sweeping.start()
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("*/result.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    for child in psutil.Process().children():
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    sweeping.join(60)
    assert not sweeping.is_alive()
    table = collect(tmp_path).set_index("steps")
    assert table.loc[2, "status"].tolist() == ["complete", "complete"]
    assert table.loc[100_000, "status"] == "failed"
    assert "ProcessExpired" in table.loc[100_000, "error"]


def test_two_sweeps_on_one_folder_do_each_run_once(tmp_path):
    made = []
    module = importlib.import_module("stylelab.sweeps.runs")
    real = module._make

    def counting(run, folder, key):
        made.append(key)
        return real(run, folder, key)

    axes = {"style_weight": [10, 100, 1000]}
    module._make = counting
    try:
        threads = [threading.Thread(target=quick, args=(tmp_path, axes)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        module._make = real
    assert sorted(made) == sorted(set(made))
    assert len(made) == 3
    assert (collect(tmp_path)["status"] == "complete").all()


def test_ctrl_c_keeps_what_there_is_and_the_same_sweep_goes_on(tmp_path, monkeypatch):
    axes, base, made = {"seed": [0, 1, 2]}, replace(BASE, steps=6), []
    step = Transfer.step

    def interrupted(transfer):
        step(transfer)
        made.append(1)
        if len(made) == 8:  # the second step of the second run
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Transfer, "step", interrupted)
    table = quick(tmp_path, axes, base=base).table
    assert table["status"].tolist() == ["complete", "interrupted", "pending"]
    assert (tmp_path / table.index[1] / "state.pt").exists()
    assert (quick(tmp_path, axes, base=base).table["status"] == "complete").all()
    assert len(made) == 18  # no step was made twice


def test_methods_and_their_options_are_axes_with_columns_of_their_own(tmp_path):
    axes = {("method", "options.strength"): [("inversion", 0.5), ("inversion", 1)]}
    configs = [run.config for run in grid(*PAIR, axes, BASE)] + [BASE]
    done = quick(tmp_path, configs)
    table = done.table
    assert (table["status"] == "complete").all()
    assert table["method"].tolist() == ["gatys", "inversion", "inversion"]
    assert table["options.strength"].dropna().tolist() == [0.5, 1]
    assert "options" not in table
    explorer = SweepExplorer(done)
    assert set(explorer.sliders) == {"method", "options.strength"}
    explorer.sliders["method"].value = "inversion"
    explorer.sliders["options.strength"].value = 0.5
    assert explorer.run == table.index[table["options.strength"] == 0.5][0]
    table.to_parquet(tmp_path / "table.parquet")


def test_options_of_an_axis_are_put_to_those_of_the_base():
    base = replace(BASE, method="inversion", options={"transform": "wct"})
    runs = grid(*PAIR, {"options.strength": [0.5, 1], "seed": [0, 1]}, base)
    found = [dict(run.config.options) for run in runs]
    assert found == [{"transform": "wct", "strength": s} for s in (0.5, 0.5, 1, 1)]
    assert summary(runs)["options.strength"].tolist() == [0.5, 0.5, 1, 1]
    with pytest.raises(InputError, match="options of 'inversion': unknown setting 'nope'"):
        grid(*PAIR, {"options.nope": [1]}, base)


def test_several_styles_are_one_axis_value(tmp_path, monkeypatch):
    both = "night_cafe+harvest_at_la_crau"
    table = quick(tmp_path, {"style": ["night_cafe", both]}).table
    assert (table["status"] == "complete").all()
    assert table["style"].tolist() == ["night_cafe", both]
    monkeypatch.chdir(tmp_path)
    Path("a+b.webp").write_bytes(sample("night_cafe").read_bytes())
    assert find_styles("a+b.webp") == [Path("a+b.webp")]
    with pytest.raises(InputError, match="did you mean 'night_cafe'"):
        quick(tmp_path, {"style": ["night_cafe+night_caffe"]})


def test_a_grid_file_takes_methods_and_options(tmp_path):
    text = 'content = "chenonceau"\nstyle = "night_cafe+harvest_at_la_crau"\n'
    text += '[base]\nmethod = "inversion"\nblend = [1, 2]\noptions.transform = "wct"\n'
    for axis in ("options.strength = [0.5, 1]", '"options.strength" = [0.5, 1]'):
        (tmp_path / "g.toml").write_text(f"{text}[axes]\n{axis}\n")
        runs = read_grid(tmp_path / "g.toml")
        assert [r.config.method_options.strength for r in runs] == [0.5, 1]
        assert {r.config.method_options.transform for r in runs} == {"wct"}
        assert {r.config.blend for r in runs} == {(1, 2)}


GOOD = 'content = "chenonceau"\nstyle = "night_cafe"\n[axes]\nstyle_weight = [1, 2]\n'
BAD_GRIDS = {
    "no TOML": ("content = \n", r"line 1"),
    "unknown key": ('contents = "a"\n', r"grid.toml, line 1: unknown key 'contents'.*did you mean"),
    "no content": ('style = "night_cafe"\n', "content is missing"),
    "unknown preset": (f'preset = "papr"\n{GOOD}', r"grid.toml, line 1: unknown preset 'papr'"),
    "unknown setting": (GOOD + "\nstyle_wieght = [1]\n", r"line 6: unknown setting 'style_wieght'"),
    "unknown base": (GOOD + "[base]\nstep = 3\n", r"line 6: unknown setting 'step'"),
    "twice": (GOOD + '"steps seed" = [[1, 2]]\nseed = [1]\n', "line 6: seed is on two axes"),
    "empty axis": (GOOD + "tv_weight = []\n", r"line 5: axis tv_weight has no values"),
    "axis in words": (GOOD + 'pooling = "max"\n', r"line 5: axis pooling has no values"),
    "no list": (GOOD + "steps = 5\n", r"line 5: axis steps has no values"),
    "bad value": (GOOD + "steps = [5, 0]\n", r"line 5: steps=0: should be greater"),
    "short pair": (GOOD + '"seed steps" = [[1]]\n', r"line 5: axis seed steps: each value"),
    "unknown method": (GOOD + 'method = ["gaty"]\n', r"line 5: .*unknown method 'gaty'"),
    "no such option": (
        GOOD + "options.strength = [1]\n",
        r"options of 'gatys': unknown setting 'strength'",
    ),
    "bad option": (
        GOOD + 'method = ["inversion"]\noptions.strength = [2]\n',
        r"line 6: options of 'inversion': strength=2: should be less",
    ),
    "unknown sample": (GOOD.replace("chenonceau", "chenoncau"), "did you mean 'chenonceau'"),
    "missing picture": (GOOD.replace("chenonceau", "no.jpg"), "'no.jpg' does not exist"),
}


@pytest.mark.parametrize("case", BAD_GRIDS)
def test_bad_grids_give_one_line_and_status_2(case, tmp_path, monkeypatch, capsys):
    text, words = BAD_GRIDS[case]
    monkeypatch.chdir(tmp_path)
    Path("grid.toml").write_text(text)
    with pytest.raises(SystemExit) as stopped:
        main(["sweep", "grid.toml", "--out", "out"])
    printed = capsys.readouterr().err
    assert stopped.value.code == 2
    assert printed.count("\n") == 1
    assert re.search(words, printed), printed
    assert not Path("out").exists()


def test_more_bad_input_gives_one_line(tmp_path):
    with pytest.raises(
        InputError, match=r"nowhere.toml'.*give a grid file, or a shipped grid: amb"
    ):
        read_grid("nowhere.toml")
    with pytest.raises(InputError, match="holds no sweep"):
        Sweep.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        quick(tmp_path / "file" / "out")
    with pytest.raises(InputError, match="axis seed has no values"):
        quick(tmp_path / "out", {"seed": []})


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    quick(tmp_path, {"style_weight": [10]})
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.*")}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device; name another place"):
        quick(tmp_path, {"style_weight": [10, 1000]})
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in before} == before
    assert (quick(tmp_path, {"style_weight": [10, 1000]}).table["status"] == "complete").all()


def test_shipped_grids_are_read():
    lengths = {"ambiguities": 96, "class": 9, "resolution": 8, "weights": 20}
    lengths |= {"eyes": 72, "layers": 30, "pairs": 35, "scale": 15, "sizes": 15}
    assert {name: len(read_grid(name)) for name in shipped_grids()} == lengths


@pytest.mark.parametrize("name", TABLES)
def test_a_shipped_table_is_of_the_runs_of_its_grid(name):
    table, runs = shipped_table(name), {run.key: run for run in read_grid(name)}
    assert set(table.index) == set(runs)
    assert (table["status"] == "complete").all()
    for key, row in table.iterrows():
        settings = {**flat(runs[key].config.to_dict()), "content": Path(runs[key].content).stem}
        for column in table.columns.intersection(list(settings)):
            assert row[column] == settings[column], (key, column)


def test_a_shipped_table_is_what_a_run_of_its_grid_gives(tmp_path):
    run = read_grid("pairs")[3]
    row = run_all([run], tmp_path, progress=False).table.loc[run.key]
    found = shipped_table("pairs").loc[run.key]
    for metric in found.index.intersection(METRICS):
        assert row[metric] == pytest.approx(found[metric], rel=0.15), metric
    with pytest.raises(InputError, match="table of a shipped grid 'nobody'"):
        shipped_table("nobody")


def test_a_grid_file_may_vary_its_pictures_together(tmp_path):
    path = tmp_path / "g.toml"
    path.write_text(
        '[axes]\n"content style" = [["chenonceau", "night_cafe"], ["eiffel_tower", "night_cafe"]]\n'
    )
    assert [run.content for run in read_grid(path)] == ["chenonceau", "eiffel_tower"]
    path.write_text('[axes]\n"style steps" = [["night_cafe", 2]]\n')
    with pytest.raises(InputError, match="content is missing"):
        read_grid(path)


def test_the_command_sweeps_and_a_dry_run_only_tells(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("g.toml").write_text(GOOD + "[base]\nsize = [32, 48]\nsteps = 2\n")
    main(["sweep", "g.toml", "--dry-run"])
    assert "2 runs: about 0 minutes one by one, 0 MB" in capsys.readouterr().out
    assert not Path("runs").exists()
    main(["sweep", "g.toml"])
    assert "{'complete': 2}" in capsys.readouterr().out
    assert len(pd.read_csv("runs/g/table.csv")) == 2
    spec = json.loads(next(Path("runs/g").glob("*/run.json")).read_text())
    assert spec["content"] == "chenonceau"


def test_the_command_judges_its_own_runs_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = 'content = "chenonceau"\nstyle = "night_cafe"\n[base]\nsize = [32, 48]\nsteps = 2\n'
    Path("one.toml").write_text(text + "[axes]\nseed = [1]\n")
    Path("night_cafe").mkdir()  # no picture, so the sample is meant
    pending = Path("all/0123456789abcdef")
    pending.mkdir(parents=True)
    record = {"content": "chenonceau", "style": "night_cafe", "config": BASE.to_dict()}
    (pending / "run.json").write_text(json.dumps(record))
    main(["sweep", "one.toml", "-o", "all"])
    assert "'pending': 1" in capsys.readouterr().out

    def fail(*given, **named):
        raise InputError("no luck")

    monkeypatch.setattr("stylelab.sweeps.runs.stylize", fail)
    with pytest.raises(SystemExit) as stopped:
        main(["sweep", "one.toml", "-o", "none"])
    assert stopped.value.code == 2
    assert "all runs failed" in capsys.readouterr().err


def test_the_estimate_knows_that_coarse_scales_are_small(monkeypatch):
    base = replace(BASE, size=(64, 96), steps=30)
    ticks = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    (whole, _), (scaled, _) = (estimate(grid(*PAIR, {"scales": [n]}, base)) for n in (1, 2))
    assert scaled / whole == pytest.approx((20 / 4 + 10) / 30)


def test_the_estimate_counts_steps_and_pixels():
    runs = grid(*PAIR, {"steps": [10, 20]}, BASE)
    seconds, size = estimate(runs)
    assert 0.01 < seconds < 60
    assert size == 2 * 3 * 32 * 48 + 150 * 30


def test_a_run_ends_early_below_the_objective_that_is_asked_for(tmp_path):
    base = replace(BASE, steps=60)
    total = quick(tmp_path, [base]).histories["total"]
    goal = float(total.iloc[3:].min() * 1.5)
    done = quick(tmp_path / "early", [replace(base, stop_below=goal)])
    early = done.histories["total"]
    assert len(early) < 60
    assert early.iloc[-1] < goal <= early.iloc[:-1].min()
    assert done.table["status"].tolist() == ["complete"]


def test_the_sweep_command_needs_no_dask_unless_asked(tmp_path):
    code = "import sys, stylelab.sweeps.runs; assert 'distributed' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
