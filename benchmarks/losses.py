"""How hard each distance of the method "matching" pulls, and what it paints.

For each distance, and each kind of content, the length of its gradient half-way between content and
style, over that of the standard method: the geometric mean over pairs. The scales in
stylelab/methods/matching.py are its inverse. With --out, a sheet of pictures of the first pair on
equal shares of the gradient.

    python benchmarks/losses.py [--pairs 3] [--size 150 225] [--out FOLDER] [--steps 60]
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import torch
from sides import PAIRS

from stylelab import PRESETS, Config, Transfer, load_image, sample, save_image, standardize, stylize
from stylelab.maths.distances import DISTANCES
from stylelab.registry import METHODS
from stylelab.training.gauge import gradient_lengths

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(150, 225))
    parser.add_argument("--out", type=Path)
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
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        shares = {"content_weight": 45, "style_weight": 54, "tv_weight": 1}
        images = []
        for distance, content in CHOICES:
            own = {"distance": distance, "content": content}
            config = replace(base, method="matching", options=own, weigh="gradients", **shares)
            result = stylize(*map(sample, pairs[0]), config, progress=False)
            images.append(result.image)
            print(distance, content, f"{result.info['seconds']:.1f} s", flush=True)
            rows = [torch.cat(images[i : i + 2], 3) for i in range(0, len(images) // 2 * 2, 2)]
            if rows:
                save_image(torch.cat(rows, 2), given.out / "losses.png")
            save_image(result.image, given.out / f"{distance}-{content}.png")


if __name__ == "__main__":
    main()
