"""One network for one painting's style (Johnson, Alahi and Fei-Fei 2016).

The network is trained on the objective of an optimised picture, over crops of many photographs;
then it paints any photograph in a single pass. Instance normalisation instead of batch
normalisation is from Ulyanov, Vedaldi and Lempitsky 2016.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from stylelab.images import standardize
from stylelab.networks.blocks import Batch, Network, mixed, style_objectives
from stylelab.networks.blocks import GeneratorOptions as Options
from stylelab.networks.blocks import method_layers as layers  # noqa: F401
from stylelab.networks.blocks import method_weights as loss_weights  # noqa: F401
from stylelab.objectives import Terms
from stylelab.recipes import Recipe
from stylelab.vgg.network import VGG19

STYLES = "one"
# The distance of Gaussians gives strokes in a thousand steps, where Gram matrices give tints.
RECIPE: dict[str, Any] = {
    "steps": 1000,
    "learning_rate": 3e-3,
    "method": "wasserstein",
}


class Johnson(Network):
    """Paints in the style that it was trained on; strength mixes pixels."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.generator = options.build()

    def forward(self, image: Tensor, style: None = None, strength: float = 1.0) -> Tensor:
        return mixed(image, self.generator(image), strength)


def build(options: Options, names: Sequence[str]) -> Johnson:
    return Johnson(options)


def objective(
    network: Johnson, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    (of,) = style_objectives(styles, model, recipe)

    def terms(batch: Batch) -> Terms:
        return of(standardize(batch.contents))(standardize(network(batch.contents)))

    return terms
