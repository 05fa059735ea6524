"""The training loop: `Transfer` is one step at a time, `stylize` is all of it."""

import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from stylelab.config import PRESETS, WEIGHTS, Config
from stylelab.device import keep_freed_memory, peak_memory_mb, pick_device, pick_precision
from stylelab.errors import InputError
from stylelab.files import check_writable
from stylelab.images import Source, load_image, restore, standardise
from stylelab.maths.colours import luminance, with_luminance
from stylelab.metrics import measure
from stylelab.registry import load_method
from stylelab.training.interrupts import deferred_interrupt
from stylelab.training.optimizers import learning_rate, make_optimizer, plan_scales
from stylelab.training.preparation import Styles, as_list, identify, prepare, shares_of
from stylelab.training.result import PARTS, Result
from stylelab.vgg.memory import check_memory

if TYPE_CHECKING:
    import pandas as pd

CHECK_EVERY = 10  # steps between two looks for NaN: each look makes a GPU wait


class Diverged(InputError):
    """A loss became NaN or infinite."""


class Transfer:
    """A style transfer, one step at a time.

    Iterating makes the steps that ``config`` asks for and yields how many are done; leaving the
    loop pauses, and iterating again goes on.

    Args:
        content: anything that `load_image` takes.
        style: the same, or a list of several, whose shares are ``config.blend``.
        config: the settings.

    Raises:
        InputError: an image, the weights or the device cannot be had.
    """

    def __init__(self, content: Source, style: Styles, config: Config = PRESETS["paper"]) -> None:
        self.config, c = config, config
        self.device = pick_device(c.device)
        self.dtype = pick_precision(c.precision, self.device)
        self.identity = identify(content, style, c)
        self.weights = load_method(c.method).weights(c)
        sources = tuple(
            s if isinstance(s, (str, bytes, Path)) else load_image(s)
            for s in (content, *as_list(style))
        )
        image = load_image(sources[0], c.size, c.fit)
        height, width = image.shape[2:]
        self.sizes, self.ends = plan_scales((height, width), c)
        check_memory(c, self.sizes[-1], self.dtype, self.device)
        self._sources, self._scale = sources, 0
        size = self._prepare()
        if c.init == "noise":
            generator = torch.Generator().manual_seed(c.seed)
            variable = torch.randn(1, 3, *size, generator=generator).to(self.device)
        else:
            pictures = dict(zip(("content", "style"), self.pictures[:2], strict=True))
            initial = pictures.get(c.init)
            initial = load_image(c.init, size, c.fit) if initial is None else initial
            variable = standardise(initial.to(self.device)).clone()
        self._optimise(variable)
        self._names: list[str] = []  # of the total and the terms, known after the first step
        self._rows: list[Tensor] = []  # their values at each step, left on the device
        self._seconds: list[float] = []

    def step(self) -> None:
        """Evaluate the losses once, and move the pixels against their gradient."""
        started = time.perf_counter()

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            terms = self.objective(self.shown)
            total = self.total(terms)
            total.backward()  # type: ignore[no-untyped-call]
            self._names = ["total", *terms]
            self._rows.append(torch.stack([total, *terms.values()]).detach())
            return total

        self.optimizer.step(closure)  # type: ignore[arg-type]
        self.scheduler.step()
        if self.steps_done % CHECK_EVERY == 0 or self.done:
            self._check_finite()  # which waits for a GPU, so that its work counts as time
        self._seconds.append(self.seconds + time.perf_counter() - started)
        if self.steps_done == self.ends[self._scale] < self.ends[-1]:
            self._scale += 1
            self._optimise(F.interpolate(self.variable.detach(), self._prepare(), mode="bicubic"))

    def _prepare(self) -> tuple[int, int]:
        """Read the targets at the size of the scale at hand."""
        c, size = self.config, self.sizes[self._scale]
        # What only the loop reads must not keep two runs from sharing what is prepared.
        loop: dict[str, Any] = {name: float(bool(getattr(c, name))) for name in WEIGHTS}
        loop |= {"steps": 1, "learning_rate": 1, "decay_every": 0, "stop_below": 0, "scales": 1}
        loop |= {"optimizer": "adam", "schedule": "constant", "init": "content", "size": size}
        loop |= {} if c.weights == "random" else {"seed": 0}
        self.model, self.objective, self.pictures, self._around = prepare(
            self._sources[0],
            self._sources[1:],
            tuple(self.identity.values()),
            replace(c, **loop),
            self.device,
            self.dtype,
        )
        if self.device.type == "cpu":
            keep_freed_memory(2**26 if c.memory == "plain" else 2**20)
        return size

    def _optimise(self, variable: Tensor) -> None:
        """Take ``variable`` as the image, with an optimiser that knows nothing yet."""
        self.variable = variable.requires_grad_()
        self.optimizer = make_optimizer(self.variable, self.config)
        before = self.ends[self._scale - 1] if self._scale else 0
        factor = learning_rate(self.config, self.ends[self._scale] - before)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)

    @property
    def shown(self) -> Tensor:
        """The standardised image that the losses see: the variable, within the mask if any."""
        if self._around is None:
            return self.variable
        content, mask = self._around
        return torch.lerp(content, self.variable, mask)  # mask * variable + (1 - mask) * content

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum of the terms: the one place where the loss weights enter."""
        weighted = [self.weights[name.split("/")[0]] * value for name, value in terms.items()]
        return torch.stack(weighted).sum()

    def __iter__(self) -> Iterator[int]:
        while not self.done:
            self.step()
            yield self.steps_done

    @property
    def done(self) -> bool:
        """Whether all steps are made, or the total is below ``config.stop_below``."""
        below = self.config.stop_below > 0 and self.steps_done > max([0, *self.ends[:-1]])
        low = below and float(self._rows[-1][0]) < self.config.stop_below
        return self.steps_done >= self.config.steps or low

    @property
    def steps_done(self) -> int:
        return len(self._rows)

    @property
    def seconds(self) -> float:
        """Time spent in steps so far."""
        return self._seconds[-1] if self._seconds else 0.0

    @property
    def image(self) -> Tensor:
        """The image so far, (1, 3, H, W) in [0, 1], on the CPU."""
        image = restore(self.shown.detach()).cpu()
        if self.config.colours == "luminance":
            image = with_luminance(self.pictures[0], luminance(image)).clamp(0, 1)
        return image

    @property
    def history(self) -> "pd.DataFrame":
        """A row a step: step, seconds, total, and the unweighted terms, all before its update."""
        import pandas as pd

        seconds = list(self._seconds)  # first, because another thread may be within a step
        rows = torch.stack(self._rows[: len(seconds)]).cpu().numpy() if seconds else None
        table = pd.DataFrame(rows, columns=self._names if seconds else None)
        table.insert(0, "step", range(1, len(table) + 1))
        table.insert(1, "seconds", seconds)
        return table

    @torch.no_grad()
    def evaluate(self, image: Tensor) -> dict[str, float]:
        """Total and terms of any image (1, 3, H, W) in [0, 1], at this transfer's precision."""
        terms = self.objective(standardise(image.to(self.device)))
        return {name: float(v) for name, v in {"total": self.total(terms), **terms}.items()}

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on later with the same bytes; safe for ``weights_only``."""
        return {
            "config": self.config.to_dict(),
            **self.identity,
            "variable": self.variable.detach().cpu().clone(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "names": list(self._names),
            "rows": torch.stack(self._rows).cpu() if self._rows else torch.empty(0),
            "seconds": list(self._seconds),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; the number of steps may differ where nothing depends on it."""
        theirs = Config.from_dict(state["config"])
        if self.config.schedule == "constant" and self.config.scales == 1:
            theirs = replace(theirs, steps=self.config.steps)
        if theirs != self.config or any(state.get(k) != v for k, v in self.identity.items()):
            raise InputError("the state is of other images, weights or settings; start a new run")
        self._scale = sum(end <= len(state["seconds"]) for end in self.ends[:-1])
        if state["variable"].shape[2:] != self.variable.shape[2:]:
            self._prepare()
        self._optimise(state["variable"].to(self.device).clone())
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self._names, self._seconds = list(state["names"]), list(state["seconds"])
        self._rows = list(state["rows"].to(self.device))

    def result(self) -> Result:
        """The result so far; one that has not made all its steps counts as interrupted."""
        versions = {name: version(name) for name in ("stylelab", "torch", "torchvision", "pillow")}
        info = {
            **self.identity,
            "seed": self.config.seed,
            "device": f"{self.device.type} ({platform.machine()}, {os.cpu_count()} cores)",
            "precision": str(self.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "versions": {**versions, "python": platform.python_version()},
            "seconds": round(self.seconds, 3),
            "peak_memory_mb": peak_memory_mb(self.device),
            "metrics": measure(
                self.image, *self.pictures, shares=shares_of(self.config, len(self.pictures) - 1)
            ),
        }
        state = None if self.done else self.state_dict()
        return Result(self.image, self.history, self.config, info, state)

    def _check_finite(self) -> None:
        recent = torch.stack(self._rows[-CHECK_EVERY:]).tolist()
        for step, row in enumerate(recent, self.steps_done - len(recent) + 1):
            # Backwards, because the total, which is first, only tells that a term is at fault.
            for name, value in reversed([*zip(self._names, row, strict=True)]):
                if not math.isfinite(value):
                    raise Diverged(
                        f"step {step}: {name} became {value}; lower the learning_rate "
                        f"({self.config.learning_rate:g}) or the loss weights"
                    )


def stylize(
    content: Source,
    style: Styles,
    config: Config = PRESETS["paper"],
    out: str | os.PathLike[str] | None = None,
    on_step: Callable[[Transfer], None] | None = None,
    progress: bool = True,
    method: str | None = None,
) -> Result:
    """Run a style transfer to its end, with a progress bar.

    Ctrl-C, or a notebook's interrupt, ends it after the step at hand and gives what there is:
    ``result.interrupted`` is then true, and a transfer takes ``result.state`` to go on.

    Args:
        content, style, config: as for `Transfer`.
        out: a run folder. What is complete there is loaded instead of computed again, what was
            interrupted goes on; otherwise the result is saved there.
        on_step: called after each step with the `Transfer`, to watch it.
        progress: whether to show the bar.
        method: in the place of the one in ``config``.

    Raises:
        InputError: bad images or settings, or ``out`` holds another run.
        Diverged: a loss became NaN or infinite.
    """
    config = config if method is None else replace(config, method=method)
    earlier = None if out is None else _earlier(Path(out), content, style, config)
    if earlier is not None and not earlier.interrupted:
        return earlier
    transfer = Transfer(content, style, config)
    if earlier is not None and earlier.state is not None:
        transfer.load_state_dict(earlier.state)
    bar = tqdm(initial=transfer.steps_done, total=config.steps, unit="step", disable=not progress)
    with deferred_interrupt() as interrupted, bar:
        for _ in transfer:
            bar.update()
            if on_step is not None:
                on_step(transfer)
            if interrupted.is_set():
                break
    result = transfer.result()
    if out is not None:
        result.save(Path(out))
    return result


def _earlier(folder: Path, content: Source, style: Styles, config: Config) -> Result | None:
    """The run that ``folder`` holds already, if it is one of these images and settings."""
    check_writable(folder)
    if folder.is_file():
        raise InputError(f"'{folder}' is a file; name a folder for the run")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    leftovers = {name for name in names if name in PARTS or name.endswith(".part")}
    if names == leftovers and not names & {"result.json", "state.pt"}:
        return None  # nothing, or what a killed run left
    earlier = Result.load(folder)
    kept = earlier.state or earlier.info
    wanted = identify(content, style, config)
    if earlier.config != config or any(kept.get(key) != value for key, value in wanted.items()):
        raise InputError(f"'{folder}' holds another run; name another folder, or delete it")
    return earlier
