"""What objectives are made of: their types, and the parts that several methods share.

An objective is prepared in two stages. ``objective(styles, model, config)`` reads the styles once;
calling it with a content gives the terms, a function from an image to its losses. One picture,
or a batch of crops with their own contents: the same objective serves both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.losses import content_loss, gram_matrix
from stylelab.vgg.network import VGG19

Terms: TypeAlias = dict[str, Tensor]
"""Unweighted losses, scalars in float32, called "group/layer" or "group"."""
TermsOf: TypeAlias = Callable[[Tensor], Terms]
"""From standardised images (B, 3, H, W) to their terms, means over the batch."""
Objective: TypeAlias = Callable[[Tensor], TermsOf]
"""From standardised contents (B, 3, H, W) to the terms of images that go with them."""
Styles: TypeAlias = Sequence[tuple[Tensor, float]]
"""Standardised style images (1, 3, h, w), each with its share; the shares sum to one."""


def standard_weights(config: Config, style_scale: float = 1.0) -> dict[str, float]:
    """The loss weights of the groups content, style and tv; ``style_scale`` scales the style's."""
    return {
        "content": config.content_weight,
        "style": config.style_weight * style_scale,
        "tv": config.tv_weight,
    }


@torch.no_grad()
def read_layers(model: VGG19, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Features of some layers, (B, C, h, w) in float32 each, as targets: without gradients."""
    features = model(images)
    return {name: features[name].float() for name in layers}


@torch.no_grad()
def read_grams(
    model: VGG19, styles: Styles, layers: Sequence[str]
) -> dict[str, list[tuple[Tensor, float]]]:
    """For each layer the Gram matrices (1, C, C) of all styles, with their shares."""
    read = [(model(style), share) for style, share in styles]
    return {name: [(gram_matrix(f[name]), share) for f, share in read] for name in layers}


def content_terms(features: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Terms:
    """The content loss of each layer that has a target."""
    return {
        f"content/{name}": content_loss(features[name].float(), target)
        for name, target in targets.items()
    }


def one_picture(content: Tensor, method: str) -> None:
    """Raise InputError for a batch, where an objective belongs to a single picture."""
    if len(content) > 1:
        raise InputError(
            f"method '{method}' takes one picture at a time, not a batch of {len(content)}"
        )
