"""Cost of a step against the number of pixels, beside the others, and what recomputing costs."""

import statistics

import pandas as pd
from sides import LARGE, PAIRS, SMALL, Apart, alternate, quick, ratio, report

from stylelab import Config

SIZES = [SMALL, LARGE, (600, 900), (1200, 1800)]
OTHERS = ("textbook", "pastiche")  # at the paper's sizes: larger ones take many gigabytes


def race(sides: list[tuple], rounds: int) -> dict[tuple, list[float]]:
    """Seconds a step of (side, size, memory), each in its own process, in turns."""
    apart = {
        key: Apart(key[0], PAIRS[0], Config(size=key[1], memory=key[2], steps=10_000))
        for key in sides
    }
    taken = alternate({key: side.step for key, side in apart.items()}, rounds)
    for side in apart.values():
        side.close()
    return taken


def main() -> None:
    short = quick()
    sizes, rounds = (SIZES[:2], 2) if short else (SIZES, 5)
    plain = {size: ("stylelab", size, "plain") for size in sizes}
    beside = [] if short else [(name, size, "plain") for name in OTHERS for size in SIZES[:2]]
    taken = race([*plain.values(), *beside], rounds)
    rows = []
    for size, own in plain.items():
        pixels = size[0] * size[1]
        low = "stylelab", size, "low"
        both = race([own, low], rounds)
        found = {name: (name, size, "plain") for name in OTHERS}
        cost = ratio(taken, own, plain[LARGE]) * (LARGE[0] * LARGE[1]) / pixels
        rows.append(
            {
                "size": f"{size[0]}x{size[1]}",
                "seconds a step": f"{statistics.median(taken[own]):.3f}",
                "seconds a megapixel": f"{statistics.median(taken[own]) / pixels * 1e6:.2f}",
                "a pixel's cost in that at 300x450": f"{cost:.2f}",
                **{
                    f"{name} / it": f"{ratio(taken, other, own):.2f}" if other in taken else ""
                    for name, other in found.items()
                },
                "with memory='low'": f"{ratio(both, low, own):.2f} times as long",
            }
        )
    words = "stylelab in the default precision; each size and side in its own process, in turns."
    report("pixels", "Cost against pixels", pd.DataFrame(rows), words, not short)


if __name__ == "__main__":
    main()
