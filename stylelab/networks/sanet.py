"""Any style by attention to features that are alike (Park and Lee 2019), with trained projections.

Each position of the content takes a mean of the style's features, weighted by
softmax(f(norm c)^T g(norm s)), and keeps what it was: out(h(s)) + c. Pictures whose style is their
own should stay what they are (the identity losses, in pixels and in features).
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylelab.config import checked
from stylelab.images import standardize
from stylelab.maths.statistics import moments, normalize
from stylelab.networks.blocks import AnyStyle, Batch, read_batch
from stylelab.objectives import Terms
from stylelab.recipes import Recipe
from stylelab.vgg.network import VGG19

STYLES = "any"
LAYER, CHANNELS = "relu3_1", 256
KEYS = 64  # positions of the style a side, at most: attention takes memory for every pair
RECIPE: dict[str, Any] = {
    "steps": 2000,
    "crop": 96,
    "learning_rate": 1e-3,
    "style_weight": 5.0,
    "style_layers": ("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
}
PIXELS, FEATURES = 50.0, 1.0  # weights of the two identity losses


@checked
class Options:
    """None: the layer is relu3_1, and queries and keys have 64 channels."""


class SANet(AnyStyle):
    def __init__(self) -> None:
        super().__init__(LAYER)
        self.query, self.key = (nn.Conv2d(CHANNELS, 64, 1) for _ in range(2))
        self.value, self.out = (nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in range(2))

    def weights(self, content: Tensor, style: Tensor) -> Tensor:
        """How much each position of the content attends to each of the style, (B, P, Q)."""
        queries = self.query(normalize(content)).flatten(2)  # (B, 64, P)
        keys = self.key(normalize(style)).flatten(2)  # (B, 64, Q)
        return cast(Tensor, queries.mT @ keys).softmax(2)

    def transform(self, content: Tensor, style: Tensor) -> Tensor:
        sides = min(style.shape[2], KEYS), min(style.shape[3], KEYS)
        # Values are the raw features: normalised ones have lost the style's contrast.
        style = F.adaptive_avg_pool2d(style, sides).expand(len(content), -1, -1, -1)
        values = self.value(style).flatten(2)  # (B, C, Q)
        found = self.weights(content, style).to(values) @ values.mT
        added: Tensor = self.out(found.mT.reshape(content.shape))
        return content + added.float()


def build(options: Options, names: Sequence[str]) -> SANet:
    return SANet()


def layers(recipe: Recipe) -> tuple[str, ...]:
    return (LAYER, *recipe.style_layers)


def loss_weights(recipe: Recipe) -> dict[str, float]:
    weights = {"content": recipe.content_weight, "style": recipe.style_weight}
    return {**weights, "pixels": PIXELS, "identity": FEATURES}


def objective(
    network: SANet, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    def terms(batch: Batch) -> Terms:
        content, style = read_batch(model, batch)
        image = network.decode(network.transform(content[LAYER], style[LAYER]), batch.contents)
        same = network.decode(network.transform(content[LAYER], content[LAYER]), batch.contents)
        found, kept = model(standardize(image)), model(standardize(same))
        gap = normalize(found[LAYER].float()) - normalize(content[LAYER])
        losses = {f"content/{LAYER}": gap.square().mean()}
        for name in recipe.style_layers:
            pairs = zip(moments(found[name].float()), moments(style[name]), strict=True)
            losses[f"style/{name}"] = torch.stack([F.mse_loss(a, s) for a, s in pairs]).sum()
        losses["pixels"] = F.mse_loss(same, batch.contents)
        for name in recipe.style_layers:
            losses[f"identity/{name}"] = F.mse_loss(kept[name].float(), content[name])
        return losses

    return terms
