"""What the live lab adds to a run's time, and what 2,000 live frames add to its memory."""

import gc
import statistics
from dataclasses import replace
from unittest.mock import patch

import pandas as pd
import psutil
from sides import LARGE, SMALL, report, seconds

from stylelab import PRESETS, LiveLab

PAIR = ("chenonceau", "cafe_terrace_at_night")


def cost(size: tuple[int, int], steps: int) -> list[float]:
    """Seconds of a run in those of its steps alone; pictures and curves drawn a second."""
    lab = LiveLab(*PAIR, replace(PRESETS["paper"], size=size, steps=steps))
    lab.step()  # with what is prepared on first use
    lab.join()
    transfer = lab._transfer
    assert transfer is not None
    before = transfer.seconds

    def run() -> None:
        lab.run()
        lab.join()

    with (
        patch.object(lab.panel, "show_picture", wraps=lab.panel.show_picture) as pictures,
        patch.object(lab.panel, "show_curve", wraps=lab.panel.show_curve) as curves,
    ):
        whole = seconds(run)
    drawn = pictures.call_count / whole, curves.call_count / whole
    return [whole / (transfer.seconds - before), *drawn]


def growth(frames: int) -> float:
    """MB that a process has more after so many frames: encoded, and a curve to every second."""
    lab = LiveLab(*PAIR, replace(PRESETS["paper"], size=SMALL, steps=3))
    lab.run()
    lab.join()

    def draw(count: int) -> float:
        for number in range(count):
            lab._draw_picture()
            if number % 2 == 0:
                lab._draw_curve()
        gc.collect()
        return psutil.Process().memory_info().rss / 2**20

    before = draw(200)
    return draw(frames) - before


def main() -> None:
    rows = []
    for size, steps in ((SMALL, 200), (LARGE, 60)):
        medians = map(statistics.median, zip(*(cost(size, steps) for _ in range(5)), strict=True))
        values = ("seconds of the run / of its steps", "pictures a second", "curves a second")
        for value, median in zip(values, medians, strict=True):
            what = f"{size[0]}x{size[1]}, {steps} steps: {value}"
            rows.append({"what": what, "value": f"{median:.3g}"})
    rows.append({"what": "memory after 2000 frames, MB more", "value": f"{growth(2000):.1f}"})
    words = (
        "The preset `paper` in the lab, medians of the ratios of five runs, so that a slow minute "
        "of the machine hits both sides; then the same picture and curves drawn again and again. "
        "In the kernel alone: what a browser takes to show it is not in it."
    )
    report("live", "What the live view costs", pd.DataFrame(rows), words)


if __name__ == "__main__":
    main()
