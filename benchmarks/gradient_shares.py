"""Do loss weights, or shares of the gradient, carry over between sizes?

For each pair and size, a run with the usual weights and one with the same shares of the gradient
everywhere; the style distances of the saved pictures, and how far those of a way lie apart.

    python benchmarks/gradient_shares.py [--heights 150 300 600] [--pairs 3] [--steps 60]
"""

import argparse
from dataclasses import replace

import pandas as pd
from sides import PAIRS

from stylelab import PRESETS, sample, stylize

WAYS = {
    "losses": {"content_weight": 1, "style_weight": 1000, "tv_weight": 10},
    "gradients": {"content_weight": 45, "style_weight": 54, "tv_weight": 1},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heights", type=int, nargs="+", default=(150, 300, 600))
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    rows = []
    for content, style in PAIRS[: given.pairs]:
        for height in given.heights:
            for way, weights in WAYS.items():
                size = height, height * 3 // 2
                config = replace(
                    PRESETS["fast"], size=size, steps=given.steps, weigh=way, **weights
                )
                found = stylize(sample(content), sample(style), config, progress=False)
                metrics = found.info["metrics"]
                rows.append([content, way, height, metrics["style_distance"], metrics["ssim"]])
                print(*rows[-1], flush=True)
    columns = ["pair", "weigh", "height", "style distance", "ssim"]
    table = pd.DataFrame(rows, columns=columns)
    wide = table.pivot_table(index=["pair", "weigh"], columns="height", values="style distance")
    wide["farthest from the smallest size's"] = (
        wide.div(wide.iloc[:, 0], axis=0).sub(1).abs().max(axis=1)
    )
    print(wide.round(3).to_string())


if __name__ == "__main__":
    main()
