"""Between two sets of unpaired pictures, such as photographs and paintings (Zhu et al. 2017).

Least squares, an L1 cycle and an identity term, and pools of made pictures, as published. Changed
so that a training takes minutes: generators add strokes to the picture's coarse colours, are given
noise to make them of, and enlarge by repeated pixels, not by transposed convolutions;
discriminators see features of VGG-19 (Sauer et al. 2021). Each can be set as published.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field
from torch import nn

from stylelab.config import checked
from stylelab.errors import InputError
from stylelab.gans.blocks import least_squares, normal
from stylelab.gans.blocks import optimizer as optimizer
from stylelab.gans.blocks import photographs as DATA  # noqa: F401
from stylelab.gans.cycles import Cycles, Rules
from stylelab.gans.cycles import players as players_of
from stylelab.gans.discriminators import FeatureGAN, PatchGAN
from stylelab.gans.nets import AddsTo, Enlarge, ResNet
from stylelab.networks.blocks import Batch
from stylelab.objectives import Terms
from stylelab.recipes import Recipe

STYLES = "set"
RECIPE: dict[str, Any] = {
    "steps": 800,
    "batch": 3,
    "crop": 64,
    "side": 160,
    "style_side": 200,
    "learning_rate": 1e-3,
    "schedule": "linear",
    "held_out": 0.2,
    "every": 50,
}


@checked
class Options:
    width: Annotated[int, Field(ge=4, le=128)] = 16
    """Channels of the generators at full size; published: 64."""
    blocks: Annotated[int, Field(ge=0, le=32)] = 3
    """Residual blocks of the generators; published: 6 for 128 pixels, 9 for 256."""
    enlarge: Enlarge = "nearest"
    """How the generators enlarge; published: transposed."""
    adds_to: AddsTo = "means"
    """What the generators add to: the means of 4x4 pixels, or the picture; published: nothing."""
    grain: bool = True
    """Whether the generators are given noise beside the picture; published: no."""
    sees: Literal["features", "pixels"] = "features"
    """What discriminators are given: features of VGG-19, or pixels (a PatchGAN), as published."""
    cycle: Annotated[float, Field(ge=0, le=1000)] = 2.0
    """Weight of the way there and back; published: 10."""
    identity: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Weight of leaving a picture as it is where it belongs already; published: 5."""


def build(options: Options, names: Sequence[str]) -> Cycles:
    def make() -> ResNet:
        o = options
        network = ResNet(o.width, o.blocks, o.enlarge, o.adds_to, o.grain)
        normal(network)
        if options.adds_to != "nothing":
            nn.init.zeros_(cast(nn.Conv2d, network.body[-1]).weight)  # at first, no strokes
        return network

    def judge() -> nn.Module:
        if options.sees == "features":
            return FeatureGAN()
        network = PatchGAN()
        normal(network)
        return network

    return Cycles(make, judge, undecided=1.0)  # two of them, and 1/4 for real and made


def loss_weights(recipe: Recipe) -> dict[str, float]:
    options = recipe.options_as(Options)
    own = {"adversarial": 1.0, "cycle": options.cycle, "identity": options.identity}
    return {**own, "real": 0.5, "made": 0.5}


def players(game: Cycles, recipe: Recipe) -> dict[str, Callable[[Batch], Terms]]:
    identity = recipe.options_as(Options).identity > 0
    return players_of(game, Rules(least_squares, recipe.crop, identity))


def published(path: str | Path) -> ResNet:
    """The published generator of 9 blocks and width 64, from a state dict of its layout (.pth).

    Raises:
        InputError: it cannot be read, or has another layout.
    """
    network = ResNet(64, 9, "transposed", adds_to="nothing", grain=False)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"'{path}' cannot be read ({reason}); name a state dict") from None
    own = network.state_dict()
    if [tuple(v.shape) for v in state.values()] != [tuple(v.shape) for v in own.values()]:
        raise InputError(f"'{path}' is no generator of 9 blocks and width 64; name another file")
    network.load_state_dict(dict(zip(own, state.values(), strict=True)))
    return network.eval().requires_grad_(False)
