"""A training to watch in a notebook: curves and held-out pictures while it runs; pause and stop."""

from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
import pandas as pd

from stylelab.errors import InputError
from stylelab.training.result import earlier_run
from stylelab.training.rings import RingGame
from stylelab.training.trained import Trained
from stylelab.training.trainer import Training
from stylelab.widgets.cells import Shown, Worker, fault_words
from stylelab.widgets.page import on_page
from stylelab.widgets.pictures import (
    CURVE_HEIGHT,
    HELD_OUT,
    WIDTH,
    LossCurve,
    Pace,
    Picture,
    message,
    put,
)

BUTTONS = {"run": "Run", "pause": "Pause", "stop": "Stop"}


class TrainingView(Shown):
    """A training with live curves and a live sheet of held-out pictures.

    A thread makes the steps, so that the notebook stays responsive; each button's method returns at
    once, and `join` waits. Nothing is trained before `run`.

    For example ``view = TrainingView(Training(recipe("johnson"), "night_cafe"), "runs/night")``;
    after ``view.run()``, a cell that ends in ``view`` shows it.

    Args:
        training: what is trained, or a `RingGame`, which has no folder.
        out: the folder that keeps the run, as for `train`; a run that it holds is gone on with.

    Raises:
        InputError: the folder holds another run, or a complete one.
    """

    def __init__(self, training: Training | RingGame, out: str | Path | None = None) -> None:
        super().__init__()  # which has the last one of its cell write its folder
        self.training, self.out = training, None if out is None else Path(out)
        self.error: BaseException | None = None
        """What ended the training or kept a picture from being drawn, if anything did."""
        if self.out is not None and isinstance(training, Training):
            earlier = earlier_run(self.out, training.config, training.identity)
            if earlier is not None and earlier.state is None:
                raise InputError(f"'{out}' holds the complete training; load it with Trained.load")
            if earlier is not None and earlier.state is not None:
                training.load_state_dict(earlier.state)
        # The worker's lock guards what is to be done: steps, or what follows the last of them.
        self._worker = Worker(self._next, self._stumble)
        self._going = self._moved = self._failed = False
        self._pace = Pace(self._fail)
        self._curves = LossCurve((*_curves(training), HELD_OUT))
        self._looks = 0  # that the sheet has shown
        self.buttons = {
            name: widgets.Button(description=words, layout={"width": "auto"})
            for name, words in BUTTONS.items()
        }
        for press in (self.run, self.pause, self.stop):
            self.buttons[press.__name__].on_click(lambda _, press=press: press())
        self.progress = widgets.IntProgress(max=training.steps, layout={"width": "98%"})
        self.status, self.message = widgets.Label(), widgets.HTML()
        size = {"width": f"{WIDTH}px", "height": f"{CURVE_HEIGHT}px"}
        words = "Loss curves of the training: each term, and the total of held-out pictures"
        self.curve = Picture(format="png", tooltip=words, layout=size)
        words = "Held-out photographs, and what the network makes of them so far"
        self.sheet = Picture(format="jpeg", tooltip=words)
        self._show_sheet()
        self._show()
        left = widgets.VBox(
            [self.curve, widgets.HBox([*self.buttons.values()]), self.progress, self.status,
             self.message]
        )  # fmt: skip
        row = widgets.HBox([left, self.sheet], layout={"flex_flow": "row wrap"})
        self.box = on_page(row, "training")

    @property
    def state(self) -> str:
        """One of ready, running, paused, ended."""
        if self._going:
            return "running"
        if self.training.done or self._failed:
            return "ended"
        return "paused" if self.training.steps_done else "ready"

    def run(self) -> None:
        """Begin, or go on, up to the last step."""
        self.check_open()
        with self._worker.lock:
            if self._failed or self.training.done:
                return
            self._going = True
            self._worker.wake()
        self._show_state()

    def pause(self) -> None:
        """Pause after the current step; `run` goes on."""
        with self._worker.lock:
            self._going = False

    def stop(self) -> None:
        """Pause, and wait until what there is lies in the folder."""
        self.pause()
        self.join()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for the steps to end, and return whether they have."""
        return self._worker.join(timeout)

    def close(self) -> None:
        """`stop`, and take the view off the page; `training` stays as it is."""
        self.stop()
        super().close()

    def result(self) -> Trained:
        """The result so far; InputError for a game on a ring."""
        if isinstance(self.training, RingGame):
            raise InputError("a game on a ring has no result to keep; look at its held_out")
        return self.training.result()

    def _next(self) -> Callable[[], None] | None:
        self._going = self._going and not self.training.done
        if self._going:
            self._moved = True
            return self._step
        if self._moved:
            self._moved = False
            return self._rest
        return None

    def _step(self) -> None:
        training = self.training
        training.step()
        if training.steps_done % training.config.every == 0 and not training.done:
            self._save()
        if training.alarms:
            self.message.value = message(training.alarms[-1], fault=True)
        self._pace.draw(self._show)

    def _rest(self) -> None:
        try:
            if not self._failed:
                self._save()
        finally:
            self._show(ending=True)

    def _stumble(self, task: Callable[[], object], error: BaseException) -> None:
        with self._worker.lock:
            self._going, self._failed = False, self._failed or task == self._step
        self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.error = error
        self.message.value = message(fault_words(error), fault=True)

    def _save(self) -> None:
        if self.out is not None:
            self.result().save(self.out)

    def _show(self, ending: bool = False) -> None:
        training = self.training
        self._show_state()
        self.curve.value = self._curves.draw(with_held_out(training.history, training.held_out))
        if len(training.looks) != self._looks or ending:
            self._show_sheet()

    def _show_state(self) -> None:
        with self._worker.lock:  # both threads come here, and the later one has the last word
            training, state = self.training, self.state
            done, steps = training.steps_done, training.steps
            self.progress.value = done
            words = [f"{state}, step {done} of {steps}"]
            if done:
                pace = training.seconds / done
                left = round((steps - done) * pace)
                words += [f"{pace:.2f} s a step", f"{left // 60}:{left % 60:02} left"]
            self.status.value = ", ".join(words)
            for name, states in {"run": ("ready", "paused"), "pause": ("running",)}.items():
                self.buttons[name].disabled = state not in states
            self.buttons["stop"].disabled = state != "running"

    def _show_sheet(self) -> None:
        self._looks = len(self.training.looks)
        image = self.training.sheet
        put(image, self.sheet)


def _curves(training: Training | RingGame) -> list[str]:
    """The names of the losses to draw: of one player all, of several their totals."""
    if len(training.players) == 1:
        return ["total", *training.players[0].loss_weights]
    return [f"{player.name} total" for player in training.players]


def with_held_out(history: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    """A training's history with the total of held-out pictures at the steps of the looks."""
    totals = held_out.set_index("step")["total"] if len(held_out) else pd.Series(dtype=float)
    return history.assign(**{HELD_OUT: history["step"].map(totals)})
