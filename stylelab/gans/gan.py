"""Pictures from noise: the first game of two players (Goodfellow et al. 2014).

Generator and discriminator are convolutional, as in DCGAN (Radford, Metz and Chintala 2015), and
small: they make patches of 32 x 32 pixels. A few paintings have few patches, and a discriminator
learns them by heart; so it sees all pictures, real and made, shifted and recoloured at random, by
steps that have gradients (Zhao et al. 2020).
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from stylelab.config import checked
from stylelab.errors import InputError
from stylelab.gans.blocks import (
    Game,
    all_paintings,
    cross_entropy,
    normal,
    patch_distance,
    spread,
    tiled,
)
from stylelab.gans.blocks import optimizer as optimizer
from stylelab.gans.discriminators import fine
from stylelab.networks.blocks import Batch, Casting, convolution
from stylelab.objectives import Terms
from stylelab.recipes import Recipe

STYLES = "none"
SIDE = 32
RECIPE: dict[str, Any] = {
    "steps": 3000,
    "batch": 32,
    "crop": SIDE,
    "side": 128,
    "learning_rate": 4e-4,
    "schedule": "linear",
    "held_out": 0.2,
}
JUDGED = 256  # patches of each kind


@checked
class Options:
    noise: Annotated[int, Field(ge=1, le=1024)] = 64
    """Numbers that a patch is made of."""
    width: Annotated[int, Field(ge=4, le=256)] = 32
    """Channels at full size; twice as many at each half."""
    augment: bool = True
    """Whether the discriminator sees pictures shifted and recoloured."""


class FromNoise(Casting):
    """From noise (B, N) to patches (B, 3, 32, 32) in [0, 1], enlarging three times."""

    def __init__(self, noise: int, width: int) -> None:
        super().__init__()
        self.widths = [4 * width, 4 * width, 2 * width, width]
        self.first = nn.Linear(noise, 16 * self.widths[0])
        pairs = zip(self.widths[:-1], self.widths[1:], strict=True)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), convolution(a, b), nn.BatchNorm2d(b))
            for a, b in pairs
        )
        self.norm = nn.BatchNorm2d(self.widths[0])
        self.last = convolution(width, 3)

    def forward(self, noise: Tensor) -> Tensor:
        x = F.relu(self.norm(self.first(noise).unflatten(1, (-1, 4, 4))))
        for stage in self.stages:
            x = F.relu(stage(x))
        return cast(Tensor, self.last(x)).float().sigmoid()


class Judge(Casting):
    """From patches (B, 3, 32, 32) to a score each, (B, 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for into, out in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
            parts += [nn.Conv2d(into, out, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*parts, nn.Flatten(), nn.Linear(64 * width, 1))

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.body(2 * image - 1)).float()


def augment(image: Tensor, generator: torch.Generator) -> Tensor:
    """Shifted by up to 4 pixels, lighter or darker, more or less colourful; (B, 3, H, W)."""
    count = len(image)
    light, colour = (
        torch.rand(count, 1, 1, 1, generator=generator).to(image) - 0.5 for _ in range(2)
    )
    mean = image.mean(1, keepdim=True)
    image = mean + (image - mean) * (1 + colour) + 0.5 * light
    shifts = torch.randint(-4, 5, (count, 2), generator=generator).tolist()
    padded = F.pad(image, (4, 4, 4, 4), mode="reflect")
    height, width = image.shape[2:]
    return torch.stack(
        [x[:, 4 + y : 4 + y + height, 4 + k : 4 + k + width]
         for x, (y, k) in zip(padded, shifts, strict=True)]
    )  # fmt: skip


class Gan(Game):
    """Makes patches; `sample` is what to call. As a network it has nothing to paint."""

    undecided = 1.386  # 2 log 2

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.noise = options.noise
        self.generators = FromNoise(options.noise, options.width)
        self.discriminators = Judge(2 * options.width)
        for network in (self.generators, self.discriminators):
            normal(network)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Patches (count, 3, 32, 32) in [0, 1]; without a generator always the same ones."""
        generator = generator or torch.Generator().manual_seed(0)
        noise = torch.randn(count, self.noise, generator=generator).to(self.device)
        found: Tensor = self.generators(noise)
        return found

    def forward(self, image: Tensor, style: None = None, strength: float = 1.0) -> Tensor:
        raise InputError("it paints nothing, it makes patches: load_network('gan').sample(4)")

    @torch.no_grad()
    def judge(self, batch: Batch) -> dict[str, float]:
        made = self.sample(JUDGED)
        found = patch_distance(bands(made), bands(batch.contents))
        return {"total": found, "spread": spread(made, batch.contents)}

    @torch.no_grad()
    def sheet(self, batch: Batch) -> Tensor:
        """Samples, eight in a row, twice enlarged."""
        made = self.sample(48)
        return (
            tiled(made.view(6, 8, *made.shape[1:])).repeat_interleave(2, 2).repeat_interleave(2, 3)
        )


def bands(image: Tensor) -> Tensor:
    """The finest band of a Laplacian pyramid, over its deviation in all of them (Karras 2018)."""
    band = fine(image)
    return band / band.std().clamp_min(1e-6)


DATA = all_paintings


def build(options: Options, names: Sequence[str]) -> Gan:
    return Gan(options)


def loss_weights(recipe: Recipe) -> dict[str, float]:
    return {"adversarial": 1.0, "real": 1.0, "made": 1.0}


def players(game: Gan, recipe: Recipe) -> dict[str, Callable[[Batch], Terms]]:
    made: dict[str, Tensor] = {}
    changed = recipe.options_as(Options).augment

    def score(image: Tensor, generator: torch.Generator) -> Tensor:
        seen = augment(image, generator) if changed else image
        return cast(Tensor, game.discriminators(seen))

    def generators(batch: Batch) -> Terms:
        made["made"] = game.sample(len(batch.contents), batch.generator)
        return {"adversarial": cross_entropy(score(made["made"], batch.generator), True)}

    def discriminators(batch: Batch) -> Terms:
        return {
            "real": cross_entropy(score(batch.contents, batch.generator), True),
            "made": cross_entropy(score(made["made"].detach(), batch.generator), False),
        }

    return {"generators": generators, "discriminators": discriminators}
