"""How hard each distance of the method "matching" pulls, and what it paints.

For each distance, and each kind of content, the length of its gradient half-way between content and
style, over that of the standard method: the geometric mean over pairs. The scales in
stylelab/methods/matching.py are its inverse. With --pictures, the first pair painted with each on
equal shares of the gradient, beside the methods gatys and cnnmrf: docs/results/losses.webp, and a
table in results.md.

    python benchmarks/losses.py [--pairs 3] [--size 150 225] [--pictures] [--steps 60]
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
from sides import PAIRS, report

from stylelab import (
    PRESETS,
    Config,
    Transfer,
    load_image,
    plot_images,
    sample,
    standardize,
    stylize,
)
from stylelab.maths.distances import DISTANCES
from stylelab.registry import METHODS
from stylelab.training.gauge import gradient_lengths

SHEET = Path(__file__).parents[1] / "docs" / "results" / "losses.webp"
COLUMNS = (
    "style_distance", "transport_distance", "effectiveness", "content_distance",
    "structure_distance", "grain",
)  # fmt: skip
STROTSS = ("transport", "self_similarity")
CHOICES = [(name, "features") for name in DISTANCES] + [STROTSS]


def weighted_lengths(pair: tuple[str, str], config: Config) -> dict[str, float]:
    """Lengths of the gradients of content and style, times their loss weights."""
    content, style = (load_image(sample(name), config.size) for name in pair)
    transfer = Transfer(content, style, config)
    middle = standardize(content.lerp(style, 0.5)).to(transfer.variable)
    lengths = gradient_lengths(transfer.objective, middle)
    weights = METHODS.load(config.method).loss_weights(config)
    return {group: weights[group] * lengths[group] for group in ("content", "style")}


def paint(pair: tuple[str, str], base: Config) -> None:
    """The sheet of pictures, and the table of their metrics."""
    shares = {"content_weight": 45, "style_weight": 54, "tv_weight": 1}
    equal = replace(base, weigh="gradients", **shares)
    settings = {"gatys": equal}
    for distance, content in CHOICES:
        own = {"distance": distance, "content": content}
        words = distance if content == "features" else f"{distance}, {content}"
        settings[words] = replace(equal, method="matching", options=own)
    settings["cnnmrf"] = replace(base, method="cnnmrf")  # as it weighs itself
    images = {name: load_image(sample(name), base.size) for name in pair}
    rows = []
    for name, config in settings.items():
        result = stylize(*map(sample, pair), config, progress=False)
        images[name], metrics = result.image, result.info["metrics"]
        found = {column: f"{metrics[column]:.3g}" for column in COLUMNS}
        rows.append({"style loss": name, **found})
        print(rows[-1], flush=True)
    figure = plot_images(images, columns=3, height=1.9)
    figure.savefig(SHEET, format="webp", dpi=110, pil_kwargs={"quality": 80})
    words = (
        f"{' / '.join(pair)}, {base.steps} steps of the preset `fast`. Content, style and "
        "variation have 45, 54 and 1 % of the gradient, but for cnnmrf, which has its own weights."
    )
    title = f"Style losses on equal shares of the gradient at {base.size[0]}x{base.size[1]}"
    report("losses", title, pd.DataFrame(rows), words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(150, 225))
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    base = replace(PRESETS["fast"], size=tuple(given.size), steps=given.steps)
    pairs = PAIRS[: given.pairs]
    usual = [weighted_lengths(pair, base) for pair in pairs]
    for distance, content in CHOICES:
        own = {"distance": distance, "content": content}
        config = replace(base, method="matching", options=own)
        found = [weighted_lengths(pair, config) for pair in pairs]
        words = f"{distance}, {content}:"
        for group in ("content", "style"):
            ratios = [math.log(f[group] / u[group]) for f, u in zip(found, usual, strict=True)]
            words += f"  {group} {math.exp(sum(ratios) / len(ratios)):.3g}"
        print(words, flush=True)
    if given.pictures:
        paint(pairs[0], base)


if __name__ == "__main__":
    main()
