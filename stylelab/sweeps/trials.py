"""Trials of a tuning, read from the folders of their runs, and what they are judged by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stylelab.errors import InputError, unknown
from stylelab.metrics import HIGHER_IS_BETTER, METRICS
from stylelab.sweeps.analysis import pareto
from stylelab.sweeps.grids import flat
from stylelab.sweeps.runs import Sweep
from stylelab.sweeps.search import Proposal, Settings, Space
from stylelab.sweeps.table import measured, read_spec, status

OTHERS = ("seconds", "peak_memory_mb", "outside")  # columns of a sweep that are measures, too
LOSSES = ("saved/", "held_out/", "last/")


@dataclass(frozen=True)
class Trial:
    """Settings that are tried on each pair of pictures."""

    settings: Settings
    proposal: Proposal
    keys: tuple[str, ...]
    """The folders of its runs."""
    status: str
    """complete if all its runs are, failed if one is, else pending."""
    record: dict[str, Any]
    """Means over its runs of the columns of a sweep's table, such as losses, metrics, seconds and
    peak_memory_mb (MB); for a failed trial, the error of one of them."""


def read_trial(space: Space, out: Path, settings: Settings) -> Trial:
    """What the folders of a trial's runs hold."""
    proposal = space.proposal_of(settings)
    assert proposal is not None
    keys = tuple(run.key for run in space.runs(settings))
    found = [status(out / key) for key in keys]
    if failed := [record for word, record in found if word == "failed"]:
        return Trial(settings, proposal, keys, "failed", failed[0])
    if any(word != "complete" for word, _ in found):
        return Trial(settings, proposal, keys, "pending", {})
    rows = pd.DataFrame([measured(record) for _, record in found]).mean(numeric_only=True)
    return Trial(settings, proposal, keys, "complete", {str(k): v for k, v in rows.items()})


def find_trials(space: Space, out: Path) -> list[Trial]:
    """The trials of a space that ended, whoever made their runs; by their folders' names."""
    found = set()
    for path in out.glob("*/run.json"):
        spec = read_spec(path.parent)
        if spec is not None and ("network" in spec["config"]) == hasattr(space.base, "network"):
            try:
                found.add(type(space.base).from_dict(spec["config"]))
            except InputError:  # of another version, or of a method that is not registered
                continue
    inside = [settings for settings in found if space.proposal_of(settings) is not None]
    trials = [read_trial(space, out, settings) for settings in inside]
    return sorted((t for t in trials if t.status != "pending"), key=lambda trial: trial.keys)


class Judge:
    """The metrics of a tuning: one, several, or a weighted sum.

    Args:
        metrics: see `tune`.

    Raises:
        InputError: a name is no metric, or a weight no number above 0.
    """

    def __init__(self, metrics: str | Sequence[str] | Mapping[str, float]) -> None:
        listed = [metrics] if isinstance(metrics, str) else list(metrics)
        if not listed:
            raise InputError("metrics is empty; name one, such as style_distance")
        self.columns: list[str] = []  # as `pareto` takes them
        for name in listed:
            plain = str(name).removeprefix("-")
            if plain not in (*METRICS, *OTHERS) and not plain.startswith(LOSSES):
                raise InputError(unknown("metric", name, [*METRICS, *OTHERS]))
            self.columns.append(f"-{plain}" if plain in HIGHER_IS_BETTER else str(name))
        self.weights = list(metrics.values()) if isinstance(metrics, Mapping) else []
        for name, weight in zip(listed, self.weights, strict=False):
            if not isinstance(weight, (int, float)) or not 0 < weight < math.inf:
                raise InputError(f"the weight of {name}, {weight!r}, should be a number above 0")
        self.names = ("weighted",) if self.weights else tuple(self.columns)

    def values(self, trial: Trial) -> list[float]:
        """What is to be small of a complete trial: each metric, or their weighted sum.

        Metrics that are better high are negated. InputError if the runs do not have one of them.
        """
        found = []
        for name in self.columns:
            if (plain := name.removeprefix("-")) not in trial.record:
                raise InputError(unknown("metric of these runs", plain, trial.record))
            found.append(trial.record[plain] * (-1 if name != plain else 1))
        if self.weights:
            return [sum(w * value for w, value in zip(self.weights, found, strict=True))]
        return found

    def told(self, trials: Sequence[Trial]) -> list[tuple[Proposal, list[float]]]:
        """What a model learns from: the complete trials whose values are finite."""
        found = [(t.proposal, self.values(t)) for t in trials if t.status == "complete"]
        return [(proposal, values) for proposal, values in found if all(map(math.isfinite, values))]

    def measures(self, trial: Trial) -> dict[str, Any]:
        """The columns of a table that a trial fills."""
        if trial.status != "complete":
            return {}
        plain = [name.removeprefix("-") for name in self.columns]
        summed = {"weighted": self.values(trial)[0]} if self.weights else {}
        return {**summed, **{name: trial.record.get(name) for name in plain}}


@dataclass(frozen=True)
class Tuned:
    """The trials of a tuning, and the sweep that their runs are."""

    sweep: Sweep
    table: pd.DataFrame
    """A row a trial, best first, by the key of its first run: status, the settings that were
    searched, what it is judged by (means over the pairs of pictures), seconds, error."""
    metrics: tuple[str, ...]
    """What trials are judged by, as `pareto` and `plot_front` take it; "-ssim" is better high."""
    interrupted: bool = False
    """Whether Ctrl-C ended it early; the same call goes on."""

    @property
    def best(self) -> pd.DataFrame:
        """The best trial; with several metrics all that no other one beats, the Pareto front."""
        done = self.table[self.table["status"] == "complete"]
        if done.empty or not (found := done[pareto(done, self.metrics)]).size:
            raise InputError("no trial is complete and has finite metrics; see the table's errors")
        return found


def tabulate(
    space: Space,
    out: Path,
    trials: Sequence[Trial],
    columns: Sequence[dict[str, Any]],
    judge: tuple[str, ...],
    interrupted: bool = False,
) -> Tuned:
    """The result of a tuning, with ``columns`` of what each of its trials is judged by."""
    rows = []
    for trial, more in zip(trials, columns, strict=True):
        settings = flat(trial.settings.to_dict())
        searched = {name: settings.get(name) for names in space.axes for name in names}
        ends = {name: trial.record.get(name) for name in ("seconds", "error")}
        rows.append({"run": trial.keys[0], "status": trial.status, **searched, **more, **ends})
    empty = ["run", "status", *(name.removeprefix("-") for name in judge)]
    table = pd.DataFrame(rows, columns=None if rows else empty).set_index("run").convert_dtypes()
    first = judge[0].removeprefix("-")
    if first in table:
        table = table.sort_values(first, ascending=first == judge[0], kind="stable")
    return Tuned(Sweep(out), table, judge, interrupted)
