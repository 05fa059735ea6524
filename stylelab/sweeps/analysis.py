"""Means over replicates, with intervals, from the table of a sweep."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from stylelab.errors import InputError, unknown
from stylelab.maths.intervals import mean_interval
from stylelab.metrics import METRICS


def summarise(
    table: pd.DataFrame,
    by: str | Sequence[str],
    metrics: Sequence[str] = (),
    level: float = 0.95,
) -> pd.DataFrame:
    """Means of metrics for each setting, with bootstrap intervals over pairs of pictures.

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
