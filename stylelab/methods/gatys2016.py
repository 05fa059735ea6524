"""Gatys, Ecker and Bethge 2016, "Image style transfer using convolutional neural networks".

As published: content at conv4_2, Gram matrices at five layers of equal weight, and no total
variation but what the config asks for. It goes with average pooling and L-BFGS, as the preset
``gatys`` sets them. "Layer conv1_1" is the map behind its ReLU in the authors' code.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from stylelab.config import Config, Layers, checked
from stylelab.losses import content_loss, gram_matrix, total_variation
from stylelab.vgg.network import VGG19

SCALE = 0.01  # so that the default 1 : 1000 paints boldly and keeps the photograph's things


@checked
class Options:
    content_layers: Layers = ("conv4_2",)
    """Layers whose features hold the content."""
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    """Layers whose Gram matrices hold the style, each with the same weight."""


def layers(config: Config) -> tuple[str, ...]:
    options: Options = config.method_options
    return options.content_layers + options.style_layers


def weights(config: Config) -> dict[str, float]:
    return {
        "content": config.content_weight,
        "style": config.style_weight * SCALE,
        "tv": config.tv_weight,
    }


def style_energy(gram: Tensor, target: Tensor) -> Tensor:
    """E = sum (G - A)^2 / (4 N^2 M^2), equation 4, for N channels at M positions.

    ``gram`` and ``target`` (B, N, N) are `gram_matrix`, that is G / (N M): each picture's
    products are divided by its own M, so that the style may have another size.
    """
    channels = gram.shape[-1]
    return 0.25 * (channels * (gram - target)).square().mean()


def objective(
    content: Tensor, styles: list[tuple[Tensor, float]], model: VGG19, config: Config
) -> Callable[[Tensor], dict[str, Tensor]]:
    options: Options = config.method_options
    with torch.no_grad():
        features = model(content)
        content_targets = {name: features[name].float() for name in options.content_layers}
        read = [(model(style), share) for style, share in styles]
        style_targets = {
            name: [(gram_matrix(features[name]), share) for features, share in read]
            for name in options.style_layers
        }

    def terms(image: Tensor) -> dict[str, Tensor]:
        features = model(image)
        losses = {}
        for name, target in content_targets.items():
            # Half the squared error (equation 1), as a mean, so that it does not grow with size.
            losses[f"content/{name}"] = 0.5 * content_loss(features[name].float(), target)
        for name, targets in style_targets.items():
            gram = gram_matrix(features[name])
            parts = [share * style_energy(gram, target) for target, share in targets]
            losses[f"style/{name}"] = torch.stack(parts).sum() / len(style_targets)
        losses["tv"] = total_variation(image)
        return losses

    return terms
