"""A photograph's darker and brighter exposures, to be fused (after Xie et al. 2018).

Two games of cycles: between pictures two stops apart downwards, and upwards. Scenes in a training
set come as triptychs, darker, normal and brighter side by side; the games see them unpaired. The
pairs are there, though, and an L1 distance to them (``paired``) is what makes the tones right.

A generator is a curve of values, which is most of what an exposure is, and a U-Net that adds what
a curve cannot know: what stands where the photograph is white or black. It begins with the best
curve of the scenes that it learns from.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stylelab.config import checked
from stylelab.errors import InputError
from stylelab.gans.blocks import Game, by_shares, least_squares, normal, spread, tiled
from stylelab.gans.blocks import optimizer as optimizer
from stylelab.gans.cycles import Cycles, Rules
from stylelab.gans.cycles import players as players_of
from stylelab.gans.discriminators import PatchGAN
from stylelab.gans.nets import UNet
from stylelab.maths.fusion import fuse
from stylelab.networks.blocks import Batch, Casting, check_image, mixed
from stylelab.objectives import Terms
from stylelab.recipes import Recipe
from stylelab.sample_pictures import data_folder

STYLES = "none"
RECIPE: dict[str, Any] = {
    "steps": 1600,
    "batch": 4,
    "crop": 64,
    "side": 128,
    "learning_rate": 1e-3,
    "schedule": "linear",
    "held_out": 0.2,
}
CYCLE, PAIRED = 1.0, 100.0
ADVERSARIAL = 0.1  # pairs say more: it only keeps what is made up from being blurred
STOPS = ("under", "over")
LEVELS, KNOTS = 256, 33  # of a curve that is measured, and of one that is learnt


@checked
class Options:
    paired: Annotated[float, Field(ge=0, le=1000)] = PAIRED
    """Weight of the L1 distance to a scene's true exposures; 0 learns from unpaired ones alone."""


def limited(values: Tensor) -> Tensor:
    """Values of which the logit is finite."""
    return values.clamp(0.002, 0.998)


class Exposer(Casting):
    """From image to image, (B, 3, H, W) in [0, 1]: a curve of values, and a U-Net."""

    def __init__(self) -> None:
        super().__init__()
        self.curve = nn.Parameter(limited(torch.linspace(0, 1, KNOTS)).logit())
        # No instance normalisation: it would take the brightness away.
        self.context = UNet(3, 3, (16, 32, 64, 64), norm=False)
        last = cast(nn.Conv2d, self.context.last[-1])
        for values in (last.weight, last.bias):  # begins as the curve alone
            nn.init.zeros_(cast(Tensor, values))

    def forward(self, image: Tensor) -> Tensor:
        check_image(image)
        place = image.clamp(0, 1) * (KNOTS - 1)
        below = place.floor().long().clamp_max(KNOTS - 2)
        curved = self.curve[below].lerp(self.curve[below + 1], place - below)
        found: Tensor = curved + self.context(2 * image - 1)
        return found.sigmoid()


class Exposure(Game):
    """Takes photographs to ``style="under"``, which is the default, or "over"."""

    kind = "many"
    undecided = 2.0

    def __init__(self) -> None:
        super().__init__()

        def judge() -> PatchGAN:
            critic = PatchGAN(width=24, strides=2, norm=False)
            normal(critic)
            return critic

        cycles = {name: Cycles(Exposer, judge, None) for name in STOPS}
        self.cycles = [*cycles.items()]  # a list: its networks are this game's own
        self.generators = nn.ModuleDict({k: c.generators for k, c in self.cycles})
        self.discriminators = nn.ModuleDict({k: c.discriminators for k, c in self.cycles})
        self.names = list(STOPS)

    def forward(
        self, image: Tensor, style: str | Mapping[str, float] = "under", strength: float = 1.0
    ) -> Tensor:
        generators: Any = self.generators
        stops = {name: generators[name]["there"] for name in STOPS}
        return mixed(image, by_shares(image, style, stops), strength)

    def bracket(self, image: Tensor) -> Tensor:
        """Darker, as it is, and brighter: (3, 3, H, W), of an image (1, 3, H, W)."""
        return torch.cat([self(image, "under"), image, self(image, "over")])

    @torch.no_grad()
    def judge(self, batch: Batch) -> dict[str, float]:
        under, image, over = batch.contents.chunk(3, 1)
        errors = {
            name: float((self(image, name) - wanted).abs().mean() / (image - wanted).abs().mean())
            for name, wanted in zip(STOPS, (under, over), strict=True)
        }
        made = spread(self(image, "under"), under)
        return {"total": sum(errors.values()), **errors, "spread": made}

    @torch.no_grad()
    def sheet(self, batch: Batch) -> Tensor:
        """Two rows a scene: the true bracket and its fusion; the made one and its fusion."""
        rows = []
        for scene in batch.contents.unbind():
            true = scene.view(3, 3, *scene.shape[1:])
            for bracket in (true, self.bracket(true[1:2])):
                rows.append(torch.cat([bracket, fuse(bracket)]))
        return tiled(torch.stack(rows)).clamp(0, 1)


def DATA() -> list[Path]:
    return [data_folder() / "training" / "exposures"]


def prepare(path: Path, pixels: Tensor) -> Tensor:
    """Side by side to one above the other, (9, h, w): darker, normal, brighter.

    Raises:
        InputError: the picture is no triptych of squares.
    """
    height, width = pixels.shape[1:]
    if width != 3 * height:
        raise InputError(f"'{path}' is not three square exposures side by side")
    return torch.cat([pixels[:, :, i * height : (i + 1) * height] for i in range(3)])


def place(path: Path) -> str:
    """The place, which recurs with a number, and as rendered, in a training set's file names."""
    return path.stem.removeprefix("blender_").rpartition("_")[0]


def begin(game: Exposure, pictures: Sequence[tuple[Path, Tensor]]) -> None:
    """Take as curves the mean of what each value of the training scenes becomes."""
    scenes = torch.stack([pixels for _, pixels in pictures])  # (N, 9, h, w) uint8
    under, image, over = (x.flatten() for x in scenes.chunk(3, 1))
    for name, other in zip(STOPS, (under, over), strict=True):
        generators: Any = game.generators[name]
        for way, given, wanted in (("there", image, other), ("back", other, image)):
            with torch.no_grad():
                found = mean_curve(given, wanted)
                generators[way].curve.copy_(limited(through_knots(found)).logit())


def mean_curve(given: Tensor, wanted: Tensor) -> Tensor:
    """For each of 256 values the mean of what becomes of it, (256,) in [0, 1], interpolated.

    Args:
        given, wanted: uint8 of the same shape, (N,).
    """
    counts = torch.bincount(given.long(), minlength=LEVELS)
    sums = torch.bincount(given.long(), wanted.double(), minlength=LEVELS)
    seen = counts > 0
    levels = np.arange(LEVELS)
    found = np.interp(levels, levels[seen.numpy()], (sums[seen] / counts[seen] / 255).numpy())
    return torch.from_numpy(found).float()


def through_knots(curve: Tensor) -> Tensor:
    """The values at `KNOTS` even places whose linear interpolation is nearest to a curve (256,).

    With a value for each of 256 levels, two that differ by a rounding error next to white would
    become two colours.
    """
    place = torch.linspace(0, KNOTS - 1, LEVELS)
    hats = (1 - (place[:, None] - torch.arange(KNOTS)).abs()).clamp_min(0)  # (256, knots)
    found: Tensor = torch.linalg.lstsq(hats, curve[:, None]).solution[:, 0]
    return found


def build(options: Options, names: Sequence[str]) -> Exposure:
    return Exposure()


def loss_weights(recipe: Recipe) -> dict[str, float]:
    paired = recipe.options_as(Options).paired
    return {"adversarial": ADVERSARIAL, "cycle": CYCLE, "paired": paired, "real": 0.5, "made": 0.5}


def players(game: Exposure, recipe: Recipe) -> dict[str, Callable[[Batch], Terms]]:
    rules = Rules(least_squares, recipe.crop)
    games = {name: players_of(cycles, rules) for name, cycles in game.cycles}
    pools: list[Any] = [cycles.pools for _, cycles in game.cycles]
    game.pools = nn.ModuleList(pools)  # so that they are part of the state

    def batches(batch: Batch) -> dict[str, Batch]:
        under, image, over = batch.contents.chunk(3, 1)
        # Each picture meets an exposure of the next scene, not of its own.
        return {
            name: Batch(image, x.roll(1, 0), batch.progress, batch.generator)
            for name, x in zip(STOPS, (under, over), strict=True)
        }

    def terms(player: str, batch: Batch) -> Terms:
        return {
            group.replace("/", f"/{name}_"): value
            for name, one in batches(batch).items()
            for group, value in games[name][player](one).items()
        }

    def generators(batch: Batch) -> Terms:
        found = terms("generators", batch)
        under, image, over = batch.contents.chunk(3, 1)
        for name, wanted in zip(STOPS, (under, over), strict=True):
            off = game(image, name) - wanted
            found[f"paired/{name}"] = off.abs().mean()
            for way, axis in (("down", 2), ("across", 3)):  # no specks where it has to guess
                found[f"paired/{name}_{way}"] = off.diff(dim=axis).abs().mean()
        return found

    return {
        "generators": generators,
        "discriminators": lambda batch: terms("discriminators", batch),
    }
