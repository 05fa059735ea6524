"""Textures of one painting from noise (Ulyanov, Lebedev, Vedaldi and Lempitsky 2016).

The second half of what Gatys, Ecker and Bethge survey in 2017: an optimised texture takes hundreds
of steps, a trained network makes another one in a single pass.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from stylelab.config import checked
from stylelab.images import standardize
from stylelab.networks.blocks import (
    Batch,
    Casting,
    InstanceNorm,
    Network,
    mixed,
    style_objectives,
)
from stylelab.networks.blocks import method_layers as layers  # noqa: F401
from stylelab.networks.blocks import method_weights as loss_weights  # noqa: F401
from stylelab.objectives import Terms
from stylelab.recipes import Recipe
from stylelab.vgg.network import VGG19

STYLES = "one"
RECIPE: dict[str, Any] = {
    "steps": 600,
    "learning_rate": 1e-2,
    "content_weight": 0.0,
    "content_layers": (),
    "tv_weight": 0.0,
}


@checked
class Options:
    scales: Annotated[int, Field(ge=1, le=8)] = 6
    """Sizes of noise, each half of the one before it."""
    width: Annotated[int, Field(ge=2, le=64)] = 8
    """Channels that each size of noise adds."""


def block(into: int, out: int) -> nn.Sequential:
    """Three convolutions; around the edges they see the other side, so the texture can be tiled."""
    parts: list[nn.Module] = []
    for i, kernel in enumerate((3, 3, 1)):
        parts.append(
            nn.Conv2d(out if i else into, out, kernel, padding=kernel // 2, padding_mode="circular")
        )
        # Of each image, not of the batch: a sample must not depend on those beside it.
        parts += [InstanceNorm(out), nn.LeakyReLU(0.01)]
    return nn.Sequential(*parts)


class Pyramid(Casting):
    """From noise at several sizes, coarse to fine, to an image in [0, 1]."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        w, count = options.width, options.scales
        self.read = nn.ModuleList([block(3, w) for _ in range(count)])
        self.join = nn.ModuleList([block(w * k, w * k) for k in range(2, count + 1)])
        self.norms = nn.ModuleList([InstanceNorm(w * k) for k in range(1, count)])
        self.output = nn.Conv2d(w * count, 3, 1)

    def forward(self, noises: Sequence[Tensor]) -> Tensor:
        x = self.read[0](noises[0])
        for read, join, norm, noise in zip(
            self.read[1:], self.join, self.norms, noises[1:], strict=True
        ):
            above = norm(F.interpolate(x, noise.shape[2:], mode="nearest"))
            x = join(torch.cat([above, read(noise)], 1))
        return cast(Tensor, self.output(x)).float().sigmoid()


class Texture(Network):
    """Makes textures; called with images, it makes one of the size of each."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.scales = options.scales
        self.pyramid = Pyramid(options)

    def sample(
        self, count: int, size: tuple[int, int], generator: torch.Generator | None = None
    ) -> Tensor:
        """Textures (count, 3, H, W) in [0, 1]; without a generator always the same ones."""
        generator = generator or torch.Generator().manual_seed(0)
        part = 2 ** (self.scales - 1)
        # Rounded up, and cut at the end; the statistics of a single position are none.
        sides = [max(2, -(-side // part)) for side in size]
        noises = [
            torch.rand(count, 3, *(s * 2**k for s in sides), generator=generator).to(self.device)
            for k in range(self.scales)
        ]
        found: Tensor = self.pyramid(noises)[:, :, : size[0], : size[1]]
        return found

    def forward(self, image: Tensor, style: None = None, strength: float = 1.0) -> Tensor:
        size = image.shape[2], image.shape[3]
        return mixed(image, self.sample(len(image), size), strength)


def build(options: Options, names: Sequence[str]) -> Texture:
    return Texture(options)


def objective(
    network: Texture, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    (of,) = style_objectives(styles, model, recipe)

    def terms(batch: Batch) -> Terms:
        size = recipe.crop, recipe.crop
        made = network.sample(len(batch.contents), size, batch.generator)
        return of(standardize(batch.contents))(standardize(made))

    return terms
