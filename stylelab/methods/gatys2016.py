"""Gatys, Ecker and Bethge 2016, "Image style transfer using convolutional neural networks".

As published: content at conv4_2, Gram matrices at five layers of equal weight, and total variation
only if ``tv_weight`` is set. The preset ``gatys`` adds average pooling and L-BFGS, as in the paper.
What the paper calls "layer conv1_1" is, in the authors' code, the map after its ReLU.
"""

from torch import Tensor

from stylelab.config import Config, Layers, checked
from stylelab.losses import by_share, gram_matrix, total_variation
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

SCALE = 0.01  # so that the default 1 : 1000 paints boldly but keeps the objects recognisable


@checked
class Options:
    content_layers: Layers = ("conv4_2",)
    """Layers whose features hold the content."""
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    """Layers whose Gram matrices hold the style, each with the same weight."""


def layers(config: Config) -> tuple[str, ...]:
    options = config.options_as(Options)
    return options.content_layers + options.style_layers


def loss_weights(config: Config) -> dict[str, float]:
    return standard_weights(config, style_scale=SCALE)


def style_energy(gram: Tensor, target: Tensor) -> Tensor:
    """E = sum (G - A)^2 / (4 N^2 M^2), equation 4, for N channels at M positions.

    ``gram`` and ``target`` (B, N, N) are `gram_matrix`, that is G / (N M): each picture's
    products are divided by its own M, so that the style may have another size.
    """
    channels = gram.shape[-1]
    return 0.25 * (channels * (gram - target)).square().mean()


def objective(styles: Styles, model: VGG19, config: Config) -> Objective:
    options = config.options_as(Options)
    grams = read_grams(model, styles, options.style_layers)

    def with_content(content: Tensor) -> TermsOf:
        targets = read_layers(model, content, options.content_layers)

        def terms(image: Tensor) -> Terms:
            features = model(image)
            # Half the squared error (equation 1), as a mean, so that it does not grow with size.
            losses = {k: 0.5 * loss for k, loss in content_terms(features, targets).items()}
            for name in options.style_layers:
                gram = gram_matrix(features[name])
                energies = [(style_energy(gram, target), share) for target, share in grams[name]]
                losses[f"style/{name}"] = by_share(energies) / len(options.style_layers)
            losses["tv"] = total_variation(image)
            return losses

        return terms

    return with_content
