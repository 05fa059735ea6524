"""How near the best settings tuning comes in a few trials: chance, TPE and the Gaussian process.

Objectives are formulas, because hundreds of real runs would take days: their values lie about a
best style weight and total variation weight, drawn anew for each seed, and a pooling. The first
trials are drawn by chance, the same ones for all three.

    python benchmarks/proposals.py [--trials 16] [--seeds 12]
"""

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import optuna
import pandas as pd
from sides import report

from stylelab.sweeps.search import STARTUP

SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "chance": lambda seed: optuna.samplers.RandomSampler(seed),
    "TPE": lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP),
    "Gaussian process": lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP),
}


def search(sampler: optuna.samplers.BaseSampler, trials: int, seed: int) -> tuple[float, float]:
    """The least objective that was found, which is 0 at best, and seconds of CPU for a proposal."""
    style, tv = np.random.default_rng(seed).uniform((1.5, 0.3), (4.5, 2.7))
    study = optuna.create_study(sampler=sampler)
    taken = []
    for _ in range(trials):
        began = time.process_time()
        trial = study.ask()
        off = np.log10(trial.suggest_float("style_weight", 10, 1e5, log=True)) - style
        far = np.log10(trial.suggest_float("tv_weight", 1, 1e3, log=True)) - tv
        other = trial.suggest_categorical("pooling", ["avg", "max"]) == "avg"
        taken.append(time.process_time() - began)
        study.tell(trial, off**2 + 0.3 * far**2 + 0.2 * off * far + 0.3 * other)
    return study.best_value, statistics.median(taken[STARTUP:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=12)
    given = parser.parse_args()
    optuna.logging.set_verbosity(logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SAMPLERS}
    for seed in range(given.seeds):  # in turns
        for name, sampler in SAMPLERS.items():
            found[name].append(search(sampler(seed), given.trials, seed))
    usual = [best for best, _ in found["TPE"]]
    rows = []
    for name, results in found.items():
        bests, seconds = zip(*results, strict=True)
        ratio = statistics.median(b / u for b, u in zip(bests, usual, strict=True))
        rows.append({
            "proposals by": name,
            "objective, median": f"{statistics.median(bests):.2g}",
            "in that of TPE, median": f"{ratio:.2g}",
            "nearer than TPE": f"{sum(map(float.__lt__, bests, usual))} of {given.seeds}",
            "CPU ms a proposal": f"{1000 * statistics.median(seconds):.0f}",
        })  # fmt: skip
    words = (
        f"The best of {given.trials} trials, of which {STARTUP} are drawn by chance, over "
        f"{given.seeds} seeds: a style weight, a total variation weight and a pooling, judged by a "
        "formula that is 0 at best. `python benchmarks/proposals.py` made it."
    )
    report("proposals", "Proposals of a tuning", pd.DataFrame(rows), words)


if __name__ == "__main__":
    main()
