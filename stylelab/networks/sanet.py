"""Any style by attention to features that are alike (Park and Lee 2019), with trained projections.

Each position of the content takes a mean of the style's features, weighted by
softmax(f(norm c)^T g(norm s)), and keeps what it was: out(h(s)) + c. Pictures whose style is their
own should stay what they are (the identity losses, in pixels and in features).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from stylelab.config import checked
from stylelab.images import standardize
from stylelab.losses import total_variation
from stylelab.maths.statistics import moments, normalize
from stylelab.networks.blocks import Batch, read_batch
from stylelab.networks.decoders import AnyStyle, Attention, grown, inner, squared_error
from stylelab.objectives import Terms, standard_weights
from stylelab.recipes import Recipe
from stylelab.vgg.network import VGG19

STYLES = "any"
LAYER, CHANNELS = "relu3_1", 256
RECIPE: dict[str, Any] = {
    "steps": 1400,
    "crop": 96,
    "learning_rate": 1e-3,
    "style_weight": 3.0,
    "tv_weight": 0.3,
    "style_layers": ("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
}
PIXELS, FEATURES = 300.0, 0.3  # weights of the two identity losses


@checked
class Options:
    """None: the layer is relu3_1, and queries and keys have 64 channels."""


class SANet(AnyStyle):
    def __init__(self) -> None:
        super().__init__(LAYER)
        self.attention = Attention(CHANNELS)

    def transform(self, content: Tensor, style: Tensor) -> Tensor:
        added: Tensor = self.attention(content, style)
        return content + added

    def own(self, content: Tensor) -> Tensor:
        return self.transform(content, content)


def build(options: Options, names: Sequence[str]) -> SANet:
    return SANet()


def layers(recipe: Recipe) -> tuple[str, ...]:
    return (LAYER, *recipe.style_layers)


def loss_weights(recipe: Recipe) -> dict[str, float]:
    return {**standard_weights(recipe.objective), "pixels": PIXELS, "identity": FEATURES}


def objective(
    network: SANet, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    def terms(batch: Batch) -> Terms:
        content, style = read_batch(model, batch)
        image = network.decode(network.transform(content[LAYER], style[LAYER]), batch.contents)
        same = network.decode(network.transform(content[LAYER], content[LAYER]), batch.contents)
        found, kept = model(standardize(image)), model(standardize(same))
        gap = normalize(inner(found[LAYER], 4).float()) - normalize(inner(content[LAYER], 4))
        losses = {f"content/{LAYER}": gap.square().mean()}
        for name in recipe.style_layers:
            pairs = zip(moments(found[name].float()), moments(style[name]), strict=True)
            gaps = torch.stack([squared_error(*pair).mean() for pair in pairs])
            losses[f"style/{name}"] = grown(batch.progress) * gaps.sum()
        losses["tv"] = total_variation(standardize(image))
        losses["pixels"] = inner(same - batch.contents).square().mean()
        for name in recipe.style_layers:
            losses[f"identity/{name}"] = squared_error(kept[name], content[name]).mean()
        return losses

    return terms
