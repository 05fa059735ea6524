"""Colours of a grey photograph (after Lin et al. 2019 and Isola et al. 2017).

A U-Net gives a and b of CIELAB from L: it plays against a discriminator that sees one pixel at a
time, with its luminance, and an L1 distance keeps it to the true colours. Its way down is VGG-19,
frozen, which knows what is sky and what is grass (as in Larsson, Maire and Shakhnarovich 2016); so
a hundred photographs suffice. The luminance of the result is exactly that of the photograph.

What cannot be known, such as the paint of a car, L1 gives the median of what it may be: grey, where
that is many colours. The network tells where: it learns the scale of a Laplace distribution of its
errors.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from stylelab.config import checked
from stylelab.gans.blocks import Game, least_squares, normal, spread, tiled
from stylelab.gans.blocks import optimizer as optimizer
from stylelab.gans.blocks import photographs as DATA  # noqa: F401
from stylelab.gans.discriminators import PixelGAN
from stylelab.images import standardize
from stylelab.maths.lab import from_lab, grey_of, to_lab
from stylelab.networks.blocks import Batch, Casting, check_image, convolution
from stylelab.objectives import Terms
from stylelab.recipes import Recipe
from stylelab.vgg.network import MIRRORED, VGG19

STYLES = "none"
RECIPE: dict[str, Any] = {
    "steps": 1400,
    "batch": 4,
    "crop": 128,
    "side": 192,
    "learning_rate": 1e-3,
    "schedule": "linear",
}
L1 = 50.0
CHROMA = 110.0  # of CIELAB, that becomes 1
# From coarse to fine: a layer of VGG-19, its channels, and how many of them go on.
BRIDGES = (
    ("relu5_1", 512, 96),
    ("relu4_2", 512, 96),
    ("relu3_2", 256, 64),
    ("relu2_2", 128, 32),
    ("relu1_2", 64, 16),
)
SCALE = 4  # of features, about, as for decoders


@checked
class Options:
    discriminator: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Weight of what the discriminator says; 0 leaves L1 alone."""


class Up(Casting):
    """From features of VGG-19 to three maps at full size: a, b, and the logarithm of the doubt."""

    def __init__(self) -> None:
        super().__init__()
        self.bridges = nn.ModuleDict({name: nn.Conv2d(c, w, 1) for name, c, w in BRIDGES})
        widths = [width for _, _, width in BRIDGES]
        before = [0, *widths[:-1]]
        self.stages = nn.ModuleList(
            convolution(a + b, b) for a, b in zip(before, widths, strict=True)
        )
        self.last = convolution(widths[-1], 3)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        x: Tensor | None = None
        for (name, _, _), stage in zip(BRIDGES, self.stages, strict=True):
            bridge = F.relu(self.bridges[name](features[name] / SCALE))
            if x is not None:
                x = F.interpolate(x, scale_factor=2.0, mode="bilinear")
                x = x[:, :, : bridge.shape[2], : bridge.shape[3]]  # poolings round up
            x = F.relu(stage(bridge if x is None else torch.cat([x, bridge], 1)))
        return cast(Tensor, self.last(x)).float()


class Colourise(Game):
    """Colours images (B, 3, H, W) by their luminance alone; strength 0 leaves them grey."""

    undecided = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VGG19([name for name, _, _ in BRIDGES], padding="reflect")
        self.generators, self.discriminators = Up(), PixelGAN(3)
        normal(self.discriminators)

    def maps(self, light: Tensor) -> Tensor:
        """a / 110, b / 110 and the logarithm of their doubt, (B, 3, H, W), from L."""
        with torch.no_grad():
            features = self.encoder(standardize(grey_of(light)))
        found: Tensor = self.generators(features)
        return torch.cat([found[:, :2].tanh(), found[:, 2:].clamp(-6, 1)], 1)

    def doubt(self, image: Tensor) -> Tensor:
        """Where colours cannot be known: the expected error of a and b, (B, 1, H, W)."""
        check_image(image, MIRRORED + 1)
        return CHROMA * self.maps(to_lab(image)[:, :1])[:, 2:].exp()

    def forward(self, image: Tensor, style: None = None, strength: float = 1.0) -> Tensor:
        check_image(image, MIRRORED + 1)
        light = to_lab(image)[:, :1]
        return from_lab(torch.cat([light, strength * CHROMA * self.maps(light)[:, :2]], 1))

    def judge(self, batch: Batch) -> dict[str, float]:
        lab = to_lab(batch.contents)
        found = self.maps(lab[:, :1])[:, :2]
        error, chroma = (found - lab[:, 1:] / CHROMA).abs().mean(), lab[:, 1:].abs().mean() / CHROMA
        return {
            "total": float(error / chroma),
            "colourfulness": float(found.abs().mean() / chroma),
            "spread": spread(found, lab[:, 1:] / CHROMA),
        }

    def sheet(self, batch: Batch) -> Tensor:
        """A row a photograph: grey, coloured, true, and the doubt."""
        image = batch.contents
        doubt = (self.doubt(image) / 40).clamp(0, 1).expand(-1, 3, -1, -1)
        columns = [self(image, strength=0.0), self(image), image, doubt]
        return tiled(torch.stack([x.to(image) for x in columns], 1))


def build(options: Options, names: Sequence[str]) -> Colourise:
    return Colourise()


def loss_weights(recipe: Recipe) -> dict[str, float]:
    adversarial = recipe.options_as(Options).discriminator
    own = {"l1": L1, "doubt": 1.0, "adversarial": adversarial}
    return {**own, "real": 0.5, "made": 0.5}


def players(game: Colourise, recipe: Recipe) -> dict[str, Callable[[Batch], Terms]]:
    made: dict[str, Tensor] = {}

    def generators(batch: Batch) -> Terms:
        lab = to_lab(batch.contents)
        light, colours = lab[:, :1] / 50 - 1, lab[:, 1:] / CHROMA
        maps = game.maps(lab[:, :1])
        found, doubt = maps[:, :2], maps[:, 2:]
        error = (found - colours).abs().mean(1, keepdim=True)
        made["real"] = torch.cat([light, colours], 1)
        made["made"] = torch.cat([light, found], 1)
        return {
            "l1": error.mean(),
            # The likelihood of a Laplace distribution with the scale b: |e| / b + log b.
            "doubt": (error.detach() / doubt.exp() + doubt).mean(),
            "adversarial": least_squares(game.discriminators(made["made"]), True),
        }

    def discriminators(batch: Batch) -> Terms:
        return {
            "real": least_squares(game.discriminators(made["real"]), True),
            "made": least_squares(game.discriminators(made["made"].detach()), False),
        }

    return {"generators": generators, "discriminators": discriminators}
