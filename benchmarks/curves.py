"""Objective against seconds for what was tried to need fewer steps: docs/results/fast.webp."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import pandas as pd
import torch
from matplotlib.figure import Figure
from objective import EVERY
from sides import PAIRS, SMALL, Textbook, make, report
from torch import Tensor

from stylelab import PRESETS, Config, Transfer, restore
from stylelab.plots import STYLE
from stylelab.training.optimizers import PyramidAdam, learning_rate

PLAIN = Config(size=SMALL)
FAST = replace(PRESETS["fast"], size=SMALL)


def pyramid(**options: object) -> Callable[[Transfer], None]:
    """Another pyramid in the place of the preset's."""

    def change(transfer: Transfer) -> None:
        rate = transfer.config.learning_rate
        (player,) = transfer.players
        player.optimizer = PyramidAdam([transfer.variable], lr=rate, **options)
        factor = learning_rate(transfer.config, transfer.config.steps)
        player.scheduler = torch.optim.lr_scheduler.LambdaLR(player.optimizer, factor)

    return change


class Averaged:
    """A run whose picture is the running mean of its iterates, ``decay`` of it the last mean."""

    def __init__(self, transfer: Transfer, decay: float = 0.9) -> None:
        self.transfer, self.decay = transfer, decay
        self.variable = transfer.variable.detach().clone()

    def step(self) -> None:
        self.transfer.step()
        self.variable.lerp_(self.transfer.variable.detach(), 1 - self.decay)

    @property
    def image(self) -> Tensor:
        return restore(self.variable)

    @property
    def seconds(self) -> float:
        return self.transfer.seconds


CONSTANT = replace(FAST, schedule="constant", learning_rate=0.05)
AVERAGED = "pyramid, constant, iterates averaged"
TRIED = {
    "Adam, 0.1 (paper)": (replace(PLAIN, steps=400), None),
    "Adam, 0.2, linear": (replace(PLAIN, steps=200, learning_rate=0.2, schedule="linear"), None),
    "L-BFGS": (replace(PLAIN, steps=200, optimizer="lbfgs", learning_rate=1.0), None),
    "pyramid, constant": (CONSTANT, None),
    AVERAGED: (CONSTANT, None),
    "one level": (FAST, pyramid(levels=1)),
    "pyramid, betas (0.9, 0.999)": (FAST, pyramid(betas=(0.9, 0.999))),
    "pyramid, not projected": (replace(FAST, projected=False), None),
    "pyramid, linear (fast)": (FAST, None),
}


def main() -> None:
    judge, sides, lengths = Textbook(*PAIRS[0], PLAIN), {}, {}
    for name, (config, change) in TRIED.items():
        side = make("stylelab", PAIRS[0], config)
        if change is not None:
            change(side)
        sides[name] = Averaged(side) if name == AVERAGED else side
        lengths[name] = config.steps
    found: dict[str, list[tuple[int, float, float]]] = {name: [] for name in sides}
    for step in range(0, max(lengths.values()) + 1, EVERY):  # in turns, as the pace varies
        for name, side in sides.items():
            if step <= lengths[name]:
                for _ in range(EVERY if step else 0):
                    side.step()
                found[name].append((step, side.seconds, judge.judge(side.image)))
    columns = ["step", "seconds", "objective"]
    curves = {name: pd.DataFrame(rows, columns=columns) for name, rows in found.items()}
    rows = []
    for name, table in curves.items():
        rows.append({"what": name})
        for step in (40, 100, 200, 400):
            at = table.loc[table["step"] == step, "objective"]
            rows[-1][f"after {step} steps"] = f"{at.iloc[0]:.2f}" if len(at) else ""
        rows[-1]["at its end"] = f"{table['objective'].iloc[-1]:.2f}"
    words = "Chenonceau in the style of Café Terrace at Night at 150x225, judged in float32."
    report("tried", "What was tried for fewer steps", pd.DataFrame(rows), words)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        ax = figure.subplots()
        dashes = ["-", "--", "-.", ":"]
        for number, (name, table) in enumerate(curves.items()):
            best = name.endswith("(fast)")
            ax.plot(
                table["seconds"],
                table["objective"],
                dashes[number % 4] if not best else "-",
                label=name,
                linewidth=2.5 if best else 1.3,
                color="black" if best else None,
            )
        ax.set(yscale="log", ylim=(18, 40), xlabel="seconds", ylabel="objective, in float32")
        ax.set_yticks([19, 20, 22, 25, 30, 40], ["19", "20", "22", "25", "30", "40"])
        ax.minorticks_off()
        ax.legend(title="150x225, weights 1 : 1000 : 10")
    place = Path(__file__).parents[1] / "docs" / "results" / "fast.webp"
    figure.savefig(place, format="webp", dpi=110, pil_kwargs={"quality": 85})


if __name__ == "__main__":
    main()
