"""Do loss weights, or shares of the gradient, carry over between sizes?

For each pair, the shares of the gradient that the usual weights have at the smallest size; at each
other size, the style weight that gives the same shares (with a content weight of 1), and the style
distances of saved pictures with the usual weights and with the same shares. With --weights-only,
no pictures are made.

    python benchmarks/gradient_shares.py [--heights 150 300] [--pairs 3] [--steps 60]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from sides import PAIRS, report

from stylelab import PRESETS, Config, Transfer, load_image, sample, standardize, stylize
from stylelab.training.gauge import gradient_lengths


def shares_of(pictures: list[Path], config: Config) -> dict[str, float]:
    """The shares of the gradient half-way between the pictures, by the setting of their weight."""
    transfer = Transfer(*pictures, config)
    content, style = (load_image(path, config.size) for path in pictures)
    middle = standardize(torch.lerp(content, style, 0.5)).to(transfer.variable)
    lengths = gradient_lengths(transfer.objective, middle)
    return {f"{name}_weight": transfer.loss_weights[name] * lengths[name] for name in lengths}


def distance(pictures: list[Path], config: Config) -> float:
    metrics = stylize(*pictures, config, progress=False).info["metrics"]
    return float(metrics["style_distance"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heights", type=int, nargs="+", default=(150, 300))
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--weights-only", action="store_true")
    given = parser.parse_args()
    rows = []
    for pair in PAIRS[: given.pairs]:
        pictures, shares, first = [sample(name) for name in pair], {}, None
        for height in given.heights:
            usual = replace(PRESETS["fast"], size=(height, height * 3 // 2), steps=given.steps)
            shares = shares or shares_of(pictures, usual)
            same = replace(usual, weigh="gradients", **shares)
            weights = Transfer(*pictures, same).loss_weights
            row = {"pair": " / ".join(pair), "size": f"{height}x{height * 3 // 2}"}
            row["style weight of the same shares"] = f"{weights['style'] / weights['content']:.0f}"
            if not given.weights_only:
                found = {"usual weights": distance(pictures, usual)}
                first = first or found["usual weights"]  # where both are the same
                found["same shares"] = (
                    distance(pictures, same) if height > given.heights[0] else first
                )
                row |= {way: f"{d:.3f} ({d / first - 1:+.0%})" for way, d in found.items()}
            rows.append(row)
            print(row, flush=True)
    words = (
        f"{given.steps} steps of the preset `fast`. Style distances of the saved pictures, and how "
        "far they lie from that of the smallest size. `python benchmarks/gradient_shares.py "
        f"--heights {' '.join(map(str, given.heights))} --steps {given.steps}` makes it."
    )
    title = f"Loss weights and shares of the gradient, {rows[0]['size']} to {rows[-1]['size']}"
    name = f"gradient_shares-{given.heights[0]}"
    report(name, title, pd.DataFrame(rows), words, not given.weights_only)


if __name__ == "__main__":
    main()
