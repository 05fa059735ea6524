"""Any style by covariances of features (Li, Fang, Yang, Wang, Lu and Yang 2017).

Whitening and colouring at two depths, coarse to fine, each with a decoder that has learnt only to
reconstruct photographs, and at last of the colours: no style is ever seen in training.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from stylelab.config import checked
from stylelab.images import standardize
from stylelab.maths.resizing import resize
from stylelab.maths.statistics import Spectrum, coloured, spectrum
from stylelab.networks.blocks import Batch, Grain, Network, Pictures, check_image
from stylelab.networks.decoders import Decoder, StyleMemory, inner, squared_error
from stylelab.objectives import Terms, read_layers
from stylelab.recipes import Recipe
from stylelab.vgg.network import MIRRORED, VGG19

STYLES = "any"
LAYERS = ("relu3_1", "relu2_1")  # coarse to fine; deeper ones have too few positions
COARSE = 2 / 3  # of the size: at which the deeper layer is read and decoded
# Added to what is encoded, in [0, 1]: in an even sky there is nothing else to whiten.
NOISE = {"relu3_1": 0.05, "relu2_1": 0.0125}
CUT = 1e-2  # of the largest eigenvalue: what is smaller is no more than grain
CUT_COLOURS = 1e-3  # the same of colours: a photograph that is nearly grey has noise in them
LEAST = round((MIRRORED + 1) / COARSE)  # pixels a side
RECIPE: dict[str, Any] = {"steps": 1200, "crop": 96, "learning_rate": 1e-3, "style_weight": 0.0}
PIXELS = 50.0  # weight of their squared error, in [0, 1]


@checked
class Options:
    """None: the layers are relu3_1 and relu2_1."""


class WCT(Network):
    """Calling it takes ``style`` as pairs of pictures and shares; strength mixes features."""

    kind = STYLES

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({k: VGG19([k], padding="reflect") for k in LAYERS})
        self.decoders = nn.ModuleDict({layer: Decoder(layer) for layer in LAYERS})
        self.styles: dict[str, StyleMemory[Spectrum]] = {k: StyleMemory() for k in LAYERS}
        self.grain = Grain()

    def encode(self, layer: str, image: Tensor) -> Tensor:
        """A layer's features (B, C, h, w) of images in [0, 1], in float32."""
        found: Tensor = self.encoders[layer](standardize(image))[layer]
        return found.float()

    def read(self, layer: str, picture: Tensor) -> Spectrum:
        """What is needed of a style's picture at a layer."""
        return spectrum(self.encode(layer, scaled(layer, picture)), CUT)

    def decode(self, layer: str, features: Tensor, like: Tensor) -> Tensor:
        """The image of a layer's features, cut to the size of another; not clipped."""
        found: Tensor = self.decoders[layer](features)
        return found[:, :, : like.shape[2], : like.shape[3]]

    def forward(self, image: Tensor, style: Pictures, strength: float = 1.0) -> Tensor:
        check_image(image, LEAST)
        size, shares = image.shape[2:], [share for _, share in style]
        for layer in LAYERS:
            image = scaled(layer, image)
            features = self.encode(layer, image + NOISE[layer] * strength * self.grain(image))
            wanted = [
                self.styles[layer].read(self.encoders[layer], picture, partial(self.read, layer))
                for picture, _ in style
            ]
            found = coloured(features, wanted, shares, strength, CUT)
            image = resize(self.decode(layer, found, image), size).clamp(0, 1)
        colours = [spectrum(picture, CUT_COLOURS) for picture, _ in style]
        return coloured(image, colours, shares, strength, CUT_COLOURS).clamp(0, 1)


def scaled(layer: str, image: Tensor) -> Tensor:
    """An image at the size at which a layer is read."""
    if layer != LAYERS[0]:
        return image
    height, width = (round(COARSE * n) for n in image.shape[2:])
    return resize(image, (height, width))


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
