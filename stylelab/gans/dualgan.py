"""Between two sets of unpaired pictures, with U-Nets and critics (Yi, Zhang, Tan and Gong 2017).

The critics approximate the Wasserstein distance, so their weights are clipped, as published, or
their slope is penalised (Gulrajani et al. 2017). There is no identity term and no pool. As with
CycleGAN here, generators add strokes to the picture's coarse colours and are given noise, and
critics see features of VGG-19.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from stylelab.config import checked
from stylelab.gans.blocks import normal, wasserstein
from stylelab.gans.blocks import photographs as DATA  # noqa: F401
from stylelab.gans.cycles import Cycles, Rules
from stylelab.gans.cycles import players as players_of
from stylelab.gans.discriminators import (
    FeatureGAN,
    PatchGAN,
    feature_penalty,
    gradient_penalty,
)
from stylelab.gans.nets import UNet, painted
from stylelab.networks.blocks import Batch, Grain, check_image
from stylelab.objectives import Terms
from stylelab.recipes import Recipe

STYLES = "set"
RECIPE: dict[str, Any] = {
    "steps": 800,
    "batch": 3,
    "crop": 64,
    "side": 160,
    "style_side": 200,
    "learning_rate": 5e-4,
    "schedule": "linear",
    "held_out": 0.2,
    "every": 50,
}
PENALTY = 10.0
CLIP = 0.01


@checked
class Options:
    widths: Annotated[tuple[int, ...], Field(min_length=1, max_length=6)] = (16, 32, 64, 128)
    """Channels of the generators at half the size, a quarter and so on."""
    sees: Literal["features", "pixels"] = "features"
    """What critics are given: features of VGG-19, or pixels (a PatchGAN), as published."""
    slope: Literal["penalty", "clipping"] = "penalty"
    """What keeps the critics from growing steeper; published: clipping."""
    cycle: Annotated[float, Field(ge=0, le=10_000)] = 5.0
    """Weight of the way there and back; published: 500."""


class Translator(UNet):
    """A U-Net that paints strokes, of a picture and noise, on the picture's means."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__(4, 3, widths)
        self.grain = Grain()

    def forward(self, image: Tensor) -> Tensor:
        check_image(image)
        strokes = super().forward(torch.cat([2 * image - 1, self.grain(image)], 1))
        return painted(image, strokes, self.training)


class Clipped(nn.Module):
    """A critic whose weights are within 0.01 of zero whenever it is used (Arjovsky et al. 2017)."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, image: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            with torch.no_grad():
                for parameter in filter(lambda p: p.requires_grad, self.parameters()):
                    parameter.clamp_(-CLIP, CLIP)
        found: Tensor = self.critic(image)
        return found


def optimizer(parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(parameters, learning_rate)


def build(options: Options, names: Sequence[str]) -> Cycles:
    def make() -> Translator:
        network = Translator(options.widths)
        normal(network)
        nn.init.zeros_(cast(nn.Conv2d, network.last[-1]).weight)  # at first, no strokes
        return network

    def judge() -> nn.Module:
        # No instance normalisation: the penalty is of each picture's own slope.
        critic = FeatureGAN() if options.sees == "features" else PatchGAN(norm=False)
        return critic if options.slope == "penalty" else Clipped(critic)

    return Cycles(make, judge, undecided=None)  # a critic is meant to tell them apart


def loss_weights(recipe: Recipe) -> dict[str, float]:
    cycle = recipe.options_as(Options).cycle
    return {"adversarial": 1.0, "cycle": cycle, "real": 1.0, "made": 1.0, "penalty": PENALTY}


def players(game: Cycles, recipe: Recipe) -> dict[str, Callable[[Batch], Terms]]:
    options = recipe.options_as(Options)
    penalty = feature_penalty if options.sees == "features" else gradient_penalty
    paid = penalty if options.slope == "penalty" else None
    return players_of(game, Rules(wasserstein, recipe.crop, penalty=paid, pool=False))
