"""Intervals of means over few independent units, such as pairs of pictures."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

FEWEST = 4  # of three pairs, nothing is said
# Resamples of fewer units often repeat one unit, and the ends of bootstrap intervals jump: with
# five units one in twenty is over twice as long as the median one, and with eight of a real sweep
# they were twice as long as Student's, which cover as well there.
BOOTSTRAP = 12


def mean_interval(
    values: ArrayLike, level: float = 0.95, resamples: int = 9999, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intervals of the means of columns.

    From twelve units on they are studentised bootstrap intervals (Efron 1981, the "bootstrap-t"),
    which follow the skew of the values; of four to eleven units they are Student's.

    Args:
        values: (n,) or (n, columns), a row a unit; what several runs of one unit gave is averaged
            first, because units are drawn as wholes.
        level: the share of such intervals that should cover the true mean.

    Returns:
        The lower and the upper ends, (columns,) or scalars; NaN where fewer than four units have a
        value.
    """
    table = np.asarray(values, dtype=np.float64)
    columns = table.reshape(len(table), -1)
    ends = np.array([_interval(column, level, resamples, seed) for column in columns.T])
    low, high = ends.reshape(*table.shape[1:], 2).T
    return low.T, high.T


def _interval(values: NDArray[np.float64], level: float, resamples: int, seed: int) -> list[float]:
    values = values[np.isfinite(values)]
    if (n := len(values)) < FEWEST:
        return [np.nan, np.nan]
    mean = values.mean()
    off = values - mean
    error = off.std(ddof=1) / n**0.5
    if error <= 1e-12 * abs(mean):  # all the same
        return [mean, mean]
    if n < BOOTSTRAP:
        half = stats.t.ppf((1 + level) / 2, n - 1) * error
        return [mean - half, mean + half]
    counts = _draws(n, resamples, seed)
    shifts = counts @ off / n  # (resamples,) how far the mean of each resample lies from ours
    errors = np.sqrt(np.maximum(counts @ off**2 / n - shifts**2, 0) / (n - 1))
    usable = errors > 1e-6 * error  # not those that drew one unit n times
    tails = (1 - level) / 2, (1 + level) / 2
    lower, upper = np.quantile(shifts[usable] / errors[usable], tails)
    return [mean - upper * error, mean - lower * error]


@lru_cache(maxsize=8)  # columns and settings mostly have as many units
def _draws(n: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each of n units is in each resample, (resamples, n)."""
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples)
    return counts.astype(np.float64)
