"""Pictures of a run while it is going on: encoded for a page, and cheap enough to be live."""

import io
import time
from collections.abc import Callable

import ipywidgets as widgets
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from PIL import Image
from torch import Tensor
from traitlets import Unicode

from stylelab.config import WEIGHTS
from stylelab.images import to_pil
from stylelab.plots import DASHES, STYLE, terms

WIDTH, HEIGHT = 480, 400  # of the box that a live picture fits into, in pixels of the page
CURVE_HEIGHT = 270  # of the curves; they are as wide as the box
SHARE = 0.03  # of the time that a live view may take, at most
TERMS = ("total", "content", "style", "tv")


class Picture(widgets.Image):  # type: ignore[misc]
    """A picture on the page, whose tooltip says what it shows to those who cannot see it.

    The page gives a widget its tooltip only where its description is empty, and fails where there
    is none, as in a plain `Image`.
    """

    description = Unicode().tag(sync=True)


def encode(image: Tensor, before: Tensor | None = None, divide: float = 0.0) -> bytes:
    """An image (1, 3, H, W) in [0, 1] as a JPEG file that is no larger than the page shows it.

    Left of ``divide``, a share of the width in [0, 1], it shows ``before``, of the same size.
    """
    picture = to_pil(image)
    edge = round(divide * picture.width)
    if before is not None and edge:
        left = to_pil(before[..., :edge])
        picture.paste(left, (0, 0))
        picture.paste("white", (max(0, edge - 1), 0, edge + 1, picture.height))
    if picture.width > WIDTH or picture.height > HEIGHT:
        picture.thumbnail((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    # Colours at full resolution: halved, as is usual, they smear a painting's strokes.
    picture.save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()


def shown_size(image: Tensor) -> tuple[int, int]:
    """Height and width of an image (1, 3, H, W) on the page: as large as its box allows."""
    height, width = image.shape[2:]
    scale = min(HEIGHT / height, WIDTH / width)
    return round(height * scale), round(width * scale)


def weight_changes(history: pd.DataFrame) -> list[int]:
    """The steps from which on a history's loss weights are others than at the step before."""
    weights = history[[name for name in WEIGHTS if name in history]]
    changed = (weights != weights.shift()).any(axis=1)
    return [int(step) for step in history["step"][changed].iloc[1:]]


class LossCurve:
    """The curves of a history, drawn again and again into one figure.

    No pyplot, which belongs to the main thread, and nothing made anew at a drawing.
    """

    def __init__(self) -> None:
        with matplotlib.style.context(STYLE):
            figure = Figure(figsize=(WIDTH / 100, CURVE_HEIGHT / 100), dpi=100)
            self.canvas = FigureCanvasAgg(figure)
            self.axes = figure.add_axes((0.13, 0.28, 0.84, 0.68))
            self.lines = {
                name: self.axes.plot(
                    [], [], DASHES[name], label="total (weighted)" if name == "total" else name
                )[0]
                for name in TERMS
            }
            along_x = self.axes.get_xaxis_transform()
            (self.marks,) = self.axes.plot(
                [], [], color="0.4", linewidth=1, transform=along_x, label="weights changed"
            )
            self.axes.set(xlabel="step", ylabel="loss", yscale="log")
            # Plain numbers: powers of ten go through mathtext, which threads may not share.
            self.axes.yaxis.set_major_locator(LogLocator(numticks=7))
            self.axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            self.axes.yaxis.set_minor_locator(NullLocator())
            self.axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            figure.legend(
                loc="lower center",
                ncols=5,
                frameon=False,
                fontsize=9,
                handlelength=1.3,
                handletextpad=0.4,
                columnspacing=0.9,
            )

    def draw(self, history: pd.DataFrame) -> bytes:
        """The curves of a history (a row a step) as a PNG file."""
        table = terms(history) if len(history) else pd.DataFrame(columns=list(TERMS))
        for name, line in self.lines.items():
            values = table[name].to_numpy(dtype=float)
            # A loss of exactly zero, as content's at the start, has no place on a log scale.
            line.set_data(table.index.to_numpy(), np.where(values > 0, values, np.nan))
        steps = weight_changes(history) if len(history) else []
        self.marks.set_data(
            np.repeat(np.array(steps, dtype=float), 3), [0.0, 1.0, np.nan] * len(steps)
        )
        self.axes.relim()
        self.axes.autoscale_view()
        self.canvas.draw()  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()
        pixels = np.asarray(self.canvas.buffer_rgba())[:, :, :3]  # type: ignore[no-untyped-call]
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


class Pace:
    """When a live view is due again: not before ``every`` seconds, and never above `SHARE`."""

    def __init__(self, every: float) -> None:
        self.every, self.due = every, 0.0

    def draw(self, view: Callable[[], None]) -> None:
        """Call ``view`` if it is due."""
        started = time.perf_counter()
        if started >= self.due:
            view()
            ended = time.perf_counter()
            self.due = ended + max(self.every, (ended - started) / SHARE)
