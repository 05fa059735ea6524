"""Any style by means and deviations of features (Huang and Belongie 2017), with a trained decoder.

Losses are those of the paper: the features of the painted picture should be the transformed ones,
and their means and deviations the style's, layer by layer. First the decoder only reconstructs
photographs; then the transform grows, and half of each batch keeps its own style: a decoder that is
never asked for the photograph itself gives grey pictures.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from stylelab.config import checked
from stylelab.images import standardize
from stylelab.losses import total_variation
from stylelab.maths.statistics import adain, moments
from stylelab.networks.blocks import Batch, read_batch
from stylelab.networks.decoders import AnyStyle, grown, inner, squared_error
from stylelab.objectives import Terms, standard_weights
from stylelab.recipes import Recipe
from stylelab.vgg.network import VGG19

STYLES = "any"
LAYER = "relu3_1"
RECIPE: dict[str, Any] = {
    "steps": 1400,
    "crop": 96,
    "learning_rate": 1e-3,
    "style_weight": 3.0,
    "tv_weight": 0.3,
    "style_layers": ("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
}
PLAIN = 2  # one example of so many is only decoded
PIXELS = 300.0  # weight of their squared error, in [0, 1]


@checked
class Options:
    """None: the layer is relu3_1, whose decoder has half a million weights."""


class AdaIN(AnyStyle):
    def transform(self, content: Tensor, style: Tensor) -> Tensor:
        return adain(content, style)


def build(options: Options, names: Sequence[str]) -> AdaIN:
    return AdaIN(LAYER)


def layers(recipe: Recipe) -> tuple[str, ...]:
    return (LAYER, *recipe.style_layers)


def loss_weights(recipe: Recipe) -> dict[str, float]:
    return {**standard_weights(recipe.objective), "pixels": PIXELS * recipe.content_weight}


def objective(
    network: AdaIN, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    def terms(batch: Batch) -> Terms:
        content, style = read_batch(model, batch)
        count = len(batch.contents)
        plain = max(1, count // PLAIN) if count > 1 else 0
        part = grown(batch.progress)
        strength = batch.contents.new_full((count, 1, 1, 1), part)
        strength[:plain] = 0
        target = content[LAYER].lerp(network.transform(content[LAYER], style[LAYER]), strength)
        image = network.decode(target, batch.contents)
        found = model(standardize(image))
        losses = {
            f"content/{LAYER}": squared_error(inner(found[LAYER], 4), inner(target, 4)).mean()
        }
        for name in recipe.style_layers:
            read = (moments(f[name].float()) for f in (found, content, style))
            gaps = [
                squared_error(a, c.lerp(s, strength)).mean() for a, c, s in zip(*read, strict=True)
            ]
            losses[f"style/{name}"] = part * torch.stack(gaps).sum()
        losses["tv"] = total_variation(standardize(image))
        errors = inner(image - batch.contents).square().mean((1, 2, 3))
        alone = strength.flatten() == 0
        losses["pixels"] = (errors * alone).sum() / max(1, int(alone.sum()))
        return losses

    return terms
