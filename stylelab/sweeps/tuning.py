"""Tuning: a model of the trials so far proposes the settings of the next, by metrics or by votes.

The run folders are all that is kept. What comes next depends on the finished ones and on the seed,
so that a tuning that was stopped or killed goes on as if it had not been.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from stylelab.errors import InputError, unknown
from stylelab.files import check_writable
from stylelab.presets import PRESETS
from stylelab.sweeps.grids import grid_file
from stylelab.sweeps.runs import run_all
from stylelab.sweeps.search import Settings, Space, load_optuna
from stylelab.sweeps.trials import Judge, Tuned, find_trials, read_trial, tabulate
from stylelab.sweeps.votes import rank_votes, read_votes

TRIALS = 20


def tune(
    content: str | Path,
    style: str | Path,
    axes: Mapping[str | tuple[str, ...], Any],
    metrics: str | Sequence[str] | Mapping[str, float],
    trials: int = TRIALS,
    base: Settings = PRESETS["paper"],
    out: str | Path = "runs/tune",
    seed: int = 0,
    retry_failed: bool = False,
    progress: bool = True,
) -> Tuned:
    """Search the settings that make metrics best, each trial being runs of a sweep in ``out``.

    Runs that are there count as trials if their settings are in the space, whoever made them. The
    same call goes on after Ctrl-C or a kill; with more ``trials`` it makes those that are missing.

    Args:
        content, style, base, out, retry_failed, progress: as for `sweep`.
        axes: for each setting a list of values, or a range: (low, high) or (low, high, "log").
            "content" and "style" are not searched: every trial is made on all of their values.
        metrics: a metric; several, for the Pareto front; or a weight for each, for their sum. Of
            the kit's own it is known which are better high; of other columns, write "-column".
        trials: how many different settings to try; fewer where the space has fewer.
        seed: of the first six trials, drawn by chance, and of the model that proposes the others.

    Raises:
        InputError: Optuna is missing, an axis, a value, a metric or its weight is not allowed, or
            ``out`` cannot be written.
    """
    judge, space, out = Judge(metrics), Space(str(content), str(style), axes, base), Path(out)
    if trials < 1:
        raise InputError(f"trials={trials} should be 1 or above")
    load_optuna()
    check_writable(out)
    made = find_trials(space, out)
    if retry_failed:
        failed = [run for t in made if t.status == "failed" for run in space.runs(t.settings)]
        run_all(failed, out, retry_failed=True, progress=False)
        made = find_trials(space, out)
    interrupted = False
    with tqdm(total=trials, initial=len(made), unit="trial", disable=not progress) as bar:
        while len(made) < trials and not interrupted:
            new = space.propose(judge.told(made), {trial.settings for trial in made}, seed)
            if not new:  # all that there is
                break
            run_all(space.runs(new[0]), out, progress=False)
            trial = read_trial(space, out, new[0])
            if interrupted := trial.status == "pending":
                continue
            made = sorted([*made, trial], key=lambda trial: trial.keys)
            if progress:
                found = judge.measures(trial).items()
                words = ", ".join(f"{name} {value:.4g}" for name, value in found)
                bar.write(f"{trial.keys[0]} {words or trial.record['error']}")
            bar.update()
    columns = [judge.measures(trial) for trial in made]
    return tabulate(space, out, made, columns, judge.names, interrupted)


def tune_by_votes(
    content: str | Path,
    style: str | Path,
    axes: Mapping[str | tuple[str, ...], Any],
    votes: str | Path,
    more: int = 4,
    base: Settings = PRESETS["paper"],
    out: str | Path = "runs/votes",
    seed: int = 0,
    progress: bool = True,
) -> Tuned:
    """Search the settings that people like best: make runs, have them compared, call again.

    Each call ranks what was voted on (`rank_votes`) and makes ``more`` trials that a model of the
    ranking proposes. As long as a trial has no vote, a call makes no new ones: vote on the pictures
    with ``Ballot(tuned.sweep, votes)`` first.

    Args:
        content, style, axes, base, out, seed: as for `tune`.
        votes: the file of a `Ballot` on these runs; at first there is none.
        more: trials of a call.

    Returns:
        Trials with their strength in log odds (see `rank_votes`), its interval and their votes;
        trials without votes have none of these.

    Raises:
        InputError: as for `tune` and `rank_votes`, or ``votes`` is no file of votes.
    """
    space, out, votes = Space(str(content), str(style), axes, base), Path(out), Path(votes)
    if more < 1:
        raise InputError(f"more={more} should be 1 or above")
    load_optuna()
    check_writable(out)
    made = find_trials(space, out)
    labels = {key: t.keys[0] for t in made if t.status == "complete" for key in t.keys}
    given = read_votes(votes) if votes.exists() else None
    ranked: dict[str, dict[str, Any]] = {}
    interrupted = False
    if given is not None:
        given = given[given["left"].isin(labels) & given["right"].isin(labels)]
        counted = given[given["left"].map(labels) != given["right"].map(labels)]
        if len(counted):
            ranking = rank_votes(counted, labels).drop(columns="wins")
            ranked = {str(key): dict(row) for key, row in ranking.iterrows()}
    if (shown := set(labels.values())) <= ranked.keys() or len(shown) < 2:  # none to vote between
        told = [(t.proposal, [-ranked[t.keys[0]]["strength"]]) for t in made if t.keys[0] in ranked]
        new = space.propose(told, {trial.settings for trial in made}, seed, more)
        run_all([run for s in new for run in space.runs(s)], out, progress=progress)
        interrupted = any(read_trial(space, out, s).status == "pending" for s in new)
        made = find_trials(space, out)
    columns = [ranked.get(trial.keys[0], {"strength": None}) for trial in made]
    return tabulate(space, out, made, columns, ("-strength",), interrupted)


def read_tuning(source: str | Path) -> dict[str, Any]:
    """The arguments of `tune` from a file: a grid file whose table ``[tune]`` says what for.

    ``metrics`` is a name, a list of names or a table of weights; ``trials`` and ``seed`` are
    optional. A range of an axis is a table: ``style_weight = {low = 10, high = 1e5, log = true}``.

    Raises:
        InputError: the file cannot be read or is wrong; the message names the line.
    """
    with grid_file(source, "tune") as ((content, style), axes, base, given):
        usual = {"metrics": None, "trials": TRIALS, "seed": 0}
        asked = given.get("tune")
        if not isinstance(asked, dict) or "metrics" not in asked:
            raise InputError('metrics are missing; write [tune] and metrics = ["style_distance"]')
        for name in asked.keys() - usual:
            raise InputError(unknown("key", name, usual))
        for name in ("trials", "seed"):
            if not isinstance(asked.get(name, 0), int):
                raise InputError(f"{name}={asked[name]!r} should be a whole number")
        Judge(asked["metrics"])
        Space(content, style, axes, base)
        pictures = {"content": content, "style": style}
        return {**pictures, "axes": axes, "base": base, **usual, **asked}
