"""Style transfer on the pixels of a picture: `Transfer` step by step, `stylize` in one call."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.config import LOSS_WEIGHTS, Config
from stylelab.device import keep_freed_memory, pick_device, pick_precision
from stylelab.errors import InputError, unknown
from stylelab.images import Source, load_image, quantize, restore, standardize
from stylelab.maths.colours import luminance, with_luminance
from stylelab.metrics import measure
from stylelab.objectives import Terms
from stylelab.presets import PRESETS
from stylelab.registry import METHODS
from stylelab.training.folders import keep
from stylelab.training.gauge import from_shares
from stylelab.training.identity import Inputs, StyleSources, read_inputs
from stylelab.training.loop import Loop, Player, state_precision
from stylelab.training.optimizers import learning_rate, make_optimizer, plan_scales, project
from stylelab.training.preparation import prepare
from stylelab.training.recording import recorded
from stylelab.training.result import Result, begun, describe, resume
from stylelab.vgg.memory import check_memory

CLIPPED = 0.5 / 255  # what rounding to 8 bits would change as much

ExtraTerms = Mapping[str, tuple[Callable[[Tensor], Tensor], float]]


class Transfer(Loop):
    """A style transfer, one step at a time: a `Loop` whose only player is the image.

    Args:
        content: anything that `load_image` takes, or all pictures as `read_inputs` returns them.
        style: the same, or a list of several, whose shares are ``config.blend``.
        config: the settings.
        start: a standardised image (1, 3, H, W) to begin with, not clipped, at the size of the
            first scale; by default the one that ``config.init`` names.
        extra_terms: additional losses by name: a function from the standardised image to a scalar,
            and its loss weight.

    Raises:
        InputError: an image, the weights or the device is not available, or memory is too small.
    """

    def __init__(
        self,
        content: "Source | Inputs",
        style: StyleSources = (),
        config: Config = PRESETS["paper"],
        start: Tensor | None = None,
        extra_terms: ExtraTerms | None = None,
    ) -> None:
        advice = f"lower the learning_rate ({config.learning_rate:g}) or the loss weights"
        super().__init__((), config.steps, advice)
        self.config, c = config, config
        self.device = pick_device(c.device)
        self.dtype = pick_precision(c.precision, self.device)
        self.extra_terms = dict(extra_terms or {})
        self.inputs = read_inputs(content, style, c)
        self.identity = self.inputs.identity
        self.sizes, self.ends = plan_scales(self.inputs.content.size_at(c.size), c)
        check_memory(c, self.sizes[-1], self.dtype, self.device)
        self._scale = 0
        self._prepare()
        if start is None:
            start = self._initial_image()
        if start.shape != (1, 3, *self.sizes[0]):
            wanted = f"(1, 3, {self.sizes[0][0]}, {self.sizes[0][1]})"
            raise InputError(f"start should have shape {wanted}, not {tuple(start.shape)}")
        self._start_from(start.to(self.device))

    def _prepare(self) -> None:
        """Read the targets at the size of the current scale."""
        size = self.sizes[self._scale]
        self.model, self.objective, self.pictures, self._around = prepare(
            self.inputs, self.config, size, self.device, self.dtype
        )
        if self.device.type == "cpu":
            keep_freed_memory(2**26 if self.config.memory == "plain" else 2**20)

    def _initial_image(self) -> Tensor:
        c, size = self.config, self.sizes[0]
        if c.init == "noise":
            generator = torch.Generator().manual_seed(c.seed)
            return torch.randn(1, 3, *size, generator=generator)
        pictures = dict(zip(("content", "style"), self.pictures[:2], strict=True))
        image = pictures.get(c.init)
        if image is None:
            image = load_image(self.inputs.files.get("init", c.init), size, c.fit)
        return standardize(image.to(self.device))

    def _start_from(self, image: Tensor) -> None:
        """Take a standardised image as the variable, with a fresh optimiser."""
        image = image.detach().clone(memory_format=torch.contiguous_format)
        if self.config.projected:
            project(image)
        self.variable = image.requires_grad_()
        optimizer = make_optimizer(self.variable, self.config)
        before = self.ends[self._scale - 1] if self._scale else 0
        factor = learning_rate(self.config, self.ends[self._scale] - before, first=not self._scale)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        self.players = [
            Player(
                [self.variable],
                optimizer,
                scheduler,
                self._loss_weights(),
                terms=lambda: self.terms(self.shown),
            )
        ]

    def _loss_weights(self) -> dict[str, float]:
        extra = {name: weight for name, (_, weight) in self.extra_terms.items()}
        weights: dict[str, float] = METHODS.load(self.config.method).loss_weights(self.config)
        if self.config.weigh == "gradients":
            weights = from_shares(self.config, self.objective, self.pictures, self.device)
        return weights | extra

    def after_step(self) -> None:
        """At the end of a scale, go on at the next size."""
        if self.steps_done == self.ends[self._scale] < self.ends[-1]:
            self._scale += 1
            self._prepare()
            size = self.sizes[self._scale]
            self._start_from(F.interpolate(self.variable.detach(), size, mode="bicubic"))

    def set_weights(self, **weights: Any) -> None:
        """Change content_weight, style_weight or tv_weight, starting with the next step.

        Raises:
            InputError: a value is not allowed, or all weights are 0.
        """
        for name in weights:
            if name not in LOSS_WEIGHTS:
                raise InputError(unknown("loss weight", name, LOSS_WEIGHTS))
        self.config = replace(self.config, **weights)
        self.players[0].loss_weights = self._loss_weights()

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weight of each group of terms."""
        return self.players[0].loss_weights

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        return self.players[0].optimizer

    @property
    def shown(self) -> Tensor:
        """The standardised image that the losses see: the variable; outside a mask, the content."""
        if self._around is None:
            return self.variable
        content, mask = self._around
        return torch.lerp(content, self.variable, mask)  # mask * variable + (1 - mask) * content

    def terms(self, image: Tensor) -> Terms:
        """All unweighted losses of a standardised image, by name."""
        terms = self.objective(image)
        return terms | {name: loss(image) for name, (loss, _) in self.extra_terms.items()}

    def total(self, terms: Terms) -> Tensor:
        """The weighted sum of the terms."""
        return self.players[0].total(terms)

    @property
    def done(self) -> bool:
        """Whether all steps are done, or the total loss is below ``config.stop_below``."""
        below = self.config.stop_below > 0 and self.steps_done > max([0, *self.ends[:-1]])
        low = below and float(self._rows[-1][0]) < self.config.stop_below
        return self.steps_done >= self.steps or low

    @property
    def content(self) -> Tensor:
        """The content at the size of the current scale, (1, 3, H, W) in [0, 1], on the CPU."""
        return self.pictures[0]

    @property
    def image(self) -> Tensor:
        """The image so far as a file holds it, (1, 3, H, W) in [0, 1], in 8 bits, on the CPU."""
        image = restore(self.shown.detach()).cpu()
        if self.config.colours == "luminance":
            image = with_luminance(self.content, luminance(image))
        return quantize(image)

    @property
    def outside(self) -> float:
        """The share of the image's values outside [0, 1], which are clipped when it is saved."""
        image = restore(self.shown.detach(), clip=False)
        return float(((image < -CLIPPED) | (image > 1 + CLIPPED)).float().mean())

    @torch.no_grad()
    def evaluate(self, image: Tensor) -> dict[str, float]:
        """Total and terms of any image (1, 3, H, W) in [0, 1], at this transfer's precision."""
        terms = self.terms(standardize(image.to(self.device)))
        return {name: float(v) for name, v in {"total": self.total(terms), **terms}.items()}

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to resume with the same bytes; loads with ``weights_only=True``."""
        own = {"config": self.config.to_dict(), "precision": str(self.dtype).removeprefix("torch.")}
        return {**own, **self.identity, **super().state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a saved state; ``steps`` may differ if schedule and scales ignore it."""
        theirs = Config.from_dict(state["config"])
        if self.config.schedule == "constant" and self.config.scales == 1:
            theirs = replace(theirs, steps=self.config.steps)
        if theirs != self.config or any(state.get(k) != v for k, v in self.identity.items()):
            raise InputError("the state is of other images, weights or settings; start a new run")
        if "variable" in state:  # as version 0.1 wrote it
            state = {
                **state,
                "parameters": [[state["variable"]]],
                "optimizers": [state["optimizer"]],
                "schedulers": [state["scheduler"]],
            }
        ((image,),) = state["parameters"]
        self._scale = sum(end <= len(state["seconds"]) for end in self.ends[:-1])
        # What "auto" was where the run began, which may have been another machine.
        begun, self.dtype = self.dtype, state_precision(state, self.dtype)
        if image.shape != self.variable.shape or self.dtype != begun:
            self._prepare()
        self._start_from(image.to(self.device))
        super().load_state_dict(state)

    def result(self) -> Result:
        """The result so far, marked as interrupted unless the transfer is `done`.

        The losses of its picture, which is clipped and in 8 bits, are evaluated, and it is measured
        by a second VGG-19 with the default weights in float32 (`stylelab.metrics`); both take the
        time of a few steps.
        """
        image, (content, *styles) = self.image, self.pictures
        info = {
            **self.identity,
            "inputs": list(self.inputs.names),
            **describe(self.seconds, self.config.seed, self.device, self.dtype),
            "outside": round(self.outside, 6),
            "saved_losses": self.evaluate(image),
            "metrics": measure(image, content, *styles, shares=self.inputs.shares),
        }
        state = None if self.done else self.state_dict()
        return Result(image, self.history, self.config, info, state)


def stylize(
    content: "Source | Inputs",
    style: StyleSources = (),
    config: Config = PRESETS["paper"],
    out: str | os.PathLike[str] | None = None,
    on_step: Callable[[Transfer], None] | None = None,
    progress: bool = True,
    method: str | None = None,
    record: str | os.PathLike[str] | None = None,
    record_every: int = 10,
) -> Result:
    """Run a style transfer to its end, with a progress bar.

    Ctrl-C, or a notebook's interrupt, stops it after the current step and returns the result so
    far: ``result.interrupted`` is then true, and a `Transfer` resumes from ``result.state``. At a
    request to end (SIGTERM), the result so far is saved before the process ends.

    Args:
        content, style, config: as for `Transfer`.
        out: a run folder. A complete run in it is loaded, not computed again; an interrupted one
            is resumed; a new result is saved there.
        on_step: called after each step with the `Transfer`, to watch it.
        progress: whether to show the bar.
        method: replaces the method in ``config``.
        record: a film of the steps of this call: a .gif, .webp or .mp4, see `recorded`.
        record_every: steps from one frame of it to the next.

    Raises:
        InputError: bad images or settings, or ``out`` holds another run, or an input.
        NotSaved: ``out`` could not be written; the error's ``result`` is what was made, and its
            message says where it is kept.
        Diverged: a loss became NaN or infinite.
    """
    config = config if method is None else replace(config, method=method)
    inputs = read_inputs(content, style, config)
    film = recorded(record, record_every, on_step, inputs.paths)
    with begun(out, config, inputs.identity, inputs.paths) as earlier, film as on_step:
        if earlier is not None and not earlier.interrupted:
            return earlier
        transfer = Transfer(inputs, (), config)
        resume(transfer, earlier, out)
        transfer.run(on_step, progress)
        result = transfer.result()
        keep(result.save, out, result)
    return result
