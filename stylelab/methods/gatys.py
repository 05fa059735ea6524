"""Content by features, style by Gram matrices (Gatys, Ecker, Bethge 2016), and total variation."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.config import Config, checked
from stylelab.losses import content_loss, gram_matrix, total_variation
from stylelab.vgg.network import VGG19


@checked
class Options:
    """None: the layers are those of the config."""


def layers(config: Config) -> tuple[str, ...]:
    return config.content_layers + config.style_layers


def weights(config: Config) -> dict[str, float]:
    return {
        "content": config.content_weight,
        "style": config.style_weight,
        "tv": config.tv_weight,
    }


def objective(
    content: Tensor, styles: list[tuple[Tensor, float]], model: VGG19, config: Config
) -> Callable[[Tensor], dict[str, Tensor]]:
    with torch.no_grad():
        features = model(content)
        content_targets = {name: features[name].float() for name in config.content_layers}
        read = [(model(style), share) for style, share in styles]
        style_targets = {
            name: [(gram_matrix(features[name]), share) for features, share in read]
            for name in config.style_layers
        }

    def terms(image: Tensor) -> dict[str, Tensor]:
        features = model(image)
        losses = {}
        for name, target in content_targets.items():
            losses[f"content/{name}"] = content_loss(features[name].float(), target)
        for name, targets in style_targets.items():
            gram = gram_matrix(features[name])  # as in `style_loss`, but once for all styles
            parts = [share * F.mse_loss(gram, target) for target, share in targets]
            losses[f"style/{name}"] = torch.stack(parts).sum()
        losses["tv"] = total_variation(image)
        return losses

    return terms
