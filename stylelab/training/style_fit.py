"""Fitting a new style to a network of many styles, on random crops."""

import hashlib
import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from stylelab.config import SMALLEST, Config
from stylelab.controls import weighted
from stylelab.device import pick_device, pick_precision
from stylelab.errors import InputError
from stylelab.images import image_hash, standardize
from stylelab.networks.multistyle import StyleNetwork
from stylelab.objectives import Terms
from stylelab.presets import PRESETS
from stylelab.registry import METHODS
from stylelab.training.crops import random_crop
from stylelab.training.folders import keep, own_weights
from stylelab.training.loop import Loop, Player, state_precision
from stylelab.training.result import Result, begun, describe, resume
from stylelab.vgg.network import shared_network
from stylelab.vgg.weights import weights_id

ROW = "style.safetensors"  # in a run's folder


class StyleFit(Loop):
    """The fitting of a new style, one step at a time: a `Loop` whose player is the style's row.

    Each step paints random crops of the content and changes the row by the gradient of the
    objective of ``config.method`` for those crops. It starts from the row of that known style
    whose total loss on the first crops is smallest.

    Args:
        network: is not changed.
        style, content: (1, 3, H, W) in [0, 1].
        config: the method, layers, loss weights and VGG-19 of the objective, and the seed of the
            crops.
        steps, learning_rate: of Adam; the learning rate falls to zero along a cosine.
        crop, batch: side of the square crops in pixels, and their number per step.

    Raises:
        InputError: a setting that is not allowed.
    """

    def __init__(
        self,
        network: StyleNetwork,
        style: Tensor,
        content: Tensor,
        config: Config,
        steps: int,
        learning_rate: float,
        crop: int,
        batch: int,
    ) -> None:
        if crop < SMALLEST or min(content.shape[2:]) < crop:
            side = min(content.shape[2:])
            raise InputError(f"crop={crop} should be from {SMALLEST} to {side}, the content's side")
        if steps < 1 or batch < 1 or not learning_rate > 0:
            raise InputError("steps and batch should be 1 or above, and learning_rate above 0")
        if config.weigh == "gradients":
            raise InputError("weigh='gradients' is for a transfer; a fit takes plain loss weights")
        super().__init__((), steps, f"lower the learning_rate ({learning_rate:g})")
        self.config, c, method = config, config, METHODS.load(config.method)
        self.device = pick_device(c.device)
        self.dtype = pick_precision(c.precision, self.device)
        self.identity = {
            "content_sha256": image_hash(content),
            "style_sha256": image_hash(style),
            "weights_id": weights_id(c.weights, c.seed, c.backbone),
            "method_sha256": METHODS.source_hash(c.method),
            "network": network.source,
            "table_sha256": hashlib.sha256(
                network.table.detach().cpu().numpy().tobytes()
            ).hexdigest(),
            "fit": {"steps": steps, "learning_rate": learning_rate, "crop": crop, "batch": batch},
        }
        self.network = deepcopy(network).to(self.device)
        self._content = content.to(self.device)
        self._crop, self._batch = crop, batch
        self._generator = torch.Generator().manual_seed(c.seed)
        self._style = standardize(style.to(self.device))
        self._read_objective()
        self.row = self.network.table[0].detach().clone().requires_grad_()
        """The numbers of the style so far."""
        optimizer = torch.optim.Adam([self.row], learning_rate)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        weights = method.loss_weights(c)
        player = Player(
            [self.row], optimizer, scheduler, weights, lambda: self.terms(self.row, self.crops())
        )
        self.players = [player]
        with torch.no_grad():
            crops = self.crops()
            totals = [float(player.total(self.terms(row, crops))) for row in self.network.table]
            self.row.copy_(self.network.table[totals.index(min(totals))])

    def _read_objective(self) -> None:
        c, method = self.config, METHODS.load(self.config.method)
        identity = str(self.identity["weights_id"])
        model = shared_network(c, method.layers(c), self.device, self.dtype, identity)
        self.objective = weighted(method.objective([(self._style, 1.0)], model, c), c)

    def crops(self) -> Tensor:
        """The next random crops of the content, half of them mirrored: (batch, 3, crop, crop)."""
        drawn = [
            random_crop(self._content, self._crop, self._generator) for _ in range(self._batch)
        ]
        return torch.cat(drawn)

    def terms(self, row: Tensor, crops: Tensor) -> Terms:
        """The unweighted losses of crops (B, 3, h, w) in [0, 1] that ``row`` paints."""
        terms: Terms = self.objective(standardize(crops))(standardize(self.network(crops, row)))
        return terms

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to resume with the same bytes; loads with ``weights_only=True``."""
        own = {
            "config": self.config.to_dict(),
            "precision": str(self.dtype).removeprefix("torch."),
            "crops": self._generator.get_state(),
        }
        return {**own, **self.identity, **super().state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a saved state; InputError if it belongs to another fit."""
        theirs = Config.from_dict(state["config"])
        if theirs != self.config or any(state.get(k) != v for k, v in self.identity.items()):
            raise InputError("the state is of another fit; start a new one")
        # What "auto" was where the fit began, which may have been another machine.
        begun, self.dtype = self.dtype, state_precision(state, self.dtype)
        if self.dtype != begun:
            self._read_objective()
        super().load_state_dict(state)
        self._generator.set_state(state["crops"])

    def result(self) -> Result:
        """The result so far: its picture is the whole content, painted in the new style."""
        with torch.no_grad():
            image = self.network(self._content, self.row).cpu()
        info = describe(self.seconds, self.config.seed, self.device, self.dtype)
        state = None if self.done else self.state_dict()
        return Result(image, self.history, self.config, {**self.identity, **info}, state)

    def save(self, folder: Path) -> None:
        """Write a run folder; once all steps are done, the row is in style.safetensors."""
        row = save({"style": self.row.detach().cpu()})
        self.result().save(folder, {ROW: row} if self.done else {})


def fit_style(
    network: StyleNetwork,
    style: Tensor,
    content: Tensor,
    config: Config = PRESETS["paper"],
    steps: int = 100,
    learning_rate: float = 0.03,
    crop: int = 128,
    batch: int = 2,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Tensor:
    """Fit the row of a new style, on random crops of a picture; nothing else is trained.

    Ctrl-C, or a notebook's interrupt, stops it after the current step and returns the row so far;
    with ``out`` the same call resumes from there. `StyleFit` does the same step by step, and keeps
    the history.

    Args:
        network, style, content, config, steps, learning_rate, crop, batch: as for `StyleFit`.
        on_step: called after each step with its number and the losses by group: "total", which is
            weighted, and the unweighted ones, such as "content", "style" and "tv".
        out: a run folder. A complete fit in it is loaded, an interrupted one resumed; a new one
            is saved there: the row, its history and the painted content.
        progress: whether to show a progress bar.

    Returns:
        The row, (990,) for the packaged network; `StyleNetwork.add` takes it.

    Raises:
        InputError: bad settings, or ``out`` holds another run.
        Diverged: a loss became NaN or infinite.
    """
    fit = StyleFit(network, style, content, config, steps, learning_rate, crop, batch)

    def report(fit: StyleFit) -> None:
        if on_step is not None:
            on_step(fit.steps_done, fit.last_losses())

    with begun(out, config, fit.identity, own_weights(config.weights)) as earlier:
        if out is not None and earlier is not None and not earlier.interrupted:
            return load_file(Path(out) / ROW)["style"].to(network.table)
        resume(fit, earlier, out)
        fit.run(report, progress)
        if out is not None:
            keep(fit.save, out, fit.result())
    return fit.row.detach().to(network.table)
