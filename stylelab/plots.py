"""Plots of a run as matplotlib Axes and Figures, and as HTML with alt text."""

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from stylelab.config import LOSS_WEIGHTS
from stylelab.images import to_pil

# Colour-blind safe (Petroff 2021); a white background, in light and dark themes alike.
STYLE: list[Any] = [
    "petroff10",
    {"figure.facecolor": "white", "axes.grid": True, "grid.alpha": 0.3},
]
DASHES = {"total": "-", "content": "--", "style": "-.", "tv": ":"}


def size_name(image: Tensor) -> str:
    """The size of an image as text, height x width: "150x225"."""
    return "x".join(str(side) for side in image.shape[-2:])


def value_text(value: Any) -> str:
    """A setting's value as text for a label; floats without trailing zeros."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def plain(text: object) -> str:
    """Text for matplotlib that is no formula: a file's name may hold dollars."""
    return str(text).replace("$", r"\$")


def terms(history: pd.DataFrame) -> pd.DataFrame:
    """A history (one row per step) with the layers of each term added up, indexed by step."""
    # The history of a live run also holds the loss weights.
    columns = history.set_index("step").drop(columns=["seconds", *LOSS_WEIGHTS], errors="ignore")
    return columns.T.groupby(lambda name: name.split("/")[0], sort=False).sum().T


def plot_losses(history: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Plot the weighted total and the unweighted terms against the steps, on a log scale."""
    with matplotlib.style.context(STYLE):
        ax = ax if ax is not None else plt.subplots(figsize=(6, 4), layout="constrained")[1]
        for name, values in terms(history).items():
            label = f"{name} (weighted)" if name == "total" else plain(name)
            # The content's first loss is zero but for rounding, which a log scale should not show.
            ax.plot(values[values > 1e-6 * values.max()], DASHES.get(str(name), "-"), label=label)
        ax.set(xlabel="step", ylabel="loss", yscale="log", title=plain(title))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, frameon=False)
    return ax


def plot_images(
    images: Mapping[str, Tensor], columns: int | None = None, height: float = 3.0
) -> Figure:
    """Images (1, 3, H, W) in rows of ``columns`` (default: one row), ``height`` inches high."""
    columns = min(columns or len(images), len(images))
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
            ax.set_title(plain(title), fontsize=10)
    return figure


@dataclass(frozen=True)
class Shown:
    """HTML that a notebook displays."""

    html: str = field(repr=False)  # with it in the repr, a notebook would store the picture twice

    def _repr_html_(self) -> str:
        return self.html


def show(picture: Figure | Tensor, alt: str, caption: str = "") -> Shown:
    """A figure, or an image (1, 3, H, W) in [0, 1], for a notebook or a page, with alt text.

    The picture is stored as WebP, at about a tenth of a PNG's size.
    """
    buffer = io.BytesIO()
    if isinstance(picture, Figure):
        plt.close(picture)  # otherwise the notebook would show it a second time
        picture.savefig(buffer, format="webp", dpi=100, pil_kwargs={"quality": 80})
    else:
        to_pil(picture).save(buffer, "WebP", quality=85)
    return show_webp(buffer.getvalue(), alt, caption)


def show_webp(content: bytes, alt: str, caption: str = "") -> Shown:
    """A WebP picture or film, given as bytes, for a notebook or a page; see `show`."""
    data = base64.b64encode(content).decode()
    image = f'<img src="data:image/webp;base64,{data}" alt="{html.escape(alt)}"'
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return Shown(f'<figure style="margin:0.5em 0">{image} style="max-width:100%">{below}</figure>')
