"""Content by features, style by Gram matrices (Gatys, Ecker, Bethge 2016), and total variation."""

from collections.abc import Callable

import torch
from torch import Tensor

from stylelab.config import Config
from stylelab.losses import content_loss, gram_matrix, style_loss, total_variation
from stylelab.model import VGG19


def layers(config: Config) -> tuple[str, ...]:
    return config.content_layers + config.style_layers


def weights(config: Config) -> dict[str, float]:
    return {
        "content": config.content_weight,
        "style": config.style_weight,
        "tv": config.tv_weight,
    }


def objective(
    content: Tensor, style: Tensor, model: VGG19, config: Config
) -> Callable[[Tensor], dict[str, Tensor]]:
    with torch.no_grad():
        features = model(content)
        content_targets = {name: features[name].float() for name in config.content_layers}
        features = model(style)
        style_targets = {name: gram_matrix(features[name]) for name in config.style_layers}

    def terms(image: Tensor) -> dict[str, Tensor]:
        features = model(image)
        losses = {}
        for name, target in content_targets.items():
            losses[f"content/{name}"] = content_loss(features[name].float(), target)
        for name, target in style_targets.items():
            losses[f"style/{name}"] = style_loss(features[name], target)
        losses["tv"] = total_variation(image)
        return losses

    return terms
