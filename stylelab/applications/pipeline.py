"""The diagram of the experiment: what is read once, and what happens in each step."""

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from stylelab.config import Config
from stylelab.plots import STYLE

ONCE, STEP, CHANGED, BACK = "#eef3fa", "#fff3dd", "#ffd9c7", "#a8321a"
Place = tuple[float, float]


def pipeline_figure(config: Config) -> Figure:
    """How the standard method makes a picture with the settings of ``config``."""
    weights = (config.content_weight, config.style_weight, config.tv_weight)
    first, last = config.style_layers[0], config.style_layers[-1]
    losses = (
        f"content loss\n{', '.join(config.content_layers)}",
        f"style loss\n{first} to {last}",
        "total variation\nof the pixels",
    )
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10, 4.4), layout="constrained")
        ax = figure.subplots()
        ax.set(xlim=(0, 100), ylim=(0, 44))
        ax.axis("off")
        for y, start, end in (
            (37, "photograph", "target features"),
            (28, "painting", "target\nGram matrices"),
            (14, "image: the\nparameter", "its features,\nits Gram matrices"),
        ):
            colour = STEP if y == 14 else ONCE
            _box(ax, (8, y), start, CHANGED if y == 14 else colour)
            _box(ax, (28, y), "VGG-19, frozen", colour)
            _box(ax, (49, y), end, colour, 18)
            _arrow(ax, [(15, y), (21, y)])
            _arrow(ax, [(35, y), (40, y)])
        for height, text in zip((34, 21.5, 9), losses, strict=True):
            _box(ax, (73, height), text, STEP, 17)
            _arrow(ax, [(81.5, height), (87, 21.5)])
        _arrow(ax, [(58, 37), (64.5, 35)])
        _arrow(ax, [(58, 28), (64.5, 22.5)])
        _arrow(ax, [(58, 14), (64.5, 33)])
        _arrow(ax, [(58, 14), (64.5, 20.5)])
        _arrow(ax, [(11, 11), (11, 7.5), (64.5, 7.5)])
        _box(ax, (93, 21.5), "weighted sum\n" + " : ".join(f"{w:g}" for w in weights), STEP, 12)
        _arrow(ax, [(93, 18.5), (93, 3.5), (5, 3.5), (5, 11)], color=BACK, linestyle="--")
        moved = f"gradient with respect to the pixels; {config.optimizer.capitalize()} moves them"
        ax.text(49, 1, moved, ha="center", va="center", color=BACK)
        for height, words in ((42.5, "once, before the first step"), (19, "in each step")):
            ax.text(1, height, words, va="center", fontsize=9, style="italic")
    return figure


def _box(ax: Axes, centre: Place, text: str, colour: str, width: float = 14) -> None:
    x, y = centre
    rounded = "round,pad=0,rounding_size=1"
    ax.add_patch(FancyBboxPatch((x - width / 2, y - 3), width, 6, rounded, fc=colour, ec="#333333"))
    ax.text(x, y, text, ha="center", va="center", fontsize=9)


def _arrow(ax: Axes, places: Sequence[Place], color: str = "#333333", linestyle: str = "-") -> None:
    ax.plot(*zip(*places[:-1], strict=True), linestyle, color=color, linewidth=1.2)
    head = {"arrowstyle": "-|>", "color": color, "linestyle": linestyle, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", places[-1], places[-2], arrowprops=head)
