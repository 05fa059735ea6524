"""Training networks on many pictures: `Training` step by step, `train` in one call."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.device import pick_device, pick_precision
from stylelab.errors import InputError
from stylelab.images import quantize
from stylelab.networks.blocks import Batch, Network
from stylelab.objectives import Terms, by_group
from stylelab.recipes import Recipe, recipe
from stylelab.registry import METHODS, NETWORKS
from stylelab.sample_pictures import data_folder, sample
from stylelab.training.crops import Crops, Photo, find_pictures, pixels_of, read_set, seeded, split
from stylelab.training.loop import Loop, Player
from stylelab.training.result import describe, earlier_run
from stylelab.training.trained import Trained
from stylelab.vgg.network import shared_network
from stylelab.vgg.weights import weights_id

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 4  # held-out pictures in the sheet
# Paintings for networks that take any; the other samples stay unseen.
PAINTINGS = ("harvest_at_la_crau", "langlois_bridge", "church_at_auvers")

Names = str | os.PathLike[str]


class Training(Loop):
    """A training, one step at a time: a `Loop` whose player is the network's parameters.

    Args:
        settings: the recipe.
        style: style pictures, or folders of them: one for a network of one style; by default the
            kit's paintings for a network that takes any.
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
        r = settings
        super().__init__((), r.steps, f"lower the learning_rate ({r.learning_rate:g})")
        self.config, module = r, NETWORKS.load(r.network)
        self.device = pick_device(r.device)
        self.dtype = pick_precision(r.precision, self.device)
        paths = pictures_of(r, style, contents)
        photos = read_set(paths[0], r.side, r.crop, memory_mb)
        trained, self.unseen = split(photos, r.held_out, r.seed)
        styles = read_set(paths[1], r.style_side, r.crop, memory_mb)
        if module.STYLES == "one" and len(styles) > 1:
            raise InputError(f"network '{r.network}' learns one style, not {len(styles)}; name one")
        self.names = [photo.path.stem for photo in styles]
        self.pictures = {
            "trained": {photo.path.name: photo.sha256 for photo in trained},
            "held_out": {photo.path.name: photo.sha256 for photo in self.unseen},
            "styles": {photo.path.name: photo.sha256 for photo in styles},
        }
        self.identity = {
            "content_sha256": _joined(photos),
            "style_sha256": _joined(styles),
            "weights_id": weights_id(r.weights, r.seed),
            "network_sha256": NETWORKS.source_hash(r.network),
            "method_sha256": METHODS.source_hash(r.method),
        }
        options = module.Options(**dict(r.options))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(r.seed)
            self.network: Network = module.build(options, self.names).to(self.device)
        self.network.compute_in(self.dtype)
        model = shared_network(r.objective, module.layers(r), self.device, self.dtype)
        known = [] if module.STYLES == "any" else styles
        fixed = [_image(photo, r.style_side, r.crop).to(self.device) for photo in known]
        self.objective = module.objective(self.network, fixed, model, r)
        self._sets = {
            "contents": Crops(trained, r.side, r.crop, r.batch, r.seed, readers),
            "unseen": Crops(self.unseen, r.side, r.crop, max(4, r.batch), r.seed, 0),
        }
        if module.STYLES == "any":
            seed = r.seed + 1  # so that pictures of both sets meet in another order
            self._sets["styles"] = Crops(styles, r.style_side, r.crop, r.batch, seed, readers)
            self._sets["unseen styles"] = Crops(
                styles, r.style_side, r.crop, max(4, r.batch), seed, 0
            )
        self._shown = []  # photographs and, for a network of any style, a picture of one
        for i, photo in enumerate(self.unseen[:SHOWN]):
            picture = None
            if module.STYLES == "any":
                picture = _image(styles[i % len(styles)], r.style_side, r.crop)
            self._shown.append((_square(_image(photo, r.side, r.crop), r.side), picture))
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, r.learning_rate)
        scheduler: torch.optim.lr_scheduler.LRScheduler
        if r.schedule == "cosine":
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)
        else:
            scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
        weights = module.loss_weights(r)
        self.players = [Player(parameters, optimizer, scheduler, weights, self.terms)]
        self.looks: list[dict[str, float]] = []

    def _batch(self, sets: tuple[str, str], number: int, progress: float) -> Batch:
        contents, styles = (
            self._sets[name].batch(number).to(self.device) if name in self._sets else torch.empty(0)
            for name in sets
        )
        return Batch(contents, styles, progress, seeded(self.config.seed, sets[0], number))

    def terms(self) -> Terms:
        """The unweighted losses of the next batch."""
        progress = self.steps_done / self.steps
        found: Terms = self.objective(
            self._batch(("contents", "styles"), self.steps_done, progress)
        )
        return found

    def after_step(self) -> None:
        """Look at the held-out pictures every so many steps, and at the end."""
        if self.steps_done % self.config.every == 0 or self.done:
            self.looks.append(self.judge())

    @torch.no_grad()
    def judge(self) -> dict[str, float]:
        """The losses of crops of held-out pictures, always the same ones, by group."""
        terms = self.objective(self._batch(("unseen", "unseen styles"), 0, 1.0))
        total = float(self.players[0].total(terms))
        losses = by_group({name: float(value) for name, value in terms.items()})
        return {"step": float(self.steps_done), "total": total, **losses}

    @property
    def held_out(self) -> "pd.DataFrame":
        """Losses of held-out pictures: one row for each look."""
        import pandas as pd

        return pd.DataFrame(self.looks).astype({"step": int} if self.looks else {})

    @property
    def sheet(self) -> Tensor:
        """Held-out photographs and what the network makes of them, (1, 3, H, W) in [0, 1].

        A network of many styles paints one in each; one that takes any style, in those it saw.
        """
        rows = []
        for i, (image, picture) in enumerate(self._shown):
            style: Any = i % len(self.names) if self.network.kind == "many" else None
            if picture is not None:
                style = [(picture.to(self.device), 1.0)]
            with torch.no_grad():
                painted = self.network(image.to(self.device), style).cpu()
            around = [] if picture is None else [_square(picture, self.config.side)]
            rows.append(torch.cat([image, *around, painted], 3))
        return quantize(torch.cat(rows, 2))

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to resume with the same bytes; loads with ``weights_only=True``."""
        own = {"config": self.config.to_dict(), "looks": list(self.looks)}
        return {**own, **self.identity, **super().state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a saved state; InputError if it belongs to another training."""
        theirs = Recipe.from_dict(state["config"])
        if theirs != self.config or any(state.get(k) != v for k, v in self.identity.items()):
            raise InputError("the state is of other pictures or settings; start a new training")
        super().load_state_dict(state)
        self.looks = list(state["looks"])

    def result(self) -> Trained:
        """The result so far."""
        last = self.looks[-1] if self.looks else {}
        info = {
            **self.identity,
            **describe(self.seconds, self.config.seed, self.device, self.dtype),
            "pictures": self.pictures,
            "styles": self.names,
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

    Ctrl-C, or a notebook's interrupt, stops it after the current step and returns what there is.
    With ``out`` the same call then goes on from there, as it does after the process was killed.

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
    earlier = None if out is None else earlier_run(Path(out), r, training.identity)
    if out is not None and earlier is not None and not earlier.interrupted:
        return Trained.load(Path(out))
    if earlier is not None and earlier.state is not None:
        training.load_state_dict(earlier.state)

    def report(training: Training) -> None:
        if out is not None and training.steps_done % r.every == 0 and not training.done:
            training.result().save(Path(out))
        if on_step is not None:
            on_step(training)

    training.run(report, progress)
    result = training.result()
    if out is not None:
        result.save(Path(out))
    training.network.eval().requires_grad_(False)
    return result


def kit() -> list[Names]:
    """The photographs to train on that come with the kit."""
    return [data_folder() / "training" / "photographs"]


def pictures_of(
    settings: Recipe, style: Names | Sequence[Names], contents: Names | Sequence[Names]
) -> tuple[list[Path], list[Path]]:
    """The paths of the photographs and of the style pictures of a training; see `Training`."""
    names, paintings = (
        [given] if isinstance(given, (str, os.PathLike)) else list(given)
        for given in (contents, style)
    )
    if not paintings and NETWORKS.load(settings.network).STYLES == "any":
        paintings = [data_folder() / "training" / "paintings", *(sample(n) for n in PAINTINGS)]
    if not paintings:
        raise InputError(f"network '{settings.network}' learns a style; name a picture of it")
    return find_pictures(names or kit()), find_pictures(paintings)


def _joined(photos: Sequence[Photo]) -> str:
    hashes = sorted(photo.sha256 for photo in photos)
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _image(photo: Photo, side: int, crop: int) -> Tensor:
    """(1, 3, h, w) in [0, 1]."""
    return pixels_of(photo, side, crop)[None].float() / 255


def _square(image: Tensor, side: int) -> Tensor:
    """The middle of an image, (1, 3, side, side)."""
    short = min(image.shape[2:])
    y, x = ((n - short) // 2 for n in image.shape[2:])
    square = image[:, :, y : y + short, x : x + short]
    if short == side:
        return square
    return F.interpolate(square, (side, side), mode="bilinear", antialias=True)
