"""Means over replicates, with intervals, from the table of a sweep."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stylelab.errors import InputError, unknown
from stylelab.maths.intervals import mean_interval
from stylelab.metrics import METRICS
from stylelab.plots import value_text


def summarise(
    table: pd.DataFrame,
    by: str | Sequence[str],
    metrics: Sequence[str] = (),
    level: float = 0.95,
) -> pd.DataFrame:
    """Means of metrics for each setting, with intervals over pairs of pictures.

    Runs of one pair (crops, seeds, other settings) are averaged first, and pairs are what is drawn;
    where the table has one pair only, its runs are, and the interval speaks of that pair alone.

    Args:
        table: `Sweep.table`; runs that are not complete are left out.
        by: the setting, or settings, whose values are compared.
        metrics: columns to average; by default all metrics that the table has.
        level: the share of such intervals that should cover the true mean.

    Returns:
        A row for each value: units and runs, then each metric with its /low and /high, which are
        NaN below four units.

    Raises:
        InputError: no run is complete, or there is no such column.
    """
    names = [by] if isinstance(by, str) else list(by)
    done, wanted = complete(table, names, metrics)
    rows = []
    for value, group in done.groupby(names, sort=False, dropna=False):
        units = group.groupby("unit", sort=False)[wanted].mean()
        row: dict[str, Any] = dict(zip(names, value, strict=True))
        row |= {"units": len(units), "runs": len(group)}
        low, high = mean_interval(units.to_numpy(), level)
        for i, name in enumerate(wanted):
            row |= {name: units[name].mean(), f"{name}/low": low[i], f"{name}/high": high[i]}
        rows.append(row)
    return pd.DataFrame(rows).set_index(names)


def complete(
    table: pd.DataFrame, names: Sequence[str], metrics: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The complete runs with a column "unit", what is independent; and the metrics as floats."""
    done = table[table["status"] == "complete"]
    if done.empty:
        raise InputError("no run of this sweep is complete; make its runs first")
    usual = [name for name in METRICS if name in done]
    wanted = list(metrics) or usual or [str(c) for c in done if str(c).startswith("held_out/")]
    for name in [*names, *wanted]:
        if name not in done:
            raise InputError(unknown("column", name, [str(c) for c in done]))
    # Crops of a picture, "chenonceau#3", belong to it.
    pairs = done["content"].astype(str).str.split("#").str[0] + " / " + done["style"].astype(str)
    units = pairs if len(pairs.drop_duplicates()) > 1 else done.index.to_series()
    return done.assign(unit=units, **{name: done[name].astype(float) for name in wanted}), wanted


def compare(
    table: pd.DataFrame,
    by: str | Sequence[str],
    baseline: Any = None,
    metrics: Sequence[str] = (),
    level: float = 0.95,
) -> pd.DataFrame:
    """Each setting against a baseline on the same pairs of pictures: differences, with intervals.

    Pairs of pictures differ far more than settings do, so the difference is taken within each pair
    before anything is averaged.

    Args:
        table, by, metrics, level: see `summarise`.
        baseline: the value of ``by``, or a tuple of values, that the others are compared with; by
            default that of the sweep's first row.

    Returns:
        A row for each other value, named by what differs from the baseline: units; then each
        metric's mean difference, with /low and /high, /effect (the mean difference over its
        standard deviation, Cohen's d_z; Lakens 2013) and /lower (the share of pairs in which it
        falls).

    Raises:
        InputError: no run is complete, no such column or baseline, or no pair has both settings.
    """
    names = [by] if isinstance(by, str) else list(by)
    done, wanted = complete(table, names, metrics)
    means = {
        key: group.groupby("unit", sort=False)[wanted].mean()
        for key, group in done.groupby(names, sort=False, dropna=False)
    }
    first = next(iter(means)) if baseline is None else baseline
    first = first if isinstance(first, tuple) else (first,)
    if first not in means:
        listed = "; ".join(", ".join(map(value_text, setting)) for setting in means)
        raise InputError(f"no complete run has the baseline {first}; there are: {listed}")
    rows, reference = {}, means.pop(first)
    for setting, values in means.items():
        off = (values - reference).dropna(how="all")
        if off.empty:
            raise InputError(f"no pair of pictures has both {setting} and the baseline {first}")
        changed = [
            f"{name} = {value_text(value)}"
            for name, value, usual in zip(names, setting, first, strict=True)
            if value_text(value) != value_text(usual)
        ]
        low, high = mean_interval(off.to_numpy(), level)
        row: dict[str, Any] = {"units": len(off)}
        for i, name in enumerate(wanted):
            spread = off[name].std()
            row |= {name: off[name].mean(), f"{name}/low": low[i], f"{name}/high": high[i]}
            row[f"{name}/effect"] = off[name].mean() / spread if spread > 0 else np.nan
            row[f"{name}/lower"] = (off[name] < 0).mean()
        rows[", ".join(changed)] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("against the baseline")


def interaction(
    table: pd.DataFrame, rows: str, cols: str, metric: str, level: float = 0.95
) -> pd.DataFrame:
    """Whether the effect of one setting depends on another: differences of differences.

    Returns:
        For each value of ``rows`` and of ``cols`` but the first of each: the effect of ``cols`` on
        the metric at this value of ``rows`` less that at the first (mean over pairs, low, high); 0
        where both act on their own. units is the number of pairs that have all four settings.

    Raises:
        InputError: as `compare`, or a setting has one value only.
    """
    done, _ = complete(table, [rows, cols], [metric])
    grid = done.pivot_table(metric, "unit", [rows, cols], sort=False)
    downs, acrosses = (list(done[name].drop_duplicates()) for name in (rows, cols))
    if len(downs) < 2 or len(acrosses) < 2:
        raise InputError(f"an interaction needs two values of both {rows} and {cols}")
    found = {}
    for down in downs[1:]:
        for across in acrosses[1:]:
            four = [
                (down, across),
                (down, acrosses[0]),
                (downs[0], across),
                (downs[0], acrosses[0]),
            ]
            a, b, c, d = (grid.get(key, pd.Series(dtype=float)) for key in four)
            off = ((a - b) - (c - d)).dropna()
            if off.empty:
                raise InputError(f"no pair of pictures has all of {four}")
            low, high = mean_interval(off.to_numpy(), level)
            found[down, across] = {
                "units": len(off),
                metric: off.mean(),
                f"{metric}/low": float(low),
                f"{metric}/high": float(high),
            }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis([rows, cols])


def pareto(table: pd.DataFrame, metrics: Sequence[str]) -> pd.Series:
    """Which rows no other row beats: lower in one of the metrics and not higher in any.

    A metric that is better high is given with a minus, "-ssim". Rows without a value are not in it.

    Returns:
        Booleans with the table's index.
    """
    signs = [(-1.0, name[1:]) if name.startswith("-") else (1.0, name) for name in metrics]
    for _, name in signs:
        if name not in table:
            raise InputError(unknown("column", name, [str(c) for c in table]))
    values = np.stack([sign * table[name].astype(float).to_numpy() for sign, name in signs], axis=1)
    beaten = [bool(((values <= value).all(1) & (values < value).any(1)).any()) for value in values]
    usable = np.isfinite(values).all(1)
    return pd.Series(usable & ~np.array(beaten, dtype=bool), table.index, name="front")
