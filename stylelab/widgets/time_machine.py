"""The time machine: scrub along a run's kept states, branch anywhere, compare the branches."""

import html
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd

from stylelab.config import LOSS_WEIGHTS, Config
from stylelab.errors import InputError
from stylelab.images import Source, load_image
from stylelab.objectives import by_group
from stylelab.training.branches import branch_off, kept_states, read_state
from stylelab.training.identity import StyleSources
from stylelab.training.result import Result
from stylelab.training.transfer import Transfer
from stylelab.widgets.cells import Shown, Worker, fault_words
from stylelab.widgets.pictures import (
    CURVE_HEIGHT,
    WIDTH,
    LossCurve,
    Pace,
    Picture,
    curve_picture,
    message,
    put,
)

BESIDE = 5 / 6  # of a picture's usual size, so that two branches fit side by side into JupyterLab


class TimeMachine(Shown):
    """A slider along the states that a run has kept, and branches from any of them, side by side.

    Set other loss weights and press Branch: a thread goes on from the state under the slider, up
    to the chosen step, and the result stands beside the others with its losses and curves. The
    results are in `branches`, in their order; ``machine.branches[0].save("runs/mine")`` keeps one.
    `close` frees its widgets.

    Args:
        content, style: the pictures of the run.
        run: its folder; see `keep_states`.

    Raises:
        InputError: the folder holds no states, or damaged ones.
    """

    def __init__(self, content: Source, style: StyleSources, run: str | Path) -> None:
        self.content, self.style, self.run = content, style, Path(run)
        self.branches: list[Result] = []
        self.error: BaseException | None = None
        """What ended the last branch, if anything did."""
        self._task: Callable[[], None] | None = None
        self._busy, self._stop = False, threading.Event()
        self._worker = Worker(self._find, lambda task, error: self._fail(error))
        self._states = kept_states(run)
        last = read_state(run, max(self._states))
        self.config = config = Config.from_dict(last["config"])
        """The settings of the run."""
        # One row a step, from the last state: scrubbing then reads pictures alone.
        self.history = pd.DataFrame(last["rows"].numpy(), columns=last["names"])
        self.history.insert(0, "step", range(1, len(self.history) + 1))
        wide = {"layout": {"width": "98%"}, "style": {"description_width": "9em"}}
        self.slider = widgets.SelectionSlider(
            options=list(self._states), value=max(self._states), description="step", **wide
        )
        self.weights = {
            name: widgets.BoundedFloatText(
                value=getattr(config, name),
                min=0,
                max=1e12,
                description=name.replace("_", " "),
                tooltip="From the branch's first step on; 0 turns the term off",
                **wide,
            )
            for name in LOSS_WEIGHTS
        }
        fixed = config.schedule != "constant" or config.scales > 1
        self.steps = widgets.BoundedIntText(
            value=config.steps,
            min=1,
            max=1_000_000,
            description="up to step",
            disabled=fixed,
            tooltip="The last step of a branch, counted from the run's first",
            **wide,
        )
        self.buttons = {
            name: widgets.Button(description=name.capitalize(), disabled=name == "stop")
            for name in ("branch", "stop")
        }
        self.buttons["branch"].button_style = "primary"
        self.buttons["branch"].on_click(lambda _: self.branch())
        self.buttons["stop"].on_click(lambda _: self.stop())
        self.progress = widgets.IntProgress(layout={"width": "98%"})
        self.message = widgets.HTML()
        self.picture = Picture(format="jpeg", tooltip="The picture of the run at this step")
        self.numbers = widgets.HTML()
        self.beside = widgets.HBox(layout={"flex_flow": "row wrap", "grid_gap": "1em"})
        self.slider.observe(self._show, "value")
        controls = widgets.VBox(
            [
                self.slider,
                *self.weights.values(),
                self.steps,
                widgets.HBox(list(self.buttons.values())),
                self.progress,
                self.message,
            ],
            layout={"flex": "1 1 24em", "max_width": "36em"},
        )
        seen = widgets.VBox([self.picture, self.numbers])
        top = widgets.HBox([seen, controls], layout={"flex_flow": "row wrap", "grid_gap": "1em"})
        self.box = widgets.VBox([top, self.beside])
        self.box.add_class("stylelab-time-machine")
        self._show()
        super().__init__()

    def close(self) -> None:
        """Stop the branch, take the machine off the page and free what it holds."""
        self.stop()
        self.join()
        super().close()

    def branch(self) -> None:
        """Begin a branch from the state under the slider; it returns at once, and `join` waits."""
        self.check_open()
        if self._busy:
            return
        self._set_busy(True)
        self._stop.clear()
        self.error, self.message.value = None, ""
        weights = {name: float(box.value) for name, box in self.weights.items()}
        step, steps = int(self.slider.value), int(self.steps.value)
        self._task = partial(self._work, step, steps, weights)
        self._worker.wake()

    def stop(self) -> None:
        """End the branch after the current step, and keep what there is."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the branch to end, and return whether it has."""
        return self._worker.join(timeout)

    # On the worker's thread.

    def _find(self) -> Callable[[], None] | None:
        task, self._task = self._task, None
        return task

    def _work(self, step: int, steps: int, weights: dict[str, float]) -> None:
        try:
            transfer = branch_off(self.content, self.style, self.run, step, steps, **weights)
            self.progress.min, self.progress.max, self.progress.value = step, steps, step
            view, pace = _Branch(), Pace(self._fail)
            self.beside.children = (*self.beside.children, view.box)
            for done in transfer:
                self.progress.value = done
                pace.draw(lambda: view.draw_picture(transfer))
                if self._stop.is_set():
                    break
            result = transfer.result()
            self.branches.append(result)
            view.show(result, step, self.config)
        finally:
            self._set_busy(False)

    def _fail(self, error: BaseException) -> None:
        self.error = error
        self.message.value = message(fault_words(error), fault=True)

    def _set_busy(self, busy: bool) -> None:
        self._busy = busy
        self.buttons["branch"].disabled, self.buttons["stop"].disabled = busy, not busy

    def _show(self, change: Any = None) -> None:
        step = int(self.slider.value)
        path = self._states[step].with_suffix(".png")
        try:
            image = load_image(path)
        except InputError as fault:  # deleted meanwhile, or damaged
            self.message.value = message(str(fault), fault=True)
            return
        put(image, self.picture)
        losses = self.history.drop(columns="step").iloc[step - 1].to_dict()
        self.numbers.value = _words(f"the run at step {step}", losses)


class _Branch:
    """A branch on the page: its picture, losses and curves."""

    def __init__(self) -> None:
        self.picture = Picture(format="jpeg", tooltip="The picture of the branch")
        self.curve = curve_picture("the branch")
        self.curve.layout.width = f"{BESIDE * WIDTH:.0f}px"
        self.curve.layout.height = f"{BESIDE * CURVE_HEIGHT:.0f}px"
        self.curve.layout.visibility = "hidden"
        self.numbers = widgets.HTML()
        self.box = widgets.VBox([self.picture, self.numbers, self.curve])

    def draw_picture(self, transfer: Transfer) -> None:
        put(transfer.image, self.picture, BESIDE)

    def show(self, result: Result, step: int, before: Config) -> None:
        put(result.image, self.picture, BESIDE)
        config = result.config
        weights = " : ".join(f"{getattr(config, name):g}" for name in LOSS_WEIGHTS)
        words = f"from step {step} to {len(result.history)} with {weights}"
        self.picture.tooltip = f"The picture of the branch {words}"
        self.numbers.value = _words(words, result.losses)
        history = result.history.copy()
        for name in LOSS_WEIGHTS:  # so that a line marks where they change
            history[name] = [
                getattr(before if i < step else config, name) for i in range(len(history))
            ]
        self.curve.value = LossCurve().draw(history)
        self.curve.layout.visibility = "visible"


def _words(caption: str, losses: dict[Any, Any]) -> str:
    """A caption and, below it, the losses in one line."""
    grouped = by_group({str(name): float(value) for name, value in losses.items()})
    line = ", ".join(f"{name} {value:.4g}" for name, value in grouped.items())
    return (
        f'<div style="line-height:1.4"><b>{html.escape(caption)}</b><br>{html.escape(line)}</div>'
    )
