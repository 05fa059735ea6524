"""Plots of sweeps, as matplotlib Axes and Figures."""

from collections.abc import Mapping

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stylelab.images import load_image, to_pil
from stylelab.plots import STYLE, terms, value_text
from stylelab.sweeps.analysis import summarise
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
            ax.plot(values[term][values[term] > 0], color=colour, label=label)
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
                    ax.set_title(f"{cols} = {value_text(across)}", fontsize=9)
                if j == 0:
                    ax.set_ylabel(f"{rows} = {value_text(down)}", fontsize=9)
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
        for mark, (size, line) in zip("osD^vPX", points.groupby("size", sort=False), strict=False):
            line = line.sort_values(label)
            x, y = (line[name] for name in metrics)
            (drawn,) = ax.plot(x, y, marker=mark, label=str(size))
            across, up = (
                [line[name] - line[f"{name}/low"], line[f"{name}/high"] - line[name]]
                for name in metrics
            )
            ax.errorbar(x, y, up, across, fmt="none", ecolor=drawn.get_color(), elinewidth=0.8)
            for left, up, value in zip(x, y, line[label], strict=True):
                at, shift = (left, up), (6, 4)
                ax.annotate(value_text(value), at, shift, textcoords="offset points", fontsize=8)
        ax.set(xlabel="content distance", ylabel="style distance", title=f"labels: {label}")
        ax.margins(x=0.15)  # room for the labels
        ax.legend(title="size", frameon=False)
    return ax
