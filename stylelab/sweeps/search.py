"""Spaces of settings, and what a model of finished trials proposes next in them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from stylelab.config import Config
from stylelab.errors import InputError, unknown
from stylelab.recipes import Recipe
from stylelab.sweeps.grids import Axes, Run, grid

STARTUP = 6  # trials that are drawn by chance; from then on a model of them proposes
MODELLED = 3  # proposals of the model that are known already; after these, chance proposes
DRAWN = 1000  # settings by chance that are known already; after these, nothing is left
PICTURES = {"content", "style"}

Names = tuple[str, ...]
Settings = Config | Recipe
Proposal = dict[str, Any]
"""Of each axis, by its names: a number in its range, or the place of a value in its list."""


@dataclass(frozen=True)
class Range:
    """The numbers from ``low`` to ``high``; with ``log``, each decade is as likely as the next."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


class Space:
    """The settings of a base that vary, each in a list of values or in a range.

    Args:
        axes: for each setting a list of values; or a tuple (low, high) or (low, high, "log"), or a
            mapping with low, high and log, for a range. A tuple of settings takes a list of tuples.
            Values of "content" and "style" are not searched: each trial is made with all of them.
        base: the other settings.

    Raises:
        InputError: no axis is left to be searched, or an axis or a value is not allowed.
    """

    def __init__(
        self, content: str, style: str, axes: Mapping[str | Names, Any], base: Settings
    ) -> None:
        named = {(n,) if isinstance(n, str) else tuple(n): v for n, v in axes.items()}
        pictured: Axes = {names: v for names, v in named.items() if set(names) <= PICTURES}
        self.base = base
        self.pairs = [(run.content, run.style) for run in grid(content, style, pictured, base)]
        self.axes: dict[Names, Range | list[Any]] = {}
        searched = {names: v for names, v in named.items() if names not in pictured}
        for names, values in searched.items():
            if PICTURES & set(names):
                raise InputError(f"axis {' '.join(names)}: pictures are an axis of their own")
            self.axes[names] = self._axis(names, values)
        if not self.axes:
            raise InputError("there is nothing to search; give an axis with a range or a list")
        for names, axis in self.axes.items():  # so that what is not allowed is said at once
            if isinstance(axis, Range):
                ends = self.settings(self._first(names, axis.low)), axis.low
                self.settings(self._first(names, axis.high))
                found = _read(ends[0], names[0])
                if whole := type(found) is int:
                    axis = replace(axis, low=int(axis.low), high=int(axis.high))
                self.axes[names] = replace(axis, whole=whole)
            else:
                for place in range(len(axis)):
                    self.settings(self._first(names, place))

    def _axis(self, names: Names, values: Any) -> Range | list[Any]:
        words = f"axis {' '.join(names)}"
        if isinstance(values, Mapping):
            for key in values.keys() - {"low", "high", "log"}:
                raise InputError(f"{words}: {unknown('key', key, ['low', 'high', 'log'])}")
            values = (values.get("low"), values.get("high"), "log" if values.get("log") else "")
        if isinstance(values, list):
            if not values:
                raise InputError(f"{words} has no values; give a list of them, or a range")
            return values
        low, high, kind = (*values, "")[:3] if isinstance(values, tuple) else (None, None, "")
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (low, high))
        if not numbers or len(names) > 1 or len(values) > 3 or kind not in ("", "log"):
            raise InputError(
                f"{words}={values!r} should be a list of values, or a range: (low, high) or "
                '(low, high, "log"), in a file {low = 1, high = 9, log = true}'
            )
        if not low < high or (kind == "log" and low <= 0):
            raise InputError(f"{words}: low={low} should be below high={high}, and above 0 for log")
        return Range(low, high, kind == "log")

    def _first(self, names: Names, value: Any) -> Proposal:
        firsts = {" ".join(n): a.low if isinstance(a, Range) else 0 for n, a in self.axes.items()}
        return {**firsts, " ".join(names): value}

    def settings(self, proposal: Proposal) -> Settings:
        """The base with the values of a proposal."""
        values: Axes = {
            names: [value if isinstance(axis, Range) else axis[value]]
            for (names, axis), value in zip(
                self.axes.items(), (proposal[" ".join(n)] for n in self.axes), strict=True
            )
        }
        (run,) = grid("", "", values, self.base)
        return run.config

    def runs(self, settings: Settings) -> list[Run]:
        """The runs of a trial: one for each pair of pictures."""
        return [Run(content, style, settings) for content, style in self.pairs]

    def proposal_of(self, settings: Settings) -> Proposal | None:
        """The proposal that gives these settings, or None where they are not in this space."""
        found: Proposal = {}
        for names, axis in self.axes.items():
            name = " ".join(names)
            if isinstance(axis, Range):
                value = _read(settings, name)
                if not isinstance(value, (int, float)) or not axis.low <= value <= axis.high:
                    return None
                found[name] = value
            else:
                places = [i for i, value in enumerate(axis) if _has(settings, names, value)]
                if not places:
                    return None
                found[name] = places[0]
        return found if self.settings(found) == settings else None

    def propose(
        self,
        told: Sequence[tuple[Proposal, Sequence[float]]],
        known: set[Settings],
        seed: int,
        count: int = 1,
    ) -> list[Settings]:
        """New settings, likely to have smaller values than what is told; fewer if none are left.

        Drawn by chance while fewer than `STARTUP` are told, then by Optuna's Gaussian process. They
        depend on what is told and known and on the seed alone, not on the order of earlier calls.

        Args:
            told: proposals with their values, all to be made small.
            known: settings that are not to be proposed.

        Raises:
            InputError: Optuna is missing.
        """
        optuna = load_optuna()
        kinds = {" ".join(names): _kind(optuna, axis) for names, axis in self.axes.items()}
        with _quiet(optuna):
            study = optuna.create_study(
                directions=["minimize"] * (len(told[0][1]) if told else 1),
                sampler=optuna.samplers.RandomSampler(seed),
            )
            study.add_trials(
                optuna.trial.create_trial(params=p, distributions=kinds, values=list(values))
                for p, values in told
            )
            new: list[Settings] = []
            attempt = 0
            while len(new) < count and attempt < DRAWN:
                mixed = np.random.SeedSequence([seed, len(known), len(new), attempt])
                number = int(mixed.generate_state(1)[0])
                modelled = attempt < MODELLED and len(told) >= STARTUP
                study.sampler = (
                    optuna.samplers.GPSampler(seed=number, n_startup_trials=STARTUP)
                    if modelled
                    else optuna.samplers.RandomSampler(number)
                )
                trial = study.ask(kinds)  # it stays open, so that the next one keeps its distance
                settings = self.settings({n: self._short(n, v) for n, v in trial.params.items()})
                if settings in known or settings in new:
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                    attempt += 1
                else:
                    new.append(settings)
                    attempt = 0
        return new

    def _short(self, name: str, value: Any) -> Any:
        """A number with four digits, so that it can be written down, within its range."""
        axis = self.axes[tuple(name.split(" "))]
        if not isinstance(axis, Range) or axis.whole:
            return value
        return min(max(float(f"{value:.4g}"), axis.low), axis.high)


def load_optuna() -> Any:
    try:
        return import_module("optuna")
    except ImportError:
        raise InputError("tuning needs Optuna; run: pip install 'stylelab[tune]'") from None


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without a line for each study: nothing prints below the command line."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _kind(optuna: Any, axis: Range | list[Any]) -> Any:
    kinds = optuna.distributions
    if isinstance(axis, list):
        return kinds.CategoricalDistribution(range(len(axis)))
    kind = kinds.IntDistribution if axis.whole else kinds.FloatDistribution
    return kind(axis.low, axis.high, log=axis.log)


def _read(settings: Settings, name: str) -> Any:
    if name.startswith("options."):
        return dict(settings.options).get(name.removeprefix("options."))
    return getattr(settings, name)


def _has(settings: Settings, names: Names, value: Any) -> bool:
    """Whether putting the value to the settings changes nothing."""
    axes: Axes = {names: [value]}
    try:
        (run,) = grid("", "", axes, settings)
    except InputError:  # an option that the method of these settings does not have
        return False
    return run.config == settings
