"""Content by features, style by Gram matrices (Gatys, Ecker, Bethge 2016), and total variation."""

from typing import Literal

from torch import Tensor

from stylelab.config import Config, checked
from stylelab.losses import squared_variation, style_loss, total_variation
from stylelab.objectives import (
    Objective,
    Styles,
    Terms,
    TermsOf,
    content_terms,
    read_grams,
    read_layers,
    standard_weights,
)
from stylelab.vgg.network import VGG19


@checked
class Options:
    variation: Literal["absolute", "squared"] = "absolute"
    """Total variation: "absolute", as in the paper, or "squared", which leaves no specks of single
    pixels. The layers are those of the config."""


def layers(config: Config) -> tuple[str, ...]:
    return config.content_layers + config.style_layers


def loss_weights(config: Config) -> dict[str, float]:
    return standard_weights(config)


def objective(styles: Styles, model: VGG19, config: Config) -> Objective:
    grams = read_grams(model, styles, config.style_layers)
    squared = config.options_as(Options).variation == "squared"
    variation = squared_variation if squared else total_variation

    def with_content(content: Tensor) -> TermsOf:
        targets = read_layers(model, content, config.content_layers)

        def terms(image: Tensor) -> Terms:
            features = model(image)
            losses = content_terms(features, targets)
            for name in config.style_layers:
                losses[f"style/{name}"] = style_loss(features[name], grams[name])
            losses["tv"] = variation(image)
            return losses

        return terms

    return with_content
