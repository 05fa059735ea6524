"""Every choice of an experiment, as one frozen, checked and hashable record.

This file imports neither torch nor Pillow, so that ``stylelab --help`` answers at once.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from numbers import Integral
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from typing_extensions import dataclass_transform  # typing has it from Python 3.11 on

from stylelab.errors import InputError, unknown
from stylelab.registry import METHODS

CONVOLUTIONS = tuple(
    f"conv{block}_{i}" for block, n in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, n + 1)
)
LAYERS = tuple(name for conv in CONVOLUTIONS for name in (conv, conv.replace("conv", "relu")))
LOSS_WEIGHTS = ("content_weight", "style_weight", "tv_weight")
# What the loop alone reads: the network, the targets and the pictures do not depend on it.
LOOP_SETTINGS = (
    "steps", "scales", "optimizer", "learning_rate", "schedule", "decay_every", "stop_below",
    "init",
)  # fmt: skip
SMALLEST, LARGEST = 16, 10_000  # pixels a side: four poolings need 16, and 10,000 is a poster

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def checked(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen dataclass whose values are checked, with errors in one line."""
    settings = ConfigDict(allow_inf_nan=False, extra="forbid")
    made: Any = dataclass(frozen=True, kw_only=True, config=settings)(cls)
    validate = made.__init__

    def __init__(self: Any, **values: Any) -> None:
        try:
            validate(self, **values)
        except ValidationError as error:
            raise InputError(_one_line(error, [f.name for f in fields(made)])) from None

    made.__init__ = __init__
    return cast(type[T], made)


def _one_line(error: ValidationError, names: list[str]) -> str:
    fault = error.errors()[0]
    what = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not fault["loc"]:  # from __post_init__, about several fields
        return what
    name = str(fault["loc"][0])
    if name == "size":  # as `check_size` says it
        return what
    if name not in names:
        return unknown("setting", name, names)
    return f"{name}={fault['input']!r}: {what}"


def check_size(size: Any) -> Any:
    """Pass a size on if it is (height, width) or one longer side, in whole pixels."""
    sides = list(size) if isinstance(size, (tuple, list)) and len(size) == 2 else [size]
    if not all(isinstance(side, Integral) and SMALLEST <= int(side) <= LARGEST for side in sides):
        raise InputError(
            f"size={size!r} should be (height, width), or one number for the longer side, "
            f"in whole pixels from {SMALLEST} to {LARGEST}"
        )
    return tuple(int(side) for side in sides) if len(sides) == 2 else int(sides[0])


def check_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError(unknown("device", name, ["auto", "cpu", "cuda", "cuda:0", "mps"]))
    return name


def check_layer(name: str) -> str:
    if name not in LAYERS:
        summary = "VGG-19 has conv1_1 ... conv5_4 and relu1_1 ... relu5_4"
        raise InputError(unknown("layer", name, LAYERS, summary))
    return name


def check_unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("each layer may stand once")
    return names


def to_pairs(options: Any) -> Any:
    """A mapping as sorted pairs, which can be hashed."""
    if not isinstance(options, Mapping):
        return options
    return tuple(sorted(options.items(), key=lambda pair: str(pair[0])))


Size = Annotated[tuple[int, int] | int, BeforeValidator(check_size)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
Layers = Annotated[
    tuple[Annotated[str, AfterValidator(check_layer)], ...],
    AfterValidator(check_unique),
]


@checked
class Config:
    """The settings of one style transfer; ``dataclasses.replace`` makes variants.

    The defaults are the experiment of the paper at 150x225 (its section III-E). What the paper
    leaves out follows the textbook recipe that it is built on, *Dive into Deep Learning*.

    Raises:
        InputError: a value is not allowed; one line names the field, the value and what is.
    """

    size: Size = (150, 225)
    """Height and width of the result, or its longer side in pixels."""
    fit: Literal["crop", "stretch"] = "crop"
    """How an image of another aspect ratio is brought to the size."""
    method: Annotated[str, AfterValidator(METHODS.check)] = "gatys"
    """What turns content and style into an objective: a file in stylelab/methods, or a registered
    module."""
    options: Annotated[tuple[tuple[str, Any], ...], BeforeValidator(to_pairs)] = ()
    """Settings of the method's own, by name; kept as sorted pairs."""
    content_weight: Weight = 1.0
    """Weight of the content loss."""
    style_weight: Weight = 1000.0
    """Weight of the style loss."""
    tv_weight: Weight = 10.0
    """Weight of the total variation loss."""
    content_layers: Layers = ("relu4_4",)
    """Layers whose features hold the content."""
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "conv5_1")
    """Layers whose Gram matrices hold the style."""
    style_scale: Annotated[float, Field(gt=0, le=8)] = 1.0
    """Size of the style picture over that of the result: below 1 its strokes are finer."""
    colours: Literal["style", "luminance", "statistics"] = "style"
    """Whose colours the result has: the style's, or the content's. luminance transfers the
    luminance only; statistics first recolours the style to the content's mean and covariance."""
    blend: tuple[Weight, ...] = ()
    """Shares of several style pictures, in their order; empty is equal shares."""
    mask: str = ""
    """Path of a picture, white where the style goes; where it is black, the content stays."""
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    """Number of steps; the paper's epochs."""
    scales: Annotated[int, Field(ge=1, le=8)] = 1
    """Coarse-to-fine scales, each twice the size of the last and with half as many of the steps."""
    optimizer: Literal["adam", "lbfgs", "pyramid"] = "adam"
    """What updates the pixels; a step of each is one evaluation. pyramid is Adam at several
    resolutions of the image at once."""
    learning_rate: Annotated[float, Field(gt=0, le=1000)] = 0.1
    """Step size, in units of the standardised image (0.1 is about 0.02 of the range 0 to 1)."""
    schedule: Literal["constant", "linear"] = "constant"
    """How the step size goes over the steps of a scale: linear rises for ten steps, then falls to
    zero."""
    decay_every: Annotated[int, Field(ge=0)] = 0
    """Steps after which the learning rate is multiplied by 0.1, again and again; 0 is never."""
    stop_below: Annotated[float, Field(ge=0)] = 0.0
    """End early, once the weighted total is below this; 0 is never."""
    init: str = "content"
    """Initial image: content, noise, style, or the path of a picture."""
    weights: str = "original"
    """VGG-19 weights: original, torchvision, random, or the path of a .pth or .safetensors."""
    normalise: Literal["auto", "layer", "filter", "none"] = "auto"
    """Rescale each convolution to a mean activation of two, by layer or by filter; auto is none
    for torchvision's weights, on whose scale the paper's loss weights were chosen, else layer."""
    pooling: Literal["max", "avg"] = "max"
    """Pooling between the blocks of VGG-19."""
    padding: Literal["zeros", "replicate"] = "replicate"
    """Padding at the first convolution; zeros leave a border."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the convolutions; auto is bfloat16 where the hardware has it natively."""
    memory: Literal["plain", "low"] = "plain"
    """low keeps a fraction of the feature maps and computes the others twice, in 1.4 times the
    time."""
    device: Annotated[str, AfterValidator(check_device)] = "auto"
    """Device: auto, cpu, cuda, cuda:N or mps."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the noise image and of random weights."""

    def __post_init__(self) -> None:
        layered = {"content_layers": self.content_weight, "style_layers": self.style_weight}
        for name, weight in layered.items():
            if weight and not getattr(self, name):
                raise InputError(f"{name} is empty: name a layer or set its loss weight to 0")
        if not any((self.content_weight, self.style_weight, self.tv_weight)):
            raise InputError("all loss weights are 0: set one of them above 0")
        if self.schedule == "linear" and self.decay_every:
            raise InputError("decay_every belongs to schedule='constant': set one of them")
        if not self.init or not self.weights:
            raise InputError("init and weights may not be empty")
        if self.blend and not any(self.blend):
            raise InputError("all shares of blend are 0: set one of them above 0")
        if self.options:  # as the method's types have them, so that 1 and 1.0 are one value
            own = self.method_options
            given = tuple((name, getattr(own, name)) for name, _ in self.options)
            object.__setattr__(self, "options", given)

    @property
    def method_options(self) -> Any:
        """The method's own settings, with their defaults: an instance of its ``Options``."""
        return self.options_as(METHODS.load(self.method).Options)

    def options_as(self, kind: type[T]) -> T:
        """The method's own settings as ``kind``, the ``Options`` of the method's file."""
        if self.options and not fields(cast(Any, kind)):
            raise InputError(f"method '{self.method}' has no options")
        try:
            return kind(**dict(self.options))
        except InputError as error:
            raise InputError(f"options of '{self.method}': {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values, ready for JSON."""
        values = asdict(self)
        options = {k: list(v) if isinstance(v, tuple) else v for k, v in self.options}
        values["options"] = options
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of `to_dict`; unknown keys are refused, missing ones take the default."""
        return cls(**values)

    def preparation_key(self) -> tuple[Any, ...]:
        """All that network, targets and pictures depend on, but their size.

        Runs that differ only in loop settings or loss weights share one cache entry.
        """
        left_out = {"size", *LOOP_SETTINGS, *LOSS_WEIGHTS}
        if self.weights != "random":
            left_out.add("seed")
        return tuple(getattr(self, f.name) for f in fields(self) if f.name not in left_out)


PRESETS: dict[str, Config] = {
    "paper": Config(),
    "paper-large": Config(size=(300, 450)),
    # The objective of 500 plain steps in far fewer; docs/fast.md has the curves.
    "fast": Config(
        size=(300, 450), optimizer="pyramid", learning_rate=0.15, schedule="linear", steps=200
    ),
    # For a wall; docs/large.md shows it, and what one scale makes of it.
    "gallery": Config(
        size=(1200, 1800),
        style_weight=15_000,
        tv_weight=150,
        pooling="avg",
        optimizer="pyramid",
        learning_rate=0.05,
        schedule="linear",
        steps=280,
        scales=3,
    ),
    # Gatys, Ecker and Bethge 2016, with their layers; init="noise" as in most of their figures.
    "gatys": Config(
        size=(300, 450),
        method="gatys2016",
        tv_weight=0,
        optimizer="lbfgs",
        learning_rate=1.0,
        pooling="avg",
    ),
}


def preset_name(config: Config) -> str | None:
    """The name of the preset that equals ``config``, if one does."""
    return next((name for name, preset in PRESETS.items() if preset == config), None)
