"""Feature transforms without a trained decoder: find the picture with the transformed features.

argmin over x of |F(x) - T(F(content), F(style))|^2, for T of AdaIN, WCT, SANet and AAMS
(`stylelab.maths`). Their papers train a decoder for that; here the pixels are optimised.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from stylelab.config import Config, Layers, checked
from stylelab.layers import layers_in
from stylelab.losses import total_variation
from stylelab.maths.attention import attention, multi_stroke
from stylelab.maths.statistics import adain, wct
from stylelab.objectives import (
    Objective,
    Styles,
    Terms,
    TermsOf,
    read_layers,
)
from stylelab.vgg.network import VGG19

# At shallow layers, attention between all pairs of positions would take too much memory, and 3x3
# patches are too small to hold a stroke.
DEFAULT_LAYERS = {
    "adain": ("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
    "wct": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "sanet": ("relu4_1", "relu5_1"),
    "aams": ("relu3_1", "relu4_1"),
}


@checked
class Options:
    transform: Literal["adain", "wct", "sanet", "aams"] = "adain"
    """What is done to the features: give each channel the style's mean and deviation (adain), all
    of them its covariance (wct), each position a mean of those alike (sanet), each patch the most
    alike in strokes of several sizes (aams)."""
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """From the content's features, 0, to the transformed, 1."""
    layers: Layers = ()
    """Layers whose features are transformed; empty is the transform's own choice."""
    temperature: Annotated[float, Field(gt=0)] = 16.0
    """Of sanet: the higher, the more positions are averaged."""
    strokes: Annotated[tuple[Annotated[float, Field(gt=0, le=8)], ...], Field(min_length=1)] = (
        0.5,
        1.0,
        2.0,
    )
    """Of aams: sizes of the strokes, over the style's own."""


def layers(config: Config) -> tuple[str, ...]:
    options = config.options_as(Options)
    return options.layers or layers_in(config.backbone, DEFAULT_LAYERS[options.transform])


def needs_maps(config: Config) -> bool:
    return bool(config.options_as(Options).transform == "aams")  # whose strokes are patches


def loss_weights(config: Config) -> dict[str, float]:
    return {"style": config.style_weight, "tv": config.tv_weight}


def transform(content: Tensor, style: Tensor, options: Options) -> Tensor:
    """The content's features (1, C, H, W), transformed and mixed by ``options.strength``."""
    if options.transform == "adain":
        styled = adain(content, style)
    elif options.transform == "wct":
        styled = wct(content, style)
    elif options.transform == "sanet":
        styled = attention(content, style, options.temperature)
    else:
        styled = multi_stroke(content, style, options.strokes)
    return content.lerp(styled, options.strength)


def objective(styles: Styles, model: VGG19, config: Config) -> Objective:
    """Several styles are interpolated: the targets are the mean of theirs, by shares."""
    options, names = config.options_as(Options), layers(config)
    read = [(read_layers(model, style, names), share) for style, share in styles]

    def with_content(content: Tensor) -> TermsOf:
        targets = {}
        for name, base in read_layers(model, content, names).items():
            styled = [
                torch.cat([share * transform(one[None], f[name], options) for one in base])
                for f, share in read
            ]
            targets[name] = torch.stack(styled).sum(0)

        def terms(image: Tensor) -> Terms:
            features = model(image)
            losses = {}
            for name, target in targets.items():
                # Over the target's own size, so that layers and transforms compare.
                error = (features[name].float() - target).square().mean((1, 2, 3))
                losses[f"style/{name}"] = (error / target.square().mean((1, 2, 3))).mean()
            losses["tv"] = total_variation(image)
            return losses

        return terms

    return with_content
