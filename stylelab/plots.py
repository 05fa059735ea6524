"""Plots of runs, as matplotlib Axes and Figures, and their way into a page with words."""

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from stylelab.config import WEIGHTS
from stylelab.images import load_image, to_pil

# Colour-blind safe (Petroff 2021), on white in light and dark themes alike.
STYLE: list[Any] = [
    "petroff10",
    {"figure.facecolor": "white", "axes.grid": True, "grid.alpha": 0.3},
]
DASHES = {"total": "-", "content": "--", "style": "-.", "tv": ":"}


def size_name(image: Tensor) -> str:
    """The size of an image in words, as height x width: "150x225"."""
    return "x".join(str(side) for side in image.shape[-2:])


def terms(history: pd.DataFrame) -> pd.DataFrame:
    """The history (a row a step) with the layers of each term added up, indexed by step."""
    # A live run's history tells its loss weights, too.
    columns = history.set_index("step").drop(columns=["seconds", *WEIGHTS], errors="ignore")
    return columns.T.groupby(lambda name: name.split("/")[0], sort=False).sum().T


def plot_losses(history: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Plot the weighted total and the unweighted terms against the steps, on a log scale."""
    with matplotlib.style.context(STYLE):
        ax = ax if ax is not None else plt.subplots(figsize=(6, 4), layout="constrained")[1]
        for name, values in terms(history).items():
            label = f"{name} (weighted)" if name == "total" else str(name)
            # A loss of exactly zero, as content's at the start, has no place on a log scale.
            ax.plot(values[values > 0], DASHES.get(str(name), "-"), label=label)
        ax.set(xlabel="step", ylabel="loss", yscale="log", title=title)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, frameon=False)
    return ax


def plot_images(
    images: Mapping[str, Tensor], columns: int | None = None, height: float = 3.0
) -> Figure:
    """Images (1, 3, H, W) in rows of ``columns`` (default: one row), ``height`` inches high."""
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    ratios = [image.shape[-1] / image.shape[-2] for image in images.values()]
    widths = [max(ratios[column::columns]) for column in range(columns)]
    with matplotlib.style.context(STYLE):
        size = height * sum(widths) + 0.1 * columns, (height + 0.35) * rows
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, width_ratios=widths, squeeze=False).flatten()
        for ax in axes:
            ax.axis("off")
        for ax, (title, image) in zip(axes, images.items(), strict=False):
            ax.imshow(to_pil(image), interpolation="lanczos")
            ax.set_title(title, fontsize=10)
    return figure


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


def plot_grid(sweep: Any, rows: str, cols: str, height: float = 1.6) -> Figure:
    """A contact sheet: the pictures of a sweep, two of its settings as rows and columns.

    Runs that failed or are not made yet are left blank, with their status.
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
                    ax.set_title(f"{cols} = {_short(across)}", fontsize=9)
                if j == 0:
                    ax.set_ylabel(f"{rows} = {_short(down)}", fontsize=9)
    return figure


def plot_tradeoff(table: pd.DataFrame, label: str = "style_weight", ax: Axes | None = None) -> Axes:
    """Plot content distance against style distance, a line a size, points labelled by a setting.

    Down and to the left is better in both; no point is better in both than another on its line.
    """
    with matplotlib.style.context(STYLE):
        ax = ax if ax is not None else plt.subplots(figsize=(6, 4.5), layout="constrained")[1]
        done = table[table["status"] == "complete"]
        for mark, (size, line) in zip("osD^vPX", done.groupby("size", sort=False), strict=False):
            line = line.sort_values(label)
            x, y = (line[f"{name}_distance"].astype(float) for name in ("content", "style"))
            ax.plot(x, y, marker=mark, label=str(size))
            for left, up, value in zip(x, y, line[label], strict=True):
                at, shift = (left, up), (6, 4)
                ax.annotate(_short(value), at, shift, textcoords="offset points", fontsize=8)
        ax.set(xlabel="content distance", ylabel="style distance", title=f"by {label}")
        ax.legend(title="size", frameon=False)
    return ax


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Shown:
    """HTML that a notebook shows."""

    html: str = field(repr=False)  # or a notebook would store the picture twice

    def _repr_html_(self) -> str:
        return self.html


def show(picture: Figure | Tensor, alt: str, caption: str = "") -> Shown:
    """A figure or an image (1, 3, H, W) for a notebook or a page, with words for who cannot see.

    The picture is stored as WebP, at about a tenth of a PNG's size.
    """
    buffer = io.BytesIO()
    if isinstance(picture, Figure):
        plt.close(picture)  # or the notebook would show it a second time
        picture.savefig(buffer, format="webp", dpi=100, pil_kwargs={"quality": 80})
    else:
        to_pil(picture).save(buffer, "WebP", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img src="data:image/webp;base64,{data}" alt="{html.escape(alt)}"'
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return Shown(f'<figure style="margin:0.5em 0">{image} style="max-width:100%">{below}</figure>')
