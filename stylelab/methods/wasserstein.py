"""Style by the Wasserstein-2 distance between Gaussians of the features, not by Gram matrices.

The features of a layer are a cloud of vectors, one a position. A Gram matrix holds their second
moments about zero, and most of it is their mean. Here mean and covariance are compared as those of
two normal distributions, by the least cost of moving one to the other (Olkin and Pukelsheim 1982).
As the style loss of a transfer it is used in Katherine Crowson's `style-transfer-pytorch`, together
with the shares of the layers and the squared total variation that are the defaults here.
"""

from torch import Tensor

from stylelab.config import Config, Layers, Weight, checked
from stylelab.errors import InputError
from stylelab.losses import by_share, squared_variation
from stylelab.maths.distances import Gaussian
from stylelab.maths.statistics import covariance
from stylelab.objectives import (
    Objective,
    Styles,
    Terms,
    TermsOf,
    content_terms,
    read_layers,
    standard_weights,
)
from stylelab.vgg.network import VGG19

# So that 1 : 1000 : 10 is content 0.015, style 1 and squared variation 2 of pixels in [0, 1].
SCALE, TV_SCALE = 0.067, 0.68


@checked
class Options:
    content_layers: Layers = ("relu4_2",)
    """Layers whose features hold the content."""
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    """Layers whose means and covariances hold the style."""
    shares: tuple[Weight, ...] = (256, 64, 16, 4, 1)
    """The share of each style layer, in their order; brought to a sum of one."""

    def __post_init__(self) -> None:
        if len(self.shares) != len(self.style_layers):
            raise InputError("shares and style_layers differ in number: give a share to each layer")
        if not any(self.shares):
            raise InputError("all shares are 0: set one of them above 0")


def layers(config: Config) -> tuple[str, ...]:
    options = config.options_as(Options)
    return options.content_layers + options.style_layers


def loss_weights(config: Config) -> dict[str, float]:
    weights = standard_weights(config, style_scale=SCALE)
    return {**weights, "tv": TV_SCALE * weights["tv"]}


def objective(styles: Styles, model: VGG19, config: Config) -> Objective:
    options = config.options_as(Options)
    read = [(read_layers(model, style, options.style_layers), share) for style, share in styles]
    targets = {
        name: [(Gaussian(f[name]), share) for f, share in read] for name in options.style_layers
    }
    parts = [share / sum(options.shares) for share in options.shares]

    def with_content(content: Tensor) -> TermsOf:
        contents = read_layers(model, content, options.content_layers)

        def terms(image: Tensor) -> Terms:
            features = model(image)
            losses = content_terms(features, contents)
            for name, part in zip(options.style_layers, parts, strict=True):
                mean, cov = covariance(features[name])
                each = [(target.distance(mean, cov), share) for target, share in targets[name]]
                losses[f"style/{name}"] = part * by_share(each)
            losses["tv"] = squared_variation(image)
            return losses

        return terms

    return with_content
