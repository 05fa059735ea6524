"""Live pictures and loss curves of a run, encoded for a page fast enough to follow it."""

import html
import io
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

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

from stylelab.config import LOSS_WEIGHTS
from stylelab.images import to_pil
from stylelab.plots import DASHES, STYLE, terms

WIDTH, HEIGHT = 480, 340  # of the box that a live picture fits into, in pixels of the page
CURVE_HEIGHT = 270  # of the curves; they are as wide as the box
EVERY = 0.3  # seconds, at least, from one live picture to the next
SHARE = 0.04  # of the time that each of the live views may take, at most
TERMS = ("total", "content", "style", "tv")
LEAST = 1e-7  # of the largest loss: what is smaller is not drawn
HELD_OUT = "held out (total)"  # a column of a training's history, with few values


class Picture(widgets.Image):  # type: ignore[misc]
    """A picture on the page, whose tooltip says what it shows to those who cannot see it.

    The page gives a widget its tooltip only where its description is empty, and fails where there
    is none, as in a plain `Image`.
    """

    description = Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.add_class("stylelab-picture")


def curve_picture(run: str) -> Picture:
    """A place for the loss curves of a run, of the size that `LossCurve` draws."""
    size = {"width": f"{WIDTH}px", "height": f"{CURVE_HEIGHT}px"}
    words = f"The loss curves of {run}: total, content, style and total variation"
    return Picture(
        format="png", layout={"margin": "0", "object_fit": "fill", **size}, tooltip=words
    )


def message(words: str, fault: bool = False, link: str = "") -> str:
    """A line of plain text as HTML, escaped and announced to screen readers; faults in red.

    ``link`` is HTML that follows it.
    """
    role, colour = ("alert", "var(--jp-error-color1, #c62828)") if fault else ("status", "inherit")
    line = f'<div role="{role}" style="color:{colour};line-height:1.4">{html.escape(words)}'
    return f"{line} {link}</div>" if words else ""


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


def put(image: Tensor, picture: widgets.Image, scale: float = 1.0) -> None:
    """Show an image (1, 3, H, W) in a picture on the page, at ``scale`` times its size there."""
    height, width = (f"{scale * side:.0f}px" for side in shown_size(image))
    picture.layout.height, picture.layout.width = height, width
    picture.value = encode(image)


def weight_changes(history: pd.DataFrame) -> list[int]:
    """The steps at which a history's loss weights differ from those of the step before."""
    weights = history[[name for name in LOSS_WEIGHTS if name in history]]
    changed = (weights != weights.shift()).any(axis=1)
    return [int(step) for step in history["step"][changed].iloc[1:]]


class LossCurve:
    """The curves of a history, redrawn into one figure.

    No pyplot, which only the main thread may use. Most of the drawing time goes into axes and text;
    so they are kept, and redrawn only when the curves reach the ends of the axes.
    """

    def __init__(self, names: Sequence[str] = TERMS) -> None:
        self.limits: tuple[float, ...] = ()
        with matplotlib.style.context(STYLE):
            figure = Figure(figsize=(WIDTH / 100, CURVE_HEIGHT / 100), dpi=100)
            self.canvas = FigureCanvasAgg(figure)
            self.axes = figure.add_axes((0.15, 0.28, 0.82, 0.68))
            self.lines = {
                name: self.axes.plot(
                    [],
                    [],
                    "o" if name == HELD_OUT else DASHES.get(name, "-"),
                    label="total (weighted)" if name == "total" else name,
                    animated=True,  # not drawn with the axes
                )[0]
                for name in names
            }
            along_x = self.axes.get_xaxis_transform()
            (self.marks,) = self.axes.plot(
                [],
                [],
                color="0.4",
                linewidth=1,
                transform=along_x,
                label="weights changed",
                animated=True,
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
        table = terms(history) if len(history) else pd.DataFrame()
        table = table.reindex(columns=list(self.lines))  # a method may have fewer groups, or more
        # A loss of zero but for rounding, as content's at the start, has no place on a log scale.
        table = table.astype(float)
        table = table.where(table > LEAST * table.max().max())
        for name, line in self.lines.items():
            line.set_data(table.index.to_numpy(), table[name].to_numpy())
        steps = weight_changes(history) if len(history) else []
        self.marks.set_data(
            np.repeat(np.array(steps, dtype=float), 3), [0.0, 1.0, np.nan] * len(steps)
        )
        if (limits := self._limits(table)) != self.limits:
            self.limits = limits
            self.axes.set(xlim=limits[:2], ylim=limits[2:])
            self.canvas.draw()  # type: ignore[no-untyped-call]
            self.empty = self.canvas.copy_from_bbox(self.axes.figure.bbox)  # type: ignore
        self.canvas.restore_region(self.empty)  # type: ignore[no-untyped-call]
        for line in (*self.lines.values(), self.marks):
            self.axes.draw_artist(line)
        buffer = io.BytesIO()
        pixels = np.asarray(self.canvas.buffer_rgba())[:, :, :3]  # type: ignore[no-untyped-call]
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    def _limits(self, table: pd.DataFrame) -> tuple[float, ...]:
        """Ends of the axes: they hold all values, and change seldom while the curves grow."""
        low, high = table.min().min(), table.max().max()
        if not len(table) or np.isnan(low):
            return (0, 10, 0.1, 100)
        last = table.index[-1]
        right = next(d * 10**n for n in count(1) for d in (1, 2, 3, 5, 7) if d * 10**n >= last)
        # Whole thirds of a decade, which are about 2, 5 and 10 of each.
        thirds = np.floor(3 * np.log10(low) - 0.2), np.ceil(3 * np.log10(high) + 0.2)
        return (0, right, *(float(10 ** (third / 3)) for third in thirds))


class Pace:
    """Limits a live view: `EVERY` seconds between updates, at most `SHARE` of the run's time.

    Args:
        fail: is told of a view that cannot be drawn; the run goes on without it.
    """

    def __init__(self, fail: Callable[[Exception], None]) -> None:
        self.fail, self.due = fail, 0.0

    def draw(self, view: Callable[[], None]) -> None:
        """Call ``view`` if it is due."""
        started = time.perf_counter()
        if started >= self.due:
            try:
                view()
            except Exception as error:
                self.fail(error)
            ended = time.perf_counter()
            self.due = ended + max(EVERY, (ended - started) / SHARE)
