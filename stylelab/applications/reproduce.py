"""The paper's experiment from end to end: two runs, their figures, and a report."""

import io
from pathlib import Path

import matplotlib
import pandas as pd
from jinja2 import Template
from matplotlib.figure import Figure
from torch import Tensor

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.files import write_atomically
from stylelab.images import load_image
from stylelab.metrics import detail_energy, enlarge
from stylelab.plots import STYLE, plot_images, plot_losses, show, size_name
from stylelab.presets import PRESETS
from stylelab.sample_pictures import sample, samples
from stylelab.training.result import Result
from stylelab.training.transfer import stylize

CONTENT, PAINTING = "chenonceau", "cafe_terrace_at_night"


def reproduce(
    out: str | Path = "runs/reproduce",
    small: Config = PRESETS["paper"],
    large: Config = PRESETS["paper-large"],
    progress: bool = True,
) -> tuple[Result, Result]:
    """Run the paper's experiment (section III) and write its figures and report.html to ``out``.

    Complete runs in ``out`` are kept, so that a second call takes seconds. Returns the results at
    the small and at the large size, the counterparts of Figures 3 and 4.
    """
    out, results = Path(out), []
    own = [out / name for name in ("figure.png", "losses.png", "report.html")]
    if not (out / "small").is_dir() and (foreign := [path for path in own if path.exists()]):
        raise InputError(f"'{foreign[0]}' would be overwritten; name another folder")
    for name, config in {"small": small, "large": large}.items():
        result = stylize(sample(CONTENT), sample(PAINTING), config, out / name, progress=progress)
        if result.interrupted:
            raise KeyboardInterrupt
        results.append(result)
    figures = {"figure": compare_figure(*results), "losses": losses_figure(*results)}
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150)
        write_atomically(out / f"{name}.png", buffer.getvalue())
    write_atomically(out / "report.html", report(*results).encode())
    return results[0], results[1]


def detail_ratio(small: Tensor, large: Tensor) -> float:
    """Energy of fine detail in the large image over that in the small one, enlarged to its size.

    Above one, the large image (1, 3, H, W) holds detail that enlarging the small one cannot give.
    """
    height, width = large.shape[2:]
    return detail_energy(large) / detail_energy(enlarge(small, (height, width)))


def compare_figure(small: Result, large: Result) -> Figure:
    """Content, style, and the counterparts of Figures 3 and 4, printed at one size."""
    height, width = large.image.shape[2:]
    sources = {"Content": CONTENT, "Style": PAINTING}
    images = {k: load_image(sample(name), (height, width)) for k, name in sources.items()}
    for number, result in {3: small, 4: large}.items():
        steps = len(result.history)
        images[f"As Figure {number}: {size_name(result.image)}, {steps} steps"] = result.image
    return plot_images(images, columns=2)


def losses_figure(*results: Result) -> Figure:
    """The loss curves of runs side by side, by term, on the same axes."""
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10, 4), layout="constrained")
        axes = figure.subplots(1, len(results), sharex=True, sharey=True, squeeze=False)[0]
        for ax, result in zip(axes, results, strict=True):
            plot_losses(result.history, ax, size_name(result.image))
        for ax in axes[:-1]:  # one legend for all
            ax.get_legend().remove()
    return figure


def report(small: Result, large: Result) -> str:
    """A page with the figures, the numbers and the settings, that needs no other file."""
    config = large.config
    content, painting = samples().loc[CONTENT], samples().loc[PAINTING]
    what = f"{content['title']} in the style of {painting['title']} by {painting['author']}"
    weights = (config.content_weight, config.style_weight, config.tv_weight)
    losses = {size_name(r.image): r.losses for r in (small, large)}
    template = Template(Path(__file__).with_name("report.html").read_text("utf-8"), autoescape=True)
    page: str = template.render(
        title="The experiment of “CNN-Based Image Style Transfer and Its Applications”",
        what=what,
        weights=" : ".join(f"{weight:g}" for weight in weights),
        config=config,
        figure=show(compare_figure(small, large), f"The photograph, the painting, and {what}").html,
        detail=f"{detail_ratio(small.image, large.image):.1f}",
        curves=show(
            losses_figure(small, large),
            "Loss curves of both sizes, which fall steeply at first and slowly later",
            "Losses against steps. The total is weighted, the terms are not.",
        ).html,
        losses=pd.DataFrame(losses).to_html(float_format="{:.3g}".format, border=0),
        made={**large.info, "seconds": f"{small.info['seconds']} and {large.info['seconds']}"},
        content=content,
        style=painting,
    )
    return page
