"""Training networks on many pictures: `Training` step by step, `train` in one call."""

import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stylelab.device import pick_device, pick_precision
from stylelab.errors import InputError
from stylelab.gans.blocks import Game
from stylelab.images import quantize
from stylelab.networks.blocks import Batch, Network, schedule
from stylelab.objectives import Terms, by_group
from stylelab.recipes import Recipe, recipe, trainable
from stylelab.registry import METHODS
from stylelab.training.crops import pixels_of
from stylelab.training.folders import keep, own_weights
from stylelab.training.loop import Loop, Player, state_precision
from stylelab.training.result import begun, describe, resume
from stylelab.training.sets import Names, Sets, square
from stylelab.training.trained import Trained
from stylelab.vgg.network import shared_network
from stylelab.vgg.weights import weights_id

if TYPE_CHECKING:
    import pandas as pd


class Training(Loop):
    """A training, one step at a time: a `Loop` whose player is the network's parameters.

    Of a GAN there are two players that take turns: its generators and its discriminators.

    Args:
        settings: the recipe.
        style: style pictures, or folders of them: one for a network of one style; by default the
            kit's paintings for a network that takes any, and for a GAN.
        contents: photographs, or folders of them; by default the kit's.
        readers: threads that make batches ahead.
        memory_mb: how many MB of decoded pictures are kept.

    Raises:
        InputError: pictures are missing, too few or too small, or the device is not there.
    """

    def __init__(
        self,
        settings: Recipe,
        style: Names | Sequence[Names] = (),
        contents: Names | Sequence[Names] = (),
        readers: int = 2,
        memory_mb: float = 1000,
    ) -> None:
        r, registry = settings, trainable(settings.network)
        super().__init__((), r.steps, f"lower the learning_rate ({r.learning_rate:g})")
        self.config, module = r, registry.load(r.network)
        self.device = pick_device(r.device)
        self.dtype = pick_precision(r.precision, self.device)
        self.sets = Sets(r, style, contents, readers, memory_mb)
        self.identity = {
            **self.sets.identity,
            "weights_id": weights_id(r.weights, r.seed),
            "network_sha256": registry.source_hash(r.network),
            "method_sha256": METHODS.source_hash(r.method),
        }
        options = module.Options(**dict(r.options))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(r.seed)
            self.network: Network = module.build(options, self.sets.names).to(self.device)
        if begin := getattr(module, "begin", None):
            known = [(p.path, pixels_of(p, r.side, r.crop)) for p in self.sets.trained]
            begin(self.network, known)
        weights = module.loss_weights(r)
        self._read_objectives()
        for name in self._objectives:
            learner = getattr(self.network, name) if name else self.network
            parameters = [p for p in learner.parameters() if p.requires_grad]
            make = getattr(module, "optimizer", torch.optim.Adam)
            optimizer = make(parameters, r.learning_rate)
            scheduler = schedule(optimizer, r)
            terms = partial(self._terms, name)
            self.players.append(Player(parameters, optimizer, scheduler, weights, terms, name))
        self.looks: list[dict[str, float]] = []
        self.alarms: list[str] = []
        """What went wrong between two players, in words."""
        self._best: dict[str, Tensor] = {}
        self._batch: tuple[int, Batch | None] = (-1, None)

    def _read_objectives(self) -> None:
        """Read what the losses compare with, in this training's number format."""
        r, module = self.config, trainable(self.config.network).load(self.config.network)
        self.network.compute_in(self.dtype)
        if isinstance(self.network, Game):
            self._objectives = module.players(self.network, r)
            return
        identity = str(self.identity["weights_id"])
        layers = module.layers(r)
        model = shared_network(r.objective, layers, self.device, self.dtype, identity)
        fixed = [image.to(self.device) for image in self.sets.learnt_styles()]
        self._objectives = {"": module.objective(self.network, fixed, model, r)}

    def _terms(self, player: str) -> Terms:
        """The unweighted losses of the next batch, which all players see."""
        if self._batch[0] != self.steps_done:
            progress = self.steps_done / self.config.steps
            batch = self.sets.batch(self.steps_done, progress, self.device)
            self._batch = (self.steps_done, batch)
        terms: Terms = self._objectives[player](self._batch[1])
        return terms

    def after_step(self) -> None:
        """Look at the held-out pictures every so many steps, and at the end."""
        if self.steps_done % self.config.every and not self.done:
            return
        self.looks.append(self.judge())
        if isinstance(self.network, Game) and self.steps_done >= self.steps / 4:
            means = self.history.tail(self.config.every).mean()
            recent = {str(name): float(value) for name, value in means.items()}
            for alarm in self.network.alarms(recent, self.looks[-1]):
                self.alarms.append(f"step {self.steps_done}: {alarm}")
                warnings.warn(self.alarms[-1], stacklevel=2)
        if patience := self.config.patience:
            totals = [look["total"] for look in self.looks]
            best = totals.index(min(totals))
            if best == len(totals) - 1:
                learnt = self.network.learnt().items()
                self._best = {name: value.cpu().clone() for name, value in learnt}
            if len(totals) - 1 - best >= patience:
                self.steps = self.steps_done
            if self.done:
                self.network.load_state_dict(self._best, strict=False)

    @torch.no_grad()
    def judge(self) -> dict[str, float]:
        """The losses of crops of held-out pictures, always the same ones, by group.

        Of a GAN, whose losses say little, the figures that it is to be watched by.
        """
        batch, step = self.sets.held_out(self.device), {"step": float(self.steps_done)}
        if isinstance(self.network, Game):
            self.network.eval()  # so that running means stay those of the training
            found = self.network.judge(batch)
            self.network.train()
            return {**step, **found}
        terms = self._objectives[""](batch)
        total = float(self.players[0].total(terms))
        losses = by_group({name: float(value) for name, value in terms.items()})
        return {**step, "total": total, **losses}

    @property
    def held_out(self) -> "pd.DataFrame":
        """Losses of held-out pictures: one row for each look."""
        import pandas as pd

        return pd.DataFrame(self.looks).astype({"step": int} if self.looks else {})

    @property
    @torch.no_grad()
    def sheet(self) -> Tensor:
        """Held-out photographs and what the network makes of them, (1, 3, H, W) in [0, 1].

        A network of many styles paints one in each; one that takes any style, in those it saw; a
        GAN shows its game.
        """
        if isinstance(self.network, Game):
            self.network.eval()
            sheet = self.network.sheet(self.sets.sheet(self.device)).cpu()
            self.network.train()
            return quantize(sheet)
        rows = []
        for i, image in enumerate(self.sets.shown):
            style: Any = i % len(self.sets.names) if self.network.kind == "many" else None
            around = []
            if self.sets.around:
                style = [(self.sets.around[i].to(self.device), 1.0)]
                around = [square(self.sets.around[i], self.config.side)]
            painted = self.network(image.to(self.device), style).cpu()
            rows.append(torch.cat([image, *around, painted], 3))
        return quantize(torch.cat(rows, 2))

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to resume with the same bytes; loads with ``weights_only=True``."""
        own = {
            "config": self.config.to_dict(),
            "precision": str(self.dtype).removeprefix("torch."),
            "looks": list(self.looks),
            "alarms": list(self.alarms),
            "best": self._best,
            "memory": self.network.memory(),
        }
        return {**own, **self.identity, **super().state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a saved state; InputError if it belongs to another training."""
        theirs = Recipe.from_dict(state["config"])
        if theirs != self.config or any(state.get(k) != v for k, v in self.identity.items()):
            raise InputError("the state is of other pictures or settings; start a new training")
        # What "auto" was where the training began, which may have been another machine.
        begun, self.dtype = self.dtype, state_precision(state, self.dtype)
        if self.dtype != begun:
            self._read_objectives()
        super().load_state_dict(state)
        self.looks, self.alarms = list(state["looks"]), list(state["alarms"])
        self._best = state["best"]
        for name, value in state["memory"].items():
            self.network.get_buffer(name).copy_(value)

    def result(self) -> Trained:
        """The result so far."""
        last = self.looks[-1] if self.looks else {}
        if self.config.patience and self.done:
            last = min(self.looks, key=lambda look: look["total"])
        info = {
            **self.identity,
            **describe(self.seconds, self.config.seed, self.device, self.dtype),
            "pictures": self.sets.pictures,
            "styles": self.sets.names,
            "alarms": self.alarms,
            "held_out_losses": {k: v for k, v in last.items() if k != "step"},
        }
        state = None if self.done else self.state_dict()
        return Trained(
            image=self.sheet,
            history=self.history,
            config=self.config,
            info=info,
            state=state,
            network=self.network,
            held_out=self.held_out,
        )


def train(
    network: str | Recipe,
    style: Names | Sequence[Names] = (),
    contents: Names | Sequence[Names] = (),
    out: Names | None = None,
    on_step: Callable[[Training], None] | None = None,
    progress: bool = True,
    readers: int = 2,
    memory_mb: float = 1000,
    **settings: Any,
) -> Trained:
    """Train a network to its end, with a progress bar.

    Ctrl-C, or a notebook's interrupt, stops it after the current step and returns the result so
    far. With ``out`` the same call then resumes it, even after the process was killed.

    For example ``train("johnson", style="night_cafe", out="runs/night", steps=400)``.

    Args:
        network: the name of a network, or a whole `Recipe`.
        style, contents, readers, memory_mb: as for `Training`.
        out: a run folder. A complete training in it is loaded, an interrupted one resumed.
        on_step: called after each step with the `Training`, to watch it.
        progress: whether to show the bar.
        settings: fields of `Recipe`, instead of those that the network is trained with by default.

    Raises:
        InputError: bad pictures or settings, or ``out`` holds another run.
        Diverged: a loss became NaN or infinite.
    """
    r = recipe(network, **settings) if isinstance(network, str) else network
    training = Training(r, style, contents, readers, memory_mb)
    read = [style, contents, own_weights(r.weights)]
    names = [[n] if isinstance(n, (str, os.PathLike)) else n for n in read]
    inputs = [Path(name) for group in names for name in group]

    def report(training: Training) -> None:
        if out is not None and training.steps_done % r.every == 0 and not training.done:
            try:
                training.result().save(Path(out))
            except InputError as error:  # a disk that is full now may not be at the end
                warnings.warn(f"step {training.steps_done}: {error}", stacklevel=2)
        if on_step is not None:
            on_step(training)

    with begun(out, r, training.identity, inputs) as earlier:
        if out is not None and earlier is not None and not earlier.interrupted:
            return Trained.load(Path(out))
        resume(training, earlier, out)
        training.run(report, progress)
        result = training.result()
        keep(result.save, out, result)
    training.network.eval().requires_grad_(False)
    return result
