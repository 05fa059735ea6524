"""CNNMRF: a picture of the painting's patches (Li and Wand 2016).

"Combining Markov random fields and convolutional neural networks for image synthesis". Each 3x3
patch of the image's features is drawn to the style patch of largest normalised cross-correlation.
The paper's three octaves are ``Config(scales=3)``.
"""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stylelab.config import Config, Layers, checked
from stylelab.losses import content_loss, total_variation
from stylelab.maths.patches import lay, match, read_patches
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
    options: Options = config.method_options
    return options.content_layers + options.patch_layers


def weights(config: Config) -> dict[str, float]:
    return {
        "content": config.content_weight,
        "style": config.style_weight * SCALE,
        "tv": config.tv_weight,
    }


def patch_loss(features: Tensor, style_patches: Tensor, stride: int = 1) -> Tensor:
    """Mean squared distance of each 3x3 patch of a map (1, C, H, W) to its match (equation 2).

    The matches are found anew at each call and carry no gradient: the loss depends on the image
    alone, and not on how often it was asked for. ``style_patches`` is (Q, 9*C).
    """
    with torch.no_grad():
        index, _ = match(read_patches(features, stride), style_patches)
        matched = style_patches[index]  # (P, 9*C)
        mean, count = lay(matched, features.shape, stride)
        # All matches over a position differ from the features by their mean's difference and,
        # which no image can change, from each other.
        rest = (matched - read_patches(mean, stride)).square().mean()
    # So the sum over patches is one over positions, and no patch of the image is ever copied.
    return (count * (features - mean).square()).sum() / matched.numel() + rest


def objective(
    content: Tensor, styles: list[tuple[Tensor, float]], model: VGG19, config: Config
) -> Callable[[Tensor], dict[str, Tensor]]:
    """With several styles each patch finds its match among those of all; shares do not enter."""
    options: Options = config.method_options
    with torch.no_grad():
        features = model(content)
        content_targets = {name: features[name].float() for name in options.content_layers}
        read = [model(style) for style, _ in styles]
        patches = {
            name: torch.cat([read_patches(f[name].float(), options.stride) for f in read])
            for name in options.patch_layers
        }

    def terms(image: Tensor) -> dict[str, Tensor]:
        features = model(image)
        losses = {}
        for name, target in content_targets.items():
            losses[f"content/{name}"] = content_loss(features[name].float(), target)
        for name, known in patches.items():
            losses[f"style/{name}"] = patch_loss(features[name].float(), known, options.stride)
        losses["tv"] = total_variation(image)
        return losses

    return terms
