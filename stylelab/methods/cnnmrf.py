"""CNNMRF: a picture made of the painting's patches (Li and Wand 2016).

"Combining Markov random fields and convolutional neural networks for image synthesis". Each 3x3
patch of the image's features is pulled towards the style patch with which it has the largest
normalised cross-correlation.
The paper's three octaves are ``Config(scales=3)``.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stylelab.config import Config, Layers, checked
from stylelab.losses import total_variation
from stylelab.maths.distances import patch_loss
from stylelab.maths.patches import read_patches
from stylelab.objectives import (
    Objective,
    Styles,
    Terms,
    TermsOf,
    content_terms,
    read_layers,
    standard_weights,
)
from stylelab.vgg.network import VGG19

SCALE = 1e-3


@checked
class Options:
    content_layers: Layers = ("relu4_2",)
    """Layers whose features hold the content."""
    patch_layers: Layers = ("relu3_1", "relu4_1")
    """Layers whose 3x3 patches hold the style."""
    stride: Annotated[int, Field(ge=1, le=8)] = 2
    """Step between two patches, of the image and of the style; 1 takes all, in 16 times the
    time."""


def layers(config: Config) -> tuple[str, ...]:
    options = config.options_as(Options)
    return options.content_layers + options.patch_layers


def needs_maps(config: Config) -> bool:
    return True  # patches have neighbours


def loss_weights(config: Config) -> dict[str, float]:
    return standard_weights(config, style_scale=SCALE)


def objective(styles: Styles, model: VGG19, config: Config) -> Objective:
    """With several styles each patch finds its match among those of all; shares do not enter."""
    options = config.options_as(Options)
    read = [read_layers(model, style, options.patch_layers) for style, _ in styles]
    patches = {
        name: torch.cat([read_patches(f[name], options.stride) for f in read])
        for name in options.patch_layers
    }

    def with_content(content: Tensor) -> TermsOf:
        targets = read_layers(model, content, options.content_layers)

        def terms(image: Tensor) -> Terms:
            features = model(image)
            losses = content_terms(features, targets)
            for name, known in patches.items():
                each = [
                    patch_loss(one[None], known, options.stride) for one in features[name].float()
                ]
                losses[f"style/{name}"] = torch.stack(each).mean()
            losses["tv"] = total_variation(image)
            return losses

        return terms

    return with_content
