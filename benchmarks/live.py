"""What the live lab adds to a run's time, and what 2,000 live frames add to its memory."""

import gc
from dataclasses import replace

import pandas as pd
import psutil
from sides import LARGE, SMALL, quick, ratio, report, seconds

from stylelab import PRESETS, Config, LiveLab, Transfer, sample

PAIR = ("chenonceau", "cafe_terrace_at_night")


def plain(config: Config) -> float:
    """Seconds of a run without the lab."""
    transfer = Transfer(*(sample(name) for name in PAIR), config)

    def run() -> None:
        while not transfer.done:
            transfer.step()

    return seconds(run)


def live(config: Config) -> float:
    """Seconds of the same steps in the lab, from the first to the last, with all that it draws."""
    lab = LiveLab(*PAIR, config)
    lab.join()
    lab._begin()  # the features of the pictures, which `plain` does not count either
    lab._begun = True

    def run() -> None:
        lab.run()
        lab.join()

    return seconds(run)


def cost(size: tuple[int, int], steps: int, rounds: int) -> tuple[str, str]:
    """The time with the lab in that without: the median of the rounds, and of the fastest."""
    config = replace(PRESETS["paper"], size=size, steps=steps)
    plain(replace(config, steps=3)), live(replace(config, steps=3))  # what is made on first use
    taken: dict[str, list[float]] = {"plain": [], "live": []}
    for number in range(rounds):
        sides = [("plain", plain), ("live", live)]
        for name, act in sides if number % 2 else sides[::-1]:
            taken[name].append(act(config))
    fastest = min(taken["live"]) / min(taken["plain"])
    return f"{ratio(taken, 'live', 'plain'):.3f}", f"{fastest:.3f}"


def growth(frames: int) -> float:
    """MB that a process has more after so many frames: encoded, and a curve to every fourth."""
    lab = LiveLab(*PAIR, replace(PRESETS["paper"], size=SMALL, steps=3))
    lab.run()
    lab.join()

    def draw(count: int) -> float:
        for number in range(count):
            lab._draw_picture()
            if number % 4 == 0:
                lab._draw_curve()
        gc.collect()
        return psutil.Process().memory_info().rss / 2**20

    before = draw(200)
    return draw(frames) - before


def main() -> None:
    short = quick()
    rows = []
    for size, steps in ((SMALL, 60 if short else 200), (LARGE, 20 if short else 60)):
        median, fastest = cost(size, steps, 3 if short else 5)
        name = f"{steps} steps at {size[0]}x{size[1]}, with the lab / without"
        rows.append({"what": f"{name}: median", "value": median})
        rows.append({"what": f"{name}: the fastest of each", "value": fastest})
    frames = 300 if short else 2000
    rows.append(
        {"what": f"memory after {frames} frames, MB more", "value": f"{growth(frames):.1f}"}
    )
    words = (
        "The preset `paper` without and in the lab, in turns; then the same picture and curves "
        "drawn again and again. In the kernel alone: what a browser takes to show it is not in it."
    )
    report("live", "What the live view costs", pd.DataFrame(rows), words, not short)


if __name__ == "__main__":
    main()
