"""Seconds to the objective at which the textbook loop ends after 500 steps: the preset `fast`.

At other style weights than 1,000, `fast` has the settings `HEAVY` of docs/fast.md.

Every objective here is that of the picture as saved, clipped and in 8 bits, by the textbook's own
loss function in float32, whoever made the picture. `pictures.py` compares with pastiche.

The textbook's 500 steps at 300x450 take a quarter of an hour a pair, so its final objective is
found by the same 500 Adam steps in stylelab's `paper` preset (at 150x225 in float32, else in the
default precision; kept in `runs/bench/saved-goals.json`, which `make bench` removes first). Its
time is 500 times the median of its own steps, which are taken in turns with those of `fast`.
`--textbook` makes all of its steps for the objective.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from sides import LARGE, PAIRS, SMALL, TINY, Apart, Textbook, make, report

from stylelab import PRESETS, Config, Transfer

STEPS = 500
GOALS = Path("runs/bench/saved-goals.json")
EVERY = 5  # steps between two judgements, which do not count as time
HEAVY = {"steps": 190, "schedule": "triangle", "learning_rate": 0.09}
TURN = 20  # steps of `fast` between two of the textbook's


def curve(
    side: Transfer,
    judge: Textbook,
    steps: int,
    every: int,
    turn: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Seconds in steps and the judged objective, every few steps and at the end."""
    rows = [(0, 0.0, judge.judge(side.image))]
    for step in range(1, steps + 1):
        side.step()
        if step % TURN == 0:
            turn()
        if step % every == 0 or step == steps:
            rows.append((step, side.seconds, judge.judge(side.image)))
    return pd.DataFrame(rows, columns=["step", "seconds", "objective"])


def find_goal(pair: tuple[str, str], config: Config, textbook: bool) -> tuple[float, float]:
    """The textbook's final objective, of the saved picture and before it is clipped.

    They are kept, because they take most of the time and never change.
    """
    names = [
        *pair,
        str(config.size),
        f"{config.style_weight:g}",
        "textbook" if textbook else "paper",
    ]
    kept, name = json.loads(GOALS.read_text()) if GOALS.exists() else {}, " ".join(names)
    if name not in kept:
        judge = Textbook(*pair, config)
        if textbook:
            for _ in range(STEPS):
                judge.step()
            plain = judge
        else:
            precision = "float32" if config.size == SMALL else "auto"
            plain = make("stylelab", pair, replace(config, precision=precision))
            for _ in range(STEPS):
                plain.step()
        with torch.no_grad():
            kept[name] = judge.judge(plain.image), float(judge.loss(plain.variable))
        GOALS.parent.mkdir(parents=True, exist_ok=True)
        GOALS.write_text(json.dumps(kept, indent=1))
    return kept[name][0], kept[name][1]


def settings(weight: float, size: tuple[int, int]) -> Config:
    own = {} if weight == Config().style_weight else HEAVY
    return replace(PRESETS["fast"], size=size, style_weight=weight, **own)


def compare(pair: tuple[str, str], config: Config, textbook: bool) -> dict[str, object]:
    judge = Textbook(*pair, config)
    goal, seen = find_goal(pair, config, textbook)
    apart = Apart("textbook", pair, config)
    apart.step()
    taken: list[float] = []
    fast = settings(config.style_weight, config.size)
    side = make("stylelab", pair, fast)
    found = curve(side, judge, fast.steps, EVERY, lambda: taken.append(apart.step()))
    apart.close()
    reached = found[found["objective"] <= goal]
    slow = STEPS * statistics.median(taken)
    quick = reached["seconds"].iloc[0] if len(reached) else None
    row = {
        "size": f"{config.size[0]}x{config.size[1]}",
        "style weight": f"{config.style_weight:g}",
        "pair": " / ".join(pair),
        "objective of 500 textbook steps": f"{goal:.2f}",
        "before clipping": f"{seen:.2f}",
        "its seconds": f"{slow:.0f}",
        "of fast": f"{found['objective'].iloc[-1]:.2f}",
        "steps of fast to the goal": reached["step"].iloc[0] if len(reached) else "not reached",
        "its seconds ": f"{quick:.1f}" if quick else "",
        "times fewer seconds": f"{slow / quick:.1f}" if quick else "",
    }
    print(json.dumps(row, default=str), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one pair at 64x96")
    parser.add_argument("--textbook", action="store_true", help="make all of the textbook's steps")
    parser.add_argument("--style-weight", type=float, default=1000.0)
    options = parser.parse_args()
    weight = options.style_weight
    cases = [(pair, size) for size in (SMALL, LARGE) for pair in PAIRS]
    if options.quick:
        cases = [(PAIRS[0], TINY)]
    rows = []
    fast = settings(weight, LARGE)
    words = (
        f"The preset `fast` ({fast.steps} steps, step size {fast.learning_rate:g}, schedule "
        f"{fast.schedule}) against the textbook's 500 Adam steps; every objective "
        "is that of the picture as saved, by the textbook's own function in float32. How the "
        "textbook's figures were found is said at the top of `benchmarks/objective.py`."
    )
    name, title = "objective", "Seconds to the objective of 500 textbook steps"
    if weight != 1000.0:
        name, title = f"{name}-{weight:g}", f"{title}, style weight {weight:g}"
    for pair, size in cases:
        config = Config(size=size, style_weight=weight)
        rows.append(compare(pair, config, options.textbook))
        report(name, title, pd.DataFrame(rows), words, not options.quick)


if __name__ == "__main__":
    main()
