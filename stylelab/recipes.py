"""The settings of a training, as one frozen, checked and hashable record.

Like `stylelab.config`, this file does not import torch.
"""

from typing import Annotated, Any, Literal

import tyro
from pydantic import AfterValidator, BeforeValidator, Field

from stylelab.config import Config, Layers, Settings, Weight, check_device, checked, to_pairs
from stylelab.errors import InputError, unknown
from stylelab.registry import GANS, METHODS, NETWORKS, Registry


def trainable(name: str) -> Registry:
    """The registry that has what is trained under a name: `NETWORKS` or `GANS`.

    Raises:
        ValueError: neither has it; the message lists the names of both.
    """
    for registry in (NETWORKS, GANS):
        if name in registry:
            return registry
    raise ValueError(unknown("network", name, [*NETWORKS, *GANS]))


def known(name: str) -> str:
    trainable(name)
    return name


Name = Annotated[str, AfterValidator(known)]
Side = Annotated[int, Field(ge=32, le=4096)]


# Settings that a recipe hands on to its objective, under the same names.
OBJECTIVE = (
    "method", "content_weight", "style_weight", "tv_weight", "content_layers", "style_layers",
    "content_layer_weights", "style_layer_weights", "weights", "precision", "device", "seed",
)  # fmt: skip


@checked
class Recipe(Settings):
    """The settings of a training; `recipe` returns the defaults for a network.

    Raises:
        InputError: a value is not allowed; one line names the field, the value and the fault.
    """

    owner = "network"
    network: tyro.conf.Positional[Name]
    """What is trained: a file in stylelab/networks or stylelab/gans, or what was registered."""
    options: Annotated[tuple[tuple[str, Any], ...], BeforeValidator(to_pairs)] = ()
    """The network's own settings, by name; stored as sorted pairs."""
    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 600
    """Number of steps; the network sees one batch in each."""
    batch: Annotated[int, Field(ge=1, le=1024)] = 4
    """Crops in a batch."""
    crop: Side = 128
    """Side of the square crops in pixels."""
    side: Side = 256
    """Shorter side, in pixels, to which photographs are scaled before they are cropped."""
    style_side: Side = 256
    """Shorter side to which style pictures are scaled; the smaller, the finer the strokes."""
    learning_rate: Annotated[float, Field(gt=0, le=1000)] = 1e-3
    """Step size of Adam."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the step size falls to zero: along half a wave, or in a line after half of the steps."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the photographs that are never trained on and show what was learnt."""
    every: Annotated[int, Field(ge=1)] = 100
    """Steps between two looks at the held-out photographs, after each of which the training can go
    on if it is killed."""
    patience: Annotated[int, Field(ge=0)] = 0
    """End after so many looks without a better total of held-out pictures, and keep the best
    network; 0 makes all steps and keeps the last."""
    method: Annotated[str, AfterValidator(METHODS.check)] = "gatys"
    """For networks that learn a style: the method whose objective they minimise."""
    method_options: Annotated[tuple[tuple[str, Any], ...], BeforeValidator(to_pairs)] = ()
    """That method's own settings."""
    content_weight: Weight = 1.0
    """Weight of the content loss."""
    style_weight: Weight = 1000.0
    """Weight of the style loss."""
    tv_weight: Weight = 10.0
    """Weight of the total variation loss."""
    content_layers: Layers = ("relu3_3",)
    """Layers whose features hold the content."""
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    """Layers whose statistics hold the style."""
    content_layer_weights: tuple[Weight, ...] = ()
    """Factors of the content layers' losses, as for a transfer; empty means all 1."""
    style_layer_weights: tuple[Weight, ...] = ()
    """The same for the style layers."""
    weights: str = "original"
    """VGG-19 weights of the losses: original, torchvision, random, or a path."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the convolutions, as for a transfer."""
    device: Annotated[str, AfterValidator(check_device)] = "auto"
    """Device: auto, cpu, cuda, cuda:N or mps."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the network's first values and of all crops."""

    def __post_init__(self) -> None:
        if self.side < self.crop or self.style_side < self.crop:
            raise InputError(
                f"crop={self.crop} is larger than side={self.side} or style_side="
                f"{self.style_side}; crop less, or scale the pictures larger"
            )
        if self.options:  # converted to the network's types, so that 1 and 1.0 are the same value
            own = self.options_as(trainable(self.network).load(self.network).Options)
            given = tuple((name, getattr(own, name)) for name, _ in self.options)
            object.__setattr__(self, "options", given)
        if self.method_options:
            object.__setattr__(self, "method_options", self.objective.options)

    def usual(self) -> "Recipe":
        return recipe(self.network)

    @property
    def objective(self) -> Config:
        """The settings of the objective that the method reads."""
        shared = {name: getattr(self, name) for name in OBJECTIVE}
        return Config(size=(self.crop, self.crop), options=self.method_options, **shared)


def recipe(network: str, **settings: Any) -> Recipe:
    """The settings that a network is trained with by default, with changes.

    >>> recipe("johnson", steps=100).crop
    128

    Raises:
        InputError: an unknown network or setting, or a value that is not allowed.
    """
    try:
        module = trainable(network).load(network)
    except ValueError as error:
        raise InputError(str(error)) from None
    return Recipe(network=network, **{**module.RECIPE, **settings})
