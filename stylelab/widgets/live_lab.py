"""The live lab: a style transfer to play with in a notebook while it runs."""

from collections import deque
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.images import load_image, save_image
from stylelab.plots import size_name
from stylelab.presets import PRESETS
from stylelab.training.transfer import Transfer
from stylelab.widgets.cells import Shown, Worker, fault_words
from stylelab.widgets.panel import Panel
from stylelab.widgets.pictures import Pace
from stylelab.widgets.saving import new_folder


class LiveLab(Shown):
    """A style transfer with sliders, buttons and live pictures, which a notebook displays.

    Loss weights take effect at the next step, and are recorded in `history`; pictures and other
    settings take effect at the next run. A thread does the work, so that the notebook stays
    responsive; each button's method returns at once, and `join` waits. The widgets are fields of
    `panel`: ``lab.panel.weights["style_weight"].value = 100`` moves a slider. `close` frees its
    network and pictures; so does running its cell again.

    Args:
        content, style: names of samples, or paths.
        config: the settings to begin with.
        out: the folder in which `save` makes a folder a run.

    Raises:
        InputError: a picture cannot be read.
    """

    def __init__(
        self,
        content: str | Path = "chenonceau",
        style: str | Path = "cafe_terrace_at_night",
        config: Config = PRESETS["paper"],
        out: str | Path = "runs/live",
    ) -> None:
        super().__init__()
        self.out = Path(out)
        self.error: BaseException | None = None
        """What ended the run, refused a command or kept a picture from being drawn, if anything."""
        # The worker's lock guards the fields from here on, for an instant at a time.
        self._worker = Worker(self._next, self._stumble)
        self._lock = self._worker.lock
        self._commands: deque[Callable[[], object]] = deque()  # before the next step
        self._steps: float = 0  # to make; infinite while running
        self._begun = self._ended = self._stale = False
        self._transfer: Transfer | None = None
        self._used: list[dict[str, Any]] = []  # the weights of each step
        self._name = ""
        self._picture_pace, self._curve_pace = Pace(self._fail), Pace(self._fail)
        self.panel = Panel(content, style, config)
        self.box = self.panel.box
        self._weights = self.panel.loss_weights  # replaced as a whole, never changed
        self._clear()
        self._refresh()
        self.panel.on_change = self._take_changes
        self.panel.on_fault = self._fail
        for press in (self.run, self.pause, self.step, self.stop, self.reset, self.save):
            self.panel.buttons[press.__name__].on_click(lambda _, press=press: press())
        for slider in (self.panel.strength, self.panel.divide):
            slider.observe(self._redraw, "value")

    # What the buttons call.

    def run(self) -> None:
        """Begin a run, or resume a paused one, up to its last step."""
        self._go(inf)

    def step(self) -> None:
        """Make exactly one step; a running run is paused after it."""
        self._go(1)

    def pause(self) -> None:
        """Pause after the current step."""
        with self._lock:
            self._steps = 0
        self._wake()

    def stop(self) -> None:
        """End the run after the current step and keep its result; `run` then begins a new one."""
        with self._lock:
            self._steps, self._ended = 0, self._begun
        self._wake()

    def reset(self) -> None:
        """Drop the run and show the chosen photograph."""
        with self._lock:
            self._steps, self._begun, self._ended = 0, False, False
            self._commands.append(self._clear)
        self._wake()

    def save(self) -> None:
        """Write a run folder under ``out``; if the strength is below 1, also the mixed picture."""
        with self._lock:
            self._commands.append(self._save)
        self._wake()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds for all work to end, and return whether it has."""
        return self._worker.join(timeout)

    def close(self) -> None:
        """End the run after the step at hand, and free all but `image` and `history`."""
        with self._lock:
            self._steps, self._stale = 0, False
            self._commands.clear()
        self.join()
        super().close()
        self._before, self._rows, self._transfer = self.image, self.history, None
        self.panel.sources.clear()

    # What the widgets show.

    @property
    def state(self) -> str:
        """One of ready, running, paused, ended."""
        with self._lock:
            if not self._begun:
                return "ready"
            return "running" if self._steps else "ended" if self._ended else "paused"

    @property
    def image(self) -> Tensor:
        """The picture at the chosen strength, (1, 3, H, W) in [0, 1], on the CPU."""
        transfer, strength = self._transfer, float(self.panel.strength.value)
        if transfer is None:
            return self._before
        image = transfer.image
        return torch.lerp(self._photograph(image), image, strength)

    @property
    def history(self) -> pd.DataFrame:
        """A row a step, as `Transfer.history`, and the loss weights of the step."""
        with self._lock:  # both of one run
            transfer, used = self._transfer, self._used
        if transfer is None:
            return self._rows
        history = transfer.history
        weights = pd.DataFrame(used[: len(history)], columns=list(self._weights))
        return pd.concat([history, weights], axis=1)

    # On the main thread.
    def _go(self, steps: float) -> None:
        self.error = None
        self.panel.show_words("")
        with self._lock:
            if self._steps == steps == inf:
                return
            if not self._begun or self._ended:
                self._begun, self._ended = True, False
                self._commands.append(self._begin)
            paused = self._steps < inf
            self._steps = self._steps + steps if paused else steps
        self._wake()

    def _wake(self) -> None:
        """Show the state, and make sure that a thread does the pending work."""
        self.check_open()
        self._show_state()
        with self._lock:
            self._stale = True
            self._worker.wake()

    def _take_changes(self) -> None:
        self._weights = self.panel.loss_weights
        with self._lock:
            if not self._begun and self._clear not in self._commands:
                self._commands.append(self._clear)  # which shows the photograph as it would be
        self._wake()

    def _redraw(self, change: Any) -> None:
        self._wake()

    # On the worker's thread.

    def _stumble(self, task: Callable[[], object], error: BaseException) -> None:
        if task in (self._begin, self._advance):
            with self._lock:
                if self._begin not in self._commands:
                    self._steps, self._ended, self._stale = 0, self._begun, True
        elif task == self._refresh and self.error is not None:
            return  # the picture of a run that failed may fail, too
        self._fail(error)

    def _next(self) -> Callable[[], object] | None:
        over = self._transfer is not None and self._transfer.done
        if over and self._begun and self._begin not in self._commands:
            self._steps, self._ended = 0, True
        counted = 0 < self._steps < inf  # steps asked for before what is to be saved
        if self._commands and not (counted and self._commands[0] == self._save):
            return self._commands.popleft()
        if self._steps:
            self._steps -= 1
            return self._advance
        if self._stale:
            self._stale = False
            return self._refresh
        return None

    def _begin(self) -> None:
        chosen = self._clear()  # once: the panel may change while the network is prepared
        self._show_state()
        self._transfer = Transfer(*chosen)

    def _clear(self) -> tuple[Any, Any, Config]:
        """Forget the run and show the photograph; return the chosen pictures and settings."""
        with self._lock:
            self._transfer, self._used, self.error = None, [], None
            self._rows = pd.DataFrame(columns=["step", "seconds", "total", *self._weights])
        self.panel.show_words("")
        (source, style), config = self.panel.pictures, self.panel.config
        self._name = str(self.panel.content.value)
        self._before = load_image(source, config.size, config.fit)
        self._stale = True
        return source, style, config

    def _advance(self) -> None:
        assert self._transfer is not None
        weights = self._weights
        try:
            self._transfer.set_weights(**weights)
        except InputError as fault:  # all weights at 0, say; others may follow
            self.pause()
            self._fail(fault)
            return
        self._used.append(weights)
        self._transfer.step()
        self._stale = True
        self._picture_pace.draw(self._draw_picture)
        self._curve_pace.draw(self._draw_curve)

    def _refresh(self) -> None:
        """Redraw picture and curve at once."""
        self._draw_picture()
        self._draw_curve()

    def _draw_picture(self) -> None:
        self._show_state()
        self.panel.show_picture(image := self.image, self._photograph(image))

    def _draw_curve(self) -> None:
        self.panel.show_curve(self.history)

    def _photograph(self, image: Tensor) -> Tensor:
        """The content at the size of ``image``, which is smaller at a coarse scale."""
        transfer = self._transfer
        if transfer is not None and self._before.shape != image.shape:
            return transfer.content
        return self._before

    def _show_state(self) -> None:
        with self._lock:  # both threads come here, and the later one has to have the last word
            transfer = self._transfer
            done = 0 if transfer is None else transfer.steps_done
            steps = self.panel.steps.value if transfer is None else transfer.config.steps
            pace = transfer.seconds / done if transfer is not None and done else None
            self.panel.show_state(self.state, done, steps, pace)
            what = f"{self._name} after {done} steps" if done else self._name
            self.panel.caption.value = f"{what}, {size_name(self._before)}"

    def _save(self) -> None:
        transfer = self._transfer
        if transfer is None or not transfer.steps_done:
            raise InputError("there is nothing to save yet; press Run")
        self.error = None
        # The config has the weights at the end; the history says which ones each step had.
        result, history = transfer.result(), self.history
        result.history = history
        folder = new_folder(self.out)
        result.save(folder)
        if self.panel.strength.value < 1:
            save_image(self.image, folder / "mixed.png")
        self.panel.show_words(f"saved in {folder}", download=folder / "image.png")

    def _fail(self, error: BaseException) -> None:
        """Store an error and show its message."""
        self.error = error
        self.panel.show_words(fault_words(error), fault=True)
