"""Plots of sweeps, as matplotlib Axes and Figures."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stylelab.images import load_image, to_pil
from stylelab.plots import STYLE, plain, terms, value_text
from stylelab.sweeps.analysis import complete, pareto, summarise
from stylelab.sweeps.runs import Sweep


def plot_runs(histories: pd.DataFrame, labels: Mapping[str, str], term: str = "total") -> Axes:
    """Plot one term of many runs against the steps, on a shared log scale.

    Args:
        histories: `Sweep.histories`, a row a step with the key of its run.
        labels: what to call each run, by key, in order; from dark to light.
        term: total, content, style or tv.
    """
    with matplotlib.style.context(STYLE):
        ax = plt.subplots(figsize=(6.5, 4), layout="constrained")[1]
        colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(labels)))
        for (key, label), colour in zip(labels.items(), colours, strict=True):
            values = terms(histories[histories["run"] == key].drop(columns="run").dropna(axis=1))
            ax.plot(values[term][values[term] > 0], color=colour, label=plain(label))
        ax.set(xlabel="step", ylabel=f"{term} loss", yscale="log")
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return ax


def plot_grid(sweep: Sweep, rows: str, cols: str, height: float = 1.6) -> Figure:
    """A contact sheet: the pictures of a sweep, two of its settings as rows and columns.

    Runs that failed or are not made yet show their status instead of a picture.
    """
    table = sweep.table
    downs, acrosses = (list(table[name].drop_duplicates()) for name in (rows, cols))
    with matplotlib.style.context(STYLE):
        size = (1.5 * height * len(acrosses) + 0.6, height * len(downs) + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(downs), len(acrosses), squeeze=False)
        for i, down in enumerate(downs):
            for j, across in enumerate(acrosses):
                ax = axes[i, j]
                ax.set(xticks=[], yticks=[])
                ax.grid(visible=False)
                here = table[(table[rows] == down) & (table[cols] == across)]
                word = here["status"].iloc[0] if len(here) else "not in the grid"
                if word == "complete":
                    image = load_image(sweep.out / here.index[0] / "image.png")
                    ax.imshow(to_pil(image), interpolation="lanczos")
                else:
                    ax.text(0.5, 0.5, word, ha="center", va="center", transform=ax.transAxes)
                if i == 0:
                    ax.set_title(plain(f"{cols} = {value_text(across)}"), fontsize=9)
                if j == 0:
                    ax.set_ylabel(plain(f"{rows} = {value_text(down)}"), fontsize=9)
    return figure


def plot_tradeoff(table: pd.DataFrame, label: str = "style_weight", ax: Axes | None = None) -> Axes:
    """Plot style distance against content distance: a line per size, points labelled by a setting.

    Points nearer to the lower left are better in both. Where a setting was run on several pairs of
    pictures, or several times on one, a point is the mean, and bars are its 95 % intervals (see
    `summarise`; none below four).
    """
    metrics = ["content_distance", "style_distance"]
    with matplotlib.style.context(STYLE):
        ax = ax if ax is not None else plt.subplots(figsize=(6, 4.5), layout="constrained")[1]
        points = summarise(table, list(dict.fromkeys(["size", label])), metrics).reset_index()
        lines = points.groupby("size", sort=False)
        for mark, (size, line) in zip(cycle("osD^vPX*<>hp"), lines, strict=False):
            line = line.sort_values(label)
            x, y = (line[name] for name in metrics)
            (drawn,) = ax.plot(x, y, marker=mark, label=str(size))
            across, up = (
                np.stack([line[name] - line[f"{name}/low"], line[f"{name}/high"] - line[name]])
                for name in metrics
            )
            ax.errorbar(x, y, up, across, fmt="none", ecolor=drawn.get_color(), elinewidth=0.8)
            for left, up, value in zip(x, y, line[label], strict=True):
                at, shift = (left, up), (6, 4)
                text = plain(value_text(value))
                ax.annotate(text, at, shift, textcoords="offset points", fontsize=8)
        ax.set(xlabel="content distance", ylabel="style distance", title=f"labels: {label}")
        ax.margins(x=0.15)  # room for the labels
        ax.legend(title="size", frameon=False)
    return ax


def plot_effects(compared: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """What each setting changes against the baseline: a panel a metric, a row a setting.

    Args:
        compared: the table of `compare`.
        metrics: its metrics to draw, as differences with their intervals.
    """
    with matplotlib.style.context(STYLE):
        size = (2.2 + 2.6 * len(metrics), 0.8 + 0.32 * len(compared))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        rows = range(len(compared))
        for ax, metric in zip(axes, metrics, strict=True):
            middle = compared[metric]
            ends = [middle - compared[f"{metric}/low"], compared[f"{metric}/high"] - middle]
            ax.errorbar(middle, rows, xerr=ends, fmt="o", capsize=2)
            ax.axvline(0, color="0.4", linewidth=0.8)
            ax.set(xlabel=f"difference in {metric.replace('_', ' ')}", yticks=rows)
        axes[0].set_yticklabels(compared.index, parse_math=False)
        axes[0].invert_yaxis()
    return figure


def plot_heatmap(table: pd.DataFrame, rows: str, cols: str, metric: str) -> Axes:
    """The mean of a metric for each pair of values of two settings, as colours and numbers."""
    done, _ = complete(table, [rows, cols], [metric])
    means = done.pivot_table(metric, rows, cols, sort=False)
    with matplotlib.style.context([*STYLE, {"axes.grid": False}]):
        size = (2.2 + 0.9 * means.shape[1], 1.2 + 0.5 * means.shape[0])
        ax = plt.subplots(figsize=size, layout="constrained")[1]
        drawn = ax.imshow(means.to_numpy(float), cmap="cividis", aspect="auto")
        middle = (means.to_numpy().min() + means.to_numpy().max()) / 2
        for (i, j), value in np.ndenumerate(means.to_numpy(float)):
            colour = "black" if value > middle else "white"
            ax.text(j, i, f"{value:.3g}", ha="center", va="center", color=colour, fontsize=9)
        ax.set_xticks(range(means.shape[1]), [value_text(v) for v in means.columns])
        ax.set_yticks(range(means.shape[0]), [value_text(v) for v in means.index])
        ax.set(xlabel=cols, ylabel=rows)
        ax.figure.colorbar(drawn, label=metric)
    return ax


def plot_parallel(table: pd.DataFrame, columns: Sequence[str], colour: str) -> Axes:
    """Parallel coordinates: a line a run across settings and metrics, each on its own range.

    Numbers that span decades are drawn on a log scale.

    Args:
        table: `Sweep.table`.
        columns: settings and metrics, from left to right; words are put in order of appearance.
        colour: the column by which lines are coloured, from dark (low) to light (high).
    """
    done, _ = complete(table, list(dict.fromkeys([*columns, colour])), [])
    codes = {}
    for name in dict.fromkeys([*columns, colour]):
        try:
            values = done[name].astype(float)
            decades = values.min() > 0 and values.max() > 50 * values.min()
            codes[name] = np.log10(values) if decades else values
        except (TypeError, ValueError):
            codes[name] = pd.Series(pd.factorize(done[name])[0], done.index, dtype=float)
    with matplotlib.style.context(STYLE):
        ax = plt.subplots(figsize=(1.6 * len(columns) + 1, 4), layout="constrained")[1]
        spans = {n: (codes[n].min(), max(np.ptp(codes[n]), 1e-12)) for n in codes}
        heights = np.stack([(codes[n] - spans[n][0]) / spans[n][1] for n in columns], axis=1)
        shades = (codes[colour] - spans[colour][0]) / spans[colour][1]
        for height, shade in zip(heights, shades, strict=True):
            ax.plot(height, color=matplotlib.colormaps["viridis"](0.9 * shade), alpha=0.7)
        for i, name in enumerate(columns):
            for at in np.unique(heights[:, i]) if len(np.unique(heights[:, i])) <= 8 else (0, 1):
                value = done[name].iloc[int(np.abs(heights[:, i] - at).argmin())]
                text = f"{value:.3g}" if isinstance(value, float) else str(value)
                ax.annotate(text, (i, at), (4, 2), textcoords="offset points")
            ax.axvline(i, color="0.4", linewidth=0.8)
        ax.set(yticks=[], title=f"coloured by {colour}", xlim=(-0.1, len(columns) - 0.5))
        ax.set_xticks(range(len(columns)), columns)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
    return ax


def plot_front(table: pd.DataFrame, metrics: tuple[str, str], label: str) -> Axes:
    """All runs in the plane of two metrics, with the Pareto front (see `pareto`) as a line.

    Args:
        table: `Sweep.table`.
        metrics: those of the two axes; "-ssim" where high is better.
        label: the setting that is written at the runs of the front.
    """
    done = table[table["status"] == "complete"]
    across, up = (name.removeprefix("-") for name in metrics)
    best = done[pareto(done, metrics)].sort_values(across)
    with matplotlib.style.context(STYLE):
        ax = plt.subplots(figsize=(6, 4.5), layout="constrained")[1]
        ax.plot(done[across].astype(float), done[up].astype(float), "o", color="0.65", label="runs")
        ax.plot(best[across].astype(float), best[up].astype(float), "o-", label="front")
        # On the better side of the front, where no run can be: beside its steep half, else below.
        right, top = (name.startswith("-") for name in metrics)
        beside = ((6 if right else -6, 0), "left" if right else "right", "center")
        below = ((0, 6 if top else -6), "center", "bottom" if top else "top")
        for i, (_, run) in enumerate(best.iterrows()):
            shift, ha, va = beside if (2 * i < len(best)) != right else below
            at, text = (run[across], run[up]), plain(value_text(run[label]))
            ax.annotate(text, at, shift, textcoords="offset points", fontsize=8, ha=ha, va=va)
        ax.margins(0.15)  # room for the labels
        ax.set(xlabel=across.replace("_", " "), ylabel=up.replace("_", " "))
        ax.set_title(f"labels: {label}", parse_math=False)
        ax.legend(frameon=False)
    return ax
