"""One scale against several at 1200x1800, as a picture: docs/results/scales.webp.

The preset `gallery`, and the same settings with one scale and as many evaluations of full-size
pixels as `gallery` makes at all of its scales together.
"""

from dataclasses import replace
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from sides import PAIRS

from stylelab import PRESETS, sample, stylize
from stylelab.plots import STYLE
from stylelab.training.optimizers import plan_scales


def main() -> None:
    several = PRESETS["gallery"]
    sizes, ends = plan_scales(several.size, several)
    counts = [b - a for a, b in zip([0, *ends], ends, strict=False)]
    pixels = sum(h * w * n for (h, w), n in zip(sizes, counts, strict=True))
    one = replace(several, scales=1, steps=round(pixels / (sizes[-1][0] * sizes[-1][1])))
    titles = {f"one scale, {one.steps} steps": one, f"{several.scales} scales": several}
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(9, 6.3), layout="constrained")
        axes = figure.subplots(2, 2)
        for column, (title, config) in enumerate(titles.items()):
            image = stylize(*(sample(name) for name in PAIRS[0]), config).image
            height, width = image.shape[2:]
            part = image[:, :, height // 6 : height // 2, width // 2 : width - width // 6]
            for ax, shown in zip(axes[:, column], (image, part), strict=True):
                ax.imshow(shown[0].permute(1, 2, 0).numpy())
                ax.set_axis_off()
            axes[0, column].set_title(title)
    place = Path(__file__).parents[1] / "docs" / "results" / "scales.webp"
    figure.savefig(place, format="webp", dpi=150, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
