"""Any style by covariances of features (Li, Fang, Yang, Wang, Lu and Yang 2017).

Whitening and colouring at three depths, coarse to fine, each with a decoder that has learnt only
to reconstruct photographs: no style is ever seen in training.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn

from stylelab.config import checked
from stylelab.images import standardize
from stylelab.maths.statistics import Spectrum, spectrum, wct
from stylelab.networks.blocks import Batch, Network, Pictures, check_image
from stylelab.networks.decoders import Decoder, StyleMemory, inner, squared_error
from stylelab.objectives import Terms, read_layers
from stylelab.recipes import Recipe
from stylelab.vgg.network import MIRRORED, VGG19

STYLES = "any"
LAYERS = ("relu3_1", "relu2_1", "relu1_1")  # coarse to fine; deeper ones have too few positions
RECIPE: dict[str, Any] = {"steps": 1200, "crop": 96, "learning_rate": 1e-3, "style_weight": 0.0}
PIXELS = 50.0  # weight of their squared error, in [0, 1]


@checked
class Options:
    """None: the layers are relu3_1, relu2_1 and relu1_1."""


class WCT(Network):
    """Calling it takes ``style`` as pairs of pictures and shares; strength mixes features."""

    kind = STYLES

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({k: VGG19([k], padding="reflect") for k in LAYERS})
        self.decoders = nn.ModuleDict({layer: Decoder(layer) for layer in LAYERS})
        self.styles: dict[str, StyleMemory[Spectrum]] = {k: StyleMemory() for k in LAYERS}

    def encode(self, layer: str, image: Tensor) -> Tensor:
        """A layer's features (B, C, h, w) of images in [0, 1], in float32."""
        found: Tensor = self.encoders[layer](standardize(image))[layer]
        return found.float()

    def read(self, layer: str, picture: Tensor) -> Spectrum:
        """What is needed of a style's picture at a layer."""
        return spectrum(self.encode(layer, picture))

    def decode(self, layer: str, features: Tensor, like: Tensor) -> Tensor:
        """The image of a layer's features, cut to the size of another; not clipped."""
        found: Tensor = self.decoders[layer](features)
        return found[:, :, : like.shape[2], : like.shape[3]]

    def forward(self, image: Tensor, style: Pictures, strength: float = 1.0) -> Tensor:
        check_image(image, MIRRORED + 1)
        for layer in LAYERS:
            features, styled = self.encode(layer, image), []
            for picture, share in style:
                wanted = self.styles[layer].read(
                    self.encoders[layer], picture, partial(self.read, layer)
                )
                styled.append(share * torch.cat([wct(one[None], wanted) for one in features]))
            found = reduce(torch.add, styled)
            if strength != 1:
                found = features.lerp(found, strength)
            image = self.decode(layer, found, image).clamp(0, 1)
        return image


def build(options: Options, names: Sequence[str]) -> WCT:
    return WCT()


def layers(recipe: Recipe) -> tuple[str, ...]:
    return LAYERS


def loss_weights(recipe: Recipe) -> dict[str, float]:
    return {"features": recipe.content_weight, "pixels": PIXELS * recipe.content_weight}


def objective(
    network: WCT, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    def terms(batch: Batch) -> Terms:
        targets = read_layers(model, standardize(batch.contents), LAYERS)
        losses = {}
        for layer, target in targets.items():
            image = network.decode(layer, target, batch.contents)
            found = model(standardize(image))[layer]
            losses[f"features/{layer}"] = squared_error(found, target).mean()
            losses[f"pixels/{layer}"] = inner(image - batch.contents).square().mean()
        return losses

    return terms
