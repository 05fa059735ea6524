"""What a sweep adds to its runs, and whether two processes beat one: at 150x225, 100 steps a run.

Prints ratios from one run. Takes about five minutes on two cores.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import replace

import torch

from stylelab import PRESETS, sweep

RUNS = 6
BASE = replace(PRESETS["paper"], steps=100)


def wall(workers: int, threads: int, seed: int) -> tuple[float, float]:
    """Seconds of a sweep, and of its runs' own steps."""
    with tempfile.TemporaryDirectory() as out:
        axes = {"style_weight": [10.0**i for i in range(RUNS)]}
        base = replace(BASE, seed=seed)
        started = time.perf_counter()
        options = {"workers": workers, "threads": threads, "progress": False}
        made = sweep("chenonceau", "cafe_terrace_at_night", axes, base, out, **options)
        seconds = time.perf_counter() - started
        return seconds, float(made.table["seconds"].sum())


def main() -> None:
    cores = torch.get_num_threads()
    wall(1, cores, 0)  # what a process prepares once
    serial = [wall(1, cores, seed) for seed in (1, 2, 3)]
    overhead = statistics.median(total / steps for total, steps in serial)
    print(f"serial, {cores} threads: {overhead:.3f} of the sum of the runs' own steps")
    parallel, _ = wall(2, max(1, cores // 2), 4)
    one = statistics.median(total for total, _ in serial)
    half = max(1, cores // 2)
    print(
        f"two processes of {half} thread(s), start-up included: {parallel / one:.2f} of that time"
    )
    sys.exit(overhead > 1.04)


if __name__ == "__main__":
    main()
