"""The one loop: a step, its weighted sum of losses, and the one ``backward()``."""

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm.auto import tqdm
from typing_extensions import Self  # typing has it from Python 3.11 on

from stylelab.errors import InputError
from stylelab.objectives import Terms, by_group
from stylelab.training.interrupts import deferred

if TYPE_CHECKING:
    import pandas as pd

CHECK_EVERY = 10  # steps between two checks for NaN; each check has to wait for the GPU


class Diverged(InputError):
    """A loss became NaN or infinite."""


@dataclass
class Player:
    """Parameters, the optimiser that updates them, and the losses that they should minimise.

    In a style transfer the only player is the image; in a GAN, generator and discriminator are two
    players that take turns.
    """

    parameters: Sequence[Tensor]
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    loss_weights: dict[str, float]
    """By group, which is the part of a term's name before the slash."""
    terms: Callable[[], Terms]
    """Evaluates the unweighted losses."""
    name: str = ""
    """Prefix of its columns in the history, where there are several players."""

    def total(self, terms: Terms) -> Tensor:
        """The weighted sum of the terms: the one place where the loss weights enter."""
        weighted = [self.loss_weights[name.split("/")[0]] * value for name, value in terms.items()]
        return torch.stack(weighted).sum()


def state_precision(state: dict[str, Any], otherwise: torch.dtype) -> torch.dtype:
    """The number format in which the run of a state began, where the state says so."""
    formats = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    return formats.get(state.get("precision", ""), otherwise)


class Loop:
    """Optimisation steps of one player, or of several in turn; `Transfer` is such a loop.

    Iterating makes the remaining steps and yields the number of steps done; leaving the for loop
    pauses, and iterating again resumes.

    Args:
        players: in the order of their turns.
        steps: how many to make.
        advice: what may help when a loss is no longer finite; the end of that error's message.
    """

    def __init__(
        self, players: Sequence[Player], steps: int, advice: str = "lower the learning rate"
    ) -> None:
        if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
            raise InputError("gradients are off; leave inference_mode() or no_grad() first")
        self.players, self.steps, self.advice = list(players), steps, advice
        self._names: list[str] = []  # of the columns: totals and terms, known after the first step
        self._rows: list[Tensor] = []  # their values at each step, left on the device
        self._seconds: list[float] = []

    def run(self, on_step: Callable[[Self], None] | None = None, progress: bool = True) -> None:
        """Make the remaining steps, with a progress bar.

        Ctrl-C, a notebook's interrupt or SIGTERM stops it after the current step.

        Args:
            on_step: called after each step with this loop.
            progress: whether to show the bar.
        """
        bar = tqdm(initial=self.steps_done, total=self.steps, unit="step", disable=not progress)
        with deferred(signal.SIGINT) as interrupted, deferred(signal.SIGTERM) as ended, bar:
            while not (self.done or interrupted.is_set() or ended.is_set()):
                self.step()
                bar.update()
                if on_step is not None:
                    on_step(self)

    def step(self) -> None:
        """Each player evaluates its losses once and moves its parameters against the gradient."""
        started = time.perf_counter()
        row: dict[str, Tensor] = {}
        for player in self.players:
            for other in self.players if len(self.players) > 1 else ():
                for parameter in other.parameters:  # nobody else's gradients are computed
                    parameter.requires_grad_(other is player)

            def closure(player: Player = player) -> Tensor:
                player.optimizer.zero_grad()
                terms = player.terms()
                total = player.total(terms)
                total.backward()  # type: ignore[no-untyped-call]
                before = f"{player.name} " if player.name else ""
                row.update({before + name: v for name, v in {"total": total, **terms}.items()})
                return total

            player.optimizer.step(closure)  # type: ignore[arg-type]
            player.scheduler.step()
        self._names = list(row)
        self._rows.append(torch.stack(list(row.values())).detach())
        if self.steps_done % CHECK_EVERY == 0 or self.done:
            self._check_finite()  # waits for the GPU, so that its work is timed, too
        self._seconds.append(self.seconds + time.perf_counter() - started)
        self.after_step()

    def after_step(self) -> None:
        """Hook for subclasses, called after each step, for example to go on at a larger size."""

    def __iter__(self) -> Iterator[int]:
        while not self.done:
            self.step()
            yield self.steps_done

    @property
    def done(self) -> bool:
        """Whether all steps are made."""
        return self.steps_done >= self.steps

    @property
    def steps_done(self) -> int:
        return len(self._rows)

    @property
    def seconds(self) -> float:
        """Time spent in steps so far."""
        return self._seconds[-1] if self._seconds else 0.0

    @property
    def history(self) -> "pd.DataFrame":
        """One row per step: step, seconds, total and unweighted terms, all before its update."""
        import pandas as pd

        seconds = list(self._seconds)  # first, because another thread may be making a step
        rows = torch.stack(self._rows[: len(seconds)]).cpu().numpy() if seconds else None
        table = pd.DataFrame(rows, columns=self._names if seconds else None)
        table.insert(0, "step", range(1, len(table) + 1))
        table.insert(1, "seconds", seconds)
        return table

    def last_losses(self) -> dict[str, float]:
        """The losses of the last step by group, the layers of each added up."""
        return by_group(dict(zip(self._names, self._rows[-1].tolist(), strict=True)))

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to resume with the same bytes; loads with ``weights_only=True``."""
        return {
            "parameters": [
                [value.detach().cpu().clone() for value in player.parameters]
                for player in self.players
            ],
            "optimizers": [player.optimizer.state_dict() for player in self.players],
            "schedulers": [player.scheduler.state_dict() for player in self.players],
            "names": list(self._names),
            "rows": torch.stack(self._rows).cpu() if self._rows else torch.empty(0),
            "seconds": list(self._seconds),
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state that `state_dict` returned."""
        device = self.players[0].parameters[0].device
        for player, values in zip(self.players, state["parameters"], strict=True):
            for parameter, value in zip(player.parameters, values, strict=True):
                parameter.copy_(value)
        for player, optimizer in zip(self.players, state["optimizers"], strict=True):
            player.optimizer.load_state_dict(optimizer)
        for player, scheduler in zip(self.players, state["schedulers"], strict=True):
            player.scheduler.load_state_dict(scheduler)
        self._names, self._seconds = list(state["names"]), list(state["seconds"])
        self._rows = list(state["rows"].to(device))

    def _check_finite(self) -> None:
        recent = torch.stack(self._rows[-CHECK_EVERY:]).tolist()
        for step, row in enumerate(recent, self.steps_done - len(recent) + 1):
            # Backwards, so that a term is named rather than the total, which comes first.
            for name, value in reversed([*zip(self._names, row, strict=True)]):
                if not math.isfinite(value):
                    raise Diverged(f"step {step}: {name} became {value}; {self.advice}")
        for player in self.players:  # the last update is in no loss
            if not all(value.isfinite().all() for value in player.parameters):
                what = f"{player.name} parameters".lstrip()
                fault = f"step {self.steps_done}: {what} became NaN or infinite"
                raise Diverged(f"{fault}; {self.advice}")
