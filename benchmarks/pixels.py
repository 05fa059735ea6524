"""Cost of a step against the number of pixels, and what recomputing costs."""

import statistics

import pandas as pd
from sides import LARGE, PAIRS, SMALL, alternate, make, quick, ratio, report

from stylelab import Config

SIZES = [SMALL, LARGE, (600, 900), (1200, 1800)]


def main() -> None:
    short = quick()
    sizes = SIZES[:2] if short else SIZES
    sides = {
        (size, memory): make("stylelab", PAIRS[0], Config(size=size, memory=memory, steps=10_000))
        for size in sizes
        for memory in ("plain", "low")
    }
    taken = alternate({name: side.step for name, side in sides.items()}, 2 if short else 5)
    rows = []
    for size in sizes:
        pixels = size[0] * size[1]
        own, other = (size, "plain"), (LARGE, "plain")
        cost = ratio(taken, own, other) * (LARGE[0] * LARGE[1]) / pixels
        rows.append(
            {
                "size": f"{size[0]}x{size[1]}",
                "seconds a step": f"{statistics.median(taken[own]):.3f}",
                "seconds a megapixel": f"{statistics.median(taken[own]) / pixels * 1e6:.2f}",
                "a pixel's cost in that at 300x450": f"{cost:.2f}",
                "with memory='low'": f"{ratio(taken, (size, 'low'), own):.2f} times as long",
            }
        )
    words = "stylelab in the default precision, sizes in turns, medians."
    report("pixels", "Cost against pixels", pd.DataFrame(rows), words, not short)


if __name__ == "__main__":
    main()
