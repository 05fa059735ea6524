"""Style as features to match, by a distance of choice: so that losses are compared, and no more.

Six answers to what "the same style" means (`stylelab.maths.distances`): Gram matrices, means and
deviations, whole distributions of channels, Gaussians, patches, and clouds of features under
optimal transport. Layers, content and total variation are the same with each. With the distance
"transport" and the content "self_similarity" the objective is that of STROTSS (Kolkin et al. 2019),
layer by layer.
"""

from typing import Literal

from torch import Tensor

from stylelab.config import Config, Layers, checked
from stylelab.layers import layers_in
from stylelab.losses import by_share, total_variation
from stylelab.maths.distances import DISTANCES, self_similarity
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

# So that 1 : 1000 : 10 pulls as hard as with Gram matrices of the standard method, half-way between
# content and style; benchmarks/losses.py measures it.
SCALES = {
    "gram": 0.09, "moments": 0.2, "sorted": 0.2, "wasserstein": 0.15, "patches": 0.1,
    "transport": 0.05,
}  # fmt: skip
CONTENT_SCALES = {"features": 1.0, "self_similarity": 900.0}
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
PATCH_LAYERS = ("relu3_1", "relu4_1")  # at shallow layers there are too many patches


@checked
class Options:
    distance: Literal["gram", "moments", "sorted", "wasserstein", "patches", "transport"] = "gram"
    """What is compared: Gram matrices, mean and deviation of each channel, its sorted values
    (exact feature distribution matching), mean and covariance as Gaussians (wasserstein), 3x3
    patches with the most similar ones (as cnnmrf does), or clouds of features by the cost of moving
    one to the other (transport, as in STROTSS)."""
    content: Literal["features", "self_similarity"] = "features"
    """What is kept of the content: its features, or how places differ from each other."""
    content_layers: Layers = ("relu4_4",)
    """Layers whose features hold the content."""
    style_layers: Layers = ()
    """Layers whose features hold the style, each with the same weight; empty is relu1_1, relu2_1,
    relu3_1, relu4_1 and relu5_1, of which patches take the third and the fourth."""


def style_layers(config: Config) -> tuple[str, ...]:
    options = config.options_as(Options)
    usual = PATCH_LAYERS if options.distance == "patches" else STYLE_LAYERS
    return options.style_layers or layers_in(config.backbone, usual)


def layers(config: Config) -> tuple[str, ...]:
    return config.options_as(Options).content_layers + style_layers(config)


def needs_maps(config: Config) -> bool:
    return bool(config.options_as(Options).distance == "patches")  # which have neighbours


def loss_weights(config: Config) -> dict[str, float]:
    options = config.options_as(Options)
    weights = standard_weights(config, SCALES[options.distance])
    return {**weights, "content": CONTENT_SCALES[options.content] * weights["content"]}


def objective(styles: Styles, model: VGG19, config: Config) -> Objective:
    options, names = config.options_as(Options), style_layers(config)
    distance = DISTANCES[options.distance]
    read = [(read_layers(model, style, names), share) for style, share in styles]
    targets = {name: [(distance(f[name]), share) for f, share in read] for name in names}

    def with_content(content: Tensor) -> TermsOf:
        base = read_layers(model, content, options.content_layers)
        by_places = options.content == "self_similarity"
        similar = {name: self_similarity(f) for name, f in base.items()} if by_places else {}

        def terms(image: Tensor) -> Terms:
            features = {name: f.float() for name, f in model(image).items()}
            losses = {f"content/{name}": of(features[name]) for name, of in similar.items()}
            losses |= {} if by_places else content_terms(features, base)
            for name in names:
                each = [(of(features[name]), share) for of, share in targets[name]]
                losses[f"style/{name}"] = by_share(each) / len(names)
            losses["tv"] = total_variation(image)
            return losses

        return terms

    return with_content
