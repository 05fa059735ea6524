"""The types of an objective, and the parts that several methods share.

An objective is built in two stages. ``objective(styles, model, config)`` reads the styles once and
returns a function of the content; that returns the terms, a function from an image to its losses.
The same objective serves one picture, or a batch of crops, each with its own content.
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
"""From standardised images (B, 3, H, W) to their terms, averaged over the batch."""
Objective: TypeAlias = Callable[[Tensor], TermsOf]
"""From standardised contents (B, 3, H, W) to the terms of images with these contents."""
Styles: TypeAlias = Sequence[tuple[Tensor, float]]
"""Standardised style images (1, 3, h, w), each with its share; the shares sum to one."""


def by_group(values: Mapping[str, float]) -> dict[str, float]:
    """Losses by group: those of its layers, "group/layer", added up."""
    losses: dict[str, float] = {}
    for name, value in values.items():
        group = name.split("/")[0]
        losses[group] = losses.get(group, 0.0) + value
    return losses


def standard_weights(config: Config, style_scale: float = 1.0) -> dict[str, float]:
    """The loss weights of the groups content, style and tv; style's times ``style_scale``."""
    return {
        "content": config.content_weight,
        "style": config.style_weight * style_scale,
        "tv": config.tv_weight,
    }


@torch.no_grad()
def read_layers(model: VGG19, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Features of some layers as targets: (B, C, h, w) each, in float32, without gradients."""
    features = model(images)
    return {name: features[name].float() for name in layers}


@torch.no_grad()
def read_grams(
    model: VGG19, styles: Styles, layers: Sequence[str]
) -> dict[str, list[tuple[Tensor, float]]]:
    """For each layer, the Gram matrix (1, C, C) of each style with the style's share."""
    read = [(model(style), share) for style, share in styles]
    return {name: [(gram_matrix(f[name]), share) for f, share in read] for name in layers}


def content_terms(features: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Terms:
    """The content loss of each layer that has a target."""
    return {
        f"content/{name}": content_loss(features[name].float(), target)
        for name, target in targets.items()
    }


def one_picture(content: Tensor, method: str) -> None:
    """Raise InputError for a batch, in a method whose objective belongs to a single picture."""
    if len(content) > 1:
        raise InputError(
            f"method '{method}' takes one picture at a time, not a batch of {len(content)}"
        )
