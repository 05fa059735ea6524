"""Tuning by metrics and by votes; most runs are made by a formula instead of a transfer."""

import math
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

import pandas as pd
import pytest
import torch
from conftest import BASE

import stylelab.sweeps.runs
from stylelab import (
    Ballot,
    InputError,
    Result,
    plot_front,
    read_tuning,
    sweep,
    tune,
    tune_by_votes,
)
from stylelab.cli import main
from stylelab.sweeps.search import STARTUP, Range, Space
from stylelab.sweeps.trials import Judge, Trial

PAIR = ("chenonceau", "night_cafe")
WEIGHT = {"style_weight": (10, 100_000, "log")}


def off(config):
    """Decades from the best style weight, 15849."""
    return abs(math.log10(config.style_weight) - 4.2)


@pytest.fixture
def made(monkeypatch):
    """What was run, by a formula: the best weight is 15849, the best pooling max."""
    found = []

    def stylize(inputs, _, config, folder, progress):
        found.append(config)
        distance = off(config) ** 2 + 0.3 * (config.pooling == "avg")
        metrics = {"style_distance": distance, "content_distance": 5 - off(config), "ssim": 0.5}
        metrics["grain"] = float(inputs.names[0].startswith("eiffel"))
        history = pd.DataFrame({"step": [1], "seconds": [0.1], "total": [1.0]})
        info = {"metrics": metrics, "seconds": 0.1}
        result = Result(torch.full((1, 3, 16, 16), 0.5), history, config, info)
        result.save(folder)
        return result

    monkeypatch.setattr(stylelab.sweeps.runs, "stylize", stylize)
    return found


def quick(out, axes=WEIGHT, metrics="style_distance", **options):
    return tune(*PAIR, axes, metrics, **{"base": BASE, "out": out, "progress": False, **options})


def test_the_model_comes_nearer_to_a_known_best_than_chance(tmp_path, made):
    done = quick(tmp_path, {**WEIGHT, "pooling": ["avg", "max"]}, trials=STARTUP + 4)
    assert len(made) == STARTUP + 4
    (best,) = done.best.itertuples()
    assert best.pooling == "max"
    assert off(best) < 0.1
    drawn, modelled = made[:STARTUP], made[STARTUP:]
    assert sum(map(off, modelled)) / 4 < sum(map(off, drawn)) / STARTUP / 2
    assert done.table.index[0] == best.Index  # the table begins with the best
    assert done.sweep.result(best.Index).config.style_weight == best.style_weight


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_a_tuning_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, made, monkeypatch, end):
    whole = quick(tmp_path / "whole", trials=STARTUP + 1).table
    del made[:]
    real = stylelab.sweeps.runs._make

    def stopped(run, folder, key):
        if len(made) == 3:
            raise end
        return real(run, folder, key)

    monkeypatch.setattr(stylelab.sweeps.runs, "_make", stopped)
    if end is KeyboardInterrupt:
        assert quick(tmp_path / "cut", trials=STARTUP + 1).interrupted
    else:  # as when the process is killed
        with pytest.raises(SystemExit):
            quick(tmp_path / "cut", trials=STARTUP + 1)
    monkeypatch.setattr(stylelab.sweeps.runs, "_make", real)
    assert quick(tmp_path / "cut", trials=3).table["status"].tolist() == ["complete"] * 3
    again = quick(tmp_path / "cut", trials=STARTUP + 1)
    assert not again.interrupted
    pd.testing.assert_frame_equal(again.table, whole)
    assert len(made) == len(set(made)) == STARTUP + 1  # none was made twice


def test_runs_that_are_there_count_and_those_of_other_settings_do_not(tmp_path, made):
    sweep(*PAIR, {"style_weight": [100, 1e6]}, BASE, tmp_path, progress=False)
    sweep(*PAIR, {"style_weight": [1000]}, replace(BASE, seed=3), tmp_path, progress=False)
    sweep("pont_du_gard", "night_cafe", {"seed": [0]}, BASE, tmp_path, progress=False)
    table = quick(tmp_path, trials=2).table
    assert len(made) == 5
    assert 100 in table["style_weight"].tolist()
    assert len(table) == 2
    assert len(quick(tmp_path, trials=1).table) == 2  # what is there is told, wanted or not


def test_a_small_space_ends_with_all_its_settings_each_made_once(tmp_path, made):
    axes = {"pooling": ["max", "avg"], "seed": (0, 2)}
    table = quick(tmp_path, axes, trials=20).table
    assert sorted(zip(table["pooling"], table["seed"], strict=True)) == [
        ("avg", 0), ("avg", 1), ("avg", 2), ("max", 0), ("max", 1), ("max", 2),
    ]  # fmt: skip
    assert len(made) == 6


def test_a_trial_is_the_mean_over_its_pairs(tmp_path, made):
    pairs = [("chenonceau", "night_cafe"), ("eiffel_tower", "night_cafe")]
    done = tune(
        "", "", {("content", "style"): pairs, **WEIGHT}, "grain", 2, BASE, tmp_path, progress=False
    )
    assert len(made) == 4
    assert done.table["grain"].tolist() == [0.5, 0.5]
    assert len(done.sweep.table) == 4


def test_a_trial_that_fails_is_a_row_and_is_made_again_on_request(tmp_path, made, monkeypatch):
    real = stylelab.sweeps.runs.stylize

    def fail(inputs, styles, config, *rest, **more):
        if len(made) == 1:
            made.append(config)
            raise InputError("no luck")
        return real(inputs, styles, config, *rest, **more)

    monkeypatch.setattr(stylelab.sweeps.runs, "stylize", fail)
    table = quick(tmp_path, trials=3).table
    assert sorted(table["status"]) == ["complete", "complete", "failed"]
    assert table["error"].dropna().tolist() == ["InputError: no luck"]
    assert len(made) == 3
    done = quick(tmp_path, trials=3, retry_failed=True)
    assert (done.table["status"] == "complete").all()
    assert len(made) == 4


def trial(**metrics):
    return Trial(BASE, {}, ("k",), "complete", metrics)


def test_what_is_small_by_hand():
    some = trial(style_distance=0.5, ssim=0.8, seconds=3.0)
    assert Judge("ssim").values(some) == [-0.8]
    assert Judge(["style_distance", "ssim"]).values(some) == [0.5, -0.8]
    assert Judge(["style_distance", "ssim"]).names == ("style_distance", "-ssim")
    weighted = Judge({"style_distance": 2, "ssim": 1})
    assert weighted.values(some) == [pytest.approx(2 * 0.5 - 0.8)]
    assert weighted.names == ("weighted",)
    assert Judge("-seconds").values(some) == [-3]
    assert Judge("seconds").told([trial(seconds=math.nan)]) == []
    with pytest.raises(InputError, match=r"unknown metric of these runs 'saved/nope'"):
        Judge("saved/nope").values(some)


def test_several_metrics_have_a_front(tmp_path, made):
    """Nearer to the painting is further from the photograph: no weight beats another."""
    done = quick(tmp_path, WEIGHT, ["style_distance", "content_distance"], trials=4)
    assert len(done.best) == 4
    ax = plot_front(done.table, done.metrics, "style_weight")
    assert len(ax.lines[1].get_xdata()) == 4
    points = sorted(zip(*ax.lines[1].get_data(), strict=True))
    for written, (x, y) in zip(ax.texts, points, strict=True):  # on the side that no run is on
        ax.figure.draw_without_rendering()
        box, at = written.get_window_extent(), ax.transData.transform((x, y))
        assert box.x1 < at[0] or box.y1 < at[1]
    best = quick(tmp_path, WEIGHT, {"style_distance": 1, "ssim": 2}, trials=4)
    assert len(best.best) == 1
    expected = best.table["style_distance"] - 2 * 0.5
    assert best.table["weighted"].tolist() == pytest.approx(expected.tolist())


def test_axes_are_lists_ranges_and_settings_that_move_together():
    axes = {
        "steps": (5, 50),
        "tv_weight": {"low": 1, "high": 100, "log": True},
        "size": [(32, 48), 64],
        ("method", "options.strength"): [("inversion", 0.5), ("inversion", 1.0)],
    }
    space = Space(*PAIR, axes, BASE)
    assert space.axes[("steps",)] == Range(5, 50, whole=True)
    assert space.axes[("tv_weight",)] == Range(1, 100, log=True)  # a float, whatever was written
    asked = {"steps": 7, "tv_weight": 2.5, "size": 1, "method options.strength": 1}
    config = space.settings(asked)
    assert (config.steps, config.tv_weight, config.size) == (7, 2.5, 64)
    assert dict(config.options) == {"strength": 1.0}
    assert space.proposal_of(config) == asked
    assert space.proposal_of(replace(config, steps=51)) is None
    assert space.proposal_of(replace(config, seed=1)) is None
    first, second = space.propose([], set(), 0, 2)
    assert first != second
    assert space.propose([], set(), 0, 1) == [first]  # by the seed
    assert space.propose([], set(), 1, 1) != [first]
    assert float(f"{first.tv_weight:.4g}") == first.tv_weight


@pytest.mark.parametrize(
    ("axes", "fault"),
    [
        ({}, "nothing to search"),
        ({"content": ["chenonceau"]}, "nothing to search"),
        ({"style_wieght": (1, 2)}, "did you mean 'style_weight'"),
        ({"style_weight": (10, 1)}, "low=10 should be below high=1"),
        ({"style_weight": (0, 1, "log")}, "above 0 for log"),
        ({"style_weight": (0, "much")}, "a list of values, or a range"),
        ({"style_weight": {"low": 1, "hihg": 2}}, "did you mean 'high'"),
        ({"style_weight": []}, "has no values"),
        ({"pooling": ["max", "median"]}, "pooling='median'"),
        ({"steps": (0, 5)}, "steps=0"),
        ({("steps", "seed"): (1, 5)}, "a list of values, or a range"),
        ({("content", "seed"): [("chenonceau", 1)]}, "pictures are an axis of their own"),
    ],
)
def test_a_wrong_axis_is_said_in_a_line(tmp_path, axes, fault):
    with pytest.raises(InputError, match=fault.replace("(", r"\(")):
        quick(tmp_path / "out", axes)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("metrics", "fault"),
    [
        ("stile_distance", "did you mean 'style_distance'"),
        ([], "metrics is empty"),
        ({"ssim": 0}, "should be a number above 0"),
    ],
)
def test_a_wrong_metric_is_said_in_a_line(tmp_path, metrics, fault):
    with pytest.raises(InputError, match=fault):
        quick(tmp_path, metrics=metrics)


def test_without_optuna_a_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'stylelab\[tune\]'"):
        quick(tmp_path)


FILE = """content = "chenonceau"
style = "night_cafe"
[base]
size = [32, 48]
steps = 2
weights = "random"
[axes]
style_weight = {low = 10, high = 1e5, log = true}
pooling = ["max", "avg"]
[tune]
metrics = ["style_distance", "content_distance"]
trials = 2
"""


def test_the_command_makes_trials_and_writes_their_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("t.toml").write_text(FILE)
    main(["tune", "t.toml", "-o", "out"])
    assert "2 trials; the best:" in capsys.readouterr().out
    trials = pd.read_csv("out/trials.csv", index_col="run")
    assert set(trials.index) == set(pd.read_csv("out/table.csv", index_col="run").index)
    assert (trials["status"] == "complete").all()
    assert trials["style_weight"].between(10, 1e5).all()


def test_a_file_is_read_and_what_is_wrong_in_it_has_its_line(tmp_path, capsys):
    path = tmp_path / "t.toml"
    path.write_text(FILE)
    asked = read_tuning(path)
    assert (asked["trials"], asked["seed"]) == (2, 0)
    assert asked["base"].steps == 2
    for before, after, fault in (
        ("style_weight =", "style_wieght =", "line 8: unknown setting 'style_wieght'"),
        ("trials = 2", "trails = 2", "line 12: unknown key 'trails'"),
        ("trials = 2", 'trials = "2"', "line 12: trials='2' should be a whole number"),
        ('metrics = ["style', 'metrics = ["stile', "unknown metric 'stile_distance'"),
        ("[tune]", "", "metrics are missing; write .tune."),
    ):
        path.write_text(FILE.replace(before, after))
        with pytest.raises(InputError, match=fault):
            read_tuning(path)
    with pytest.raises(SystemExit) as stopped:
        main(["tune", str(path)])
    assert stopped.value.code == 2
    assert "t.toml" in capsys.readouterr().err


def test_one_trial_does_not_wait_for_votes_that_nobody_can_give(tmp_path, made):
    for count in (1, 2, 2):
        tune_by_votes(*PAIR, WEIGHT, tmp_path / "votes.csv", more=1, base=BASE,
                      out=tmp_path / "runs", progress=False)  # fmt: skip
        assert len(made) == count


def test_a_range_of_a_whole_setting_may_end_in_1e1():
    (axis,) = Space("", "", {"steps": (2, 1e1, "log")}, BASE).axes.values()
    assert (axis.whole, axis.high, type(axis.high)) == (True, 10, int)


def test_votes_lead_to_what_the_voter_likes(tmp_path, made):
    """A voter who always prefers the weight that is nearer to 15849."""
    votes = tmp_path / "votes.csv"

    def go():
        options = {"base": BASE, "out": tmp_path / "runs", "progress": False}
        return tune_by_votes(*PAIR, WEIGHT, votes, more=4, **options)

    assert go().table["strength"].isna().all()
    assert len(made) == 4
    go()
    assert len(made) == 4  # none before there are votes
    for calls in (2, 3):
        tuned = go()
        ballot = Ballot(tuned.sweep, votes)
        distances = tuned.table["style_weight"].map(lambda w: abs(math.log10(w) - 4.2))
        while min(ballot.votes.values()) == 0:
            ballot.vote(int(distances[ballot.pair[0]] > distances[ballot.pair[1]]))
        tuned = go()
        assert len(made) == 4 * calls
    assert median(map(off, made[8:])) < median(map(off, made[:8])) / 2
    ranked = tuned.table.dropna(subset="strength")
    assert len(ranked) == 8
    assert tuned.best.index[0] == distances.idxmin()
    assert (ranked["low"] < ranked["strength"]).all()
