"""Every choice of an experiment, as one frozen, checked and hashable record.

This file imports neither torch nor Pillow, so that ``stylelab --help`` answers at once.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from numbers import Integral
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from typing_extensions import Self, dataclass_transform  # typing has it from Python 3.11 on

from stylelab.errors import InputError, unknown
from stylelab.layers import check_layer, check_unique, layers_in
from stylelab.registry import METHODS

LOSS_WEIGHTS = ("content_weight", "style_weight", "tv_weight")
# Settings that only the loop reads: the network, the targets and the pictures are the same.
LOOP_SETTINGS = (
    "steps", "scales", "optimizer", "learning_rate", "schedule", "decay_every", "stop_below",
    "init", "projected",
)  # fmt: skip
# Settings that came after version 0.1: at their defaults they do not enter the keys of runs.
LATER = {
    "projected", "backbone", "content_layer_weights", "style_layer_weights", "style_masks", "weigh",
}  # fmt: skip
SMALLEST, LARGEST = 16, 10_000  # pixels a side: four poolings need 16, and 10,000 is a poster

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def checked(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen dataclass with validated fields.

    Raises:
        InputError: on construction, in one line that names the field, the value and the fault.
    """
    settings = ConfigDict(allow_inf_nan=False, extra="forbid")
    made: Any = dataclass(frozen=True, kw_only=True, config=settings)(cls)
    validate = made.__init__

    def __init__(self: Any, **values: Any) -> None:
        if unordered := [k for k, v in values.items() if isinstance(v, (set, frozenset))]:
            raise InputError(f"{unordered[0]}: a set has no order; give a list")
        try:
            validate(self, **values)
        except ValidationError as error:
            raise InputError(_one_line(error, [f.name for f in fields(made)])) from None

    made.__init__ = __init__
    return cast(type[T], made)


def _one_line(error: ValidationError, names: list[str]) -> str:
    fault = error.errors()[0]
    what = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    name = str(fault["loc"][0]) if fault["loc"] else ""  # none from __post_init__
    if name in ("", "size"):  # whose messages are complete
        return what
    if name not in names:
        return unknown("setting", name, names)
    return f"{name}={fault['input']!r}: {what}"


def check_size(size: Any) -> Any:
    """Return a valid size, (height, width) or the longer side, as plain integers in pixels."""
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


def to_pairs(options: Any) -> Any:
    """Turn a mapping, or pairs, into a tuple of sorted pairs, so that it can be hashed."""
    with contextlib.suppress(TypeError, ValueError):  # of what pydantic refuses
        return tuple(sorted(dict(options).items(), key=lambda pair: str(pair[0])))
    return options


Size = Annotated[tuple[int, int] | int, BeforeValidator(check_size)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
Layers = Annotated[
    tuple[Annotated[str, AfterValidator(check_layer)], ...],
    AfterValidator(check_unique),
]


class Settings:
    """What the records of settings share; each is a frozen dataclass that `checked` made."""

    options: tuple[tuple[str, Any], ...]
    owner: ClassVar[str]
    """The field that names the module whose own settings the options are."""

    def options_as(self, kind: type[T]) -> T:
        """The own settings as an instance of ``kind``, the ``Options`` of the module's file.

        Raises:
            InputError: a setting is unknown to the module, or its value is not allowed.
        """
        name = getattr(self, self.owner)
        if self.options and not fields(cast(Any, kind)):
            raise InputError(f"{self.owner} '{name}' has no options")
        try:
            own: Any = kind(**dict(self.options))
            named = [f.name for f in fields(own) if f.type == Layers]
            backbone = getattr(self, "backbone", "vgg19")
            found: T = replace(own, **{n: layers_in(backbone, getattr(own, n)) for n in named})
            return found
        except InputError as error:
            raise InputError(f"options of '{name}': {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values, ready for JSON."""
        values = asdict(cast(Any, self))
        pairs = {k: v for k, v in values.items() if k.endswith("options")}
        for key, options in pairs.items():
            values[key] = {k: list(v) if isinstance(v, tuple) else v for k, v in options}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def to_record(self) -> dict[str, Any]:
        """What the key of a run is a hash of."""
        return self.to_dict()

    def usual(self) -> "Settings":
        """The settings to which those of a run are compared where they are shown."""
        return type(self)()

    def changed(self) -> dict[str, Any]:
        """The settings that differ from the usual ones."""
        usual = self.usual().to_dict()
        return {k: v for k, v in self.to_dict().items() if v != usual[k]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; missing keys take the default, unknown ones are an error."""
        if not isinstance(values, Mapping) or not all(isinstance(k, str) for k in values):
            raise InputError(f"settings are a mapping of names to values, not {values!r}")
        return cls(**values)


@checked
class Config(Settings):
    """The settings of one style transfer; ``dataclasses.replace`` makes variants.

    The defaults are the experiment of the paper at 150x225 (its section III-E). What the paper
    leaves out follows the textbook recipe that it builds on, *Dive into Deep Learning*.

    Raises:
        InputError: a value is not allowed; one line names the field, the value and the fault.
    """

    size: Size = (150, 225)
    """Height and width of the result in pixels, or its longer side alone."""
    fit: Literal["crop", "stretch"] = "crop"
    """How an image of another shape is fitted to the size: cropped at its centre, or stretched."""
    owner = "method"
    method: Annotated[str, AfterValidator(METHODS.check)] = "gatys"
    """How content and style become an objective: a file in stylelab/methods, or one registered."""
    options: Annotated[tuple[tuple[str, Any], ...], BeforeValidator(to_pairs)] = ()
    """The method's own settings, by name; stored as sorted pairs."""
    content_weight: Weight = 1.0
    """Weight of the content loss."""
    style_weight: Weight = 1000.0
    """Weight of the style loss."""
    tv_weight: Weight = 10.0
    """Weight of the total variation loss."""
    weigh: Literal["losses", "gradients"] = "losses"
    """Whether the three weights are factors of the losses, which suit all sizes, or shares of the
    gradient at the start: 30, 70 and 0 then are 70 % style with every network and method."""
    content_layers: Layers = ("relu4_4",)
    """Layers whose features hold the content."""
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "conv5_1")
    """Layers whose Gram matrices hold the style."""
    content_layer_weights: tuple[Weight, ...] = ()
    """Factors of the content layers' losses, in the order of the method's; empty means all 1."""
    style_layer_weights: tuple[Weight, ...] = ()
    """The same for its style layers; 0 leaves a layer out."""
    style_scale: Annotated[float, Field(gt=0, le=8)] = 1.0
    """Size of the style picture relative to the result; below 1 the strokes are finer."""
    colours: Literal["style", "luminance", "statistics"] = "style"
    """Whose colours the result has. style: the style's. The other two keep the content's:
    luminance transfers luminance only, statistics first recolours the style to the content's mean
    and covariance."""
    blend: tuple[Weight, ...] = ()
    """Shares of several style pictures, in their order; empty means equal shares."""
    mask: str = ""
    """Path of a picture: white where the style goes, black where the content stays."""
    style_masks: tuple[str, ...] = ()
    """One such picture for each style picture, instead of shares; '' is what the others leave."""
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    """Number of steps; the paper calls them epochs."""
    scales: Annotated[int, Field(ge=1, le=8)] = 1
    """Number of scales, coarse to fine: each has twice the size of the one before it and half as
    many steps."""
    optimizer: Literal["adam", "lbfgs", "pyramid"] = "adam"
    """What updates the pixels. pyramid is Adam at several resolutions of the image at once. Each
    step evaluates the losses once, with every optimiser."""
    learning_rate: Annotated[float, Field(gt=0, le=1000)] = 0.1
    """Step size, in units of the standardised image (0.1 is about 0.02 of the range 0 to 1)."""
    schedule: Literal["constant", "linear", "triangle"] = "constant"
    """How the step size changes over a scale's steps: linear rises for ten, then falls to 0;
    triangle rises for half of the first scale's, and is linear at the others."""
    decay_every: Annotated[int, Field(ge=0)] = 0
    """The learning rate is multiplied by 0.1 after each so many steps of a scale; 0 means never."""
    stop_below: Annotated[float, Field(ge=0)] = 0.0
    """Stop early, once the weighted total loss is below this value; 0 means never."""
    projected: bool = False
    """Whether the pixels are projected onto [0, 1] after each step. The picture that is optimised
    then is the one that is saved; without it, what lies outside is clipped only at the end."""
    init: str = "content"
    """Initial image: content, noise, style, or the path of a picture."""
    backbone: Literal["vgg19", "vgg16", "resnet50", "convnext_tiny", "squeezenet1_1"] = "vgg19"
    """The network whose features the losses compare. Layers of VGG-19 stand for its layers of the
    same depth; its own names are in stylelab/layers.py."""
    weights: str = "original"
    """Its weights: original (VGG-19 alone), torchvision, random, or the path of a .pth or
    .safetensors."""
    normalise: Literal["auto", "layer", "filter", "none"] = "auto"
    """Rescale features to a mean activation of two, by layer or by filter. auto is layer, except
    for VGG-19 with torchvision's weights: the paper's loss weights were chosen on their scale, so
    they are left as they are (none)."""
    pooling: Literal["max", "avg"] = "max"
    """Pooling between the blocks of the network."""
    padding: Literal["zeros", "replicate", "reflect"] = "replicate"
    """Padding at the first convolution; zeros leave a visible border. reflect mirrors 16
    pixels around the edges of the image and leaves none; at 300x450 that is a fifth more pixels."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the convolutions; auto is bfloat16 on hardware that has it, else float32."""
    memory: Literal["plain", "low"] = "plain"
    """low stores only some of the feature maps and computes the others a second time for the
    gradient; a step then takes 1.4 to 1.9 times as long."""
    device: Annotated[str, AfterValidator(check_device)] = "auto"
    """Device: auto, cpu, cuda, cuda:N or mps."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the noise image and of random weights."""

    def __post_init__(self) -> None:
        layered = {"content_layers": self.content_weight, "style_layers": self.style_weight}
        for name, weight in layered.items():
            if weight and not getattr(self, name):
                raise InputError(f"{name} is empty: name a layer or set its loss weight to 0")
            object.__setattr__(self, name, layers_in(self.backbone, getattr(self, name)))
        if self.backbone != "vgg19" and self.weights == "original":
            raise InputError(
                f"weights='original' are VGG-19's alone; with backbone='{self.backbone}' set "
                "weights='torchvision', 'random' or the path of a .pth or .safetensors file"
            )
        if not any((self.content_weight, self.style_weight, self.tv_weight)):
            raise InputError("all loss weights are 0: set one of them above 0")
        if self.schedule != "constant" and self.decay_every:
            raise InputError("decay_every needs schedule='constant': set only one of the two")
        if self.projected and self.optimizer == "lbfgs":
            raise InputError("projected needs optimizer='adam' or 'pyramid', not lbfgs")
        if not self.init or not self.weights:
            raise InputError("init and weights may not be empty")
        if self.blend and not any(self.blend):
            raise InputError("all shares of blend are 0: set one of them above 0")
        if self.options:  # converted to the method's types, so that 1 and 1.0 are the same value
            own = self.method_options
            given = tuple((name, getattr(own, name)) for name, _ in self.options)
            object.__setattr__(self, "options", given)

    @property
    def method_options(self) -> Any:
        """The method's own settings, with their defaults: an instance of its ``Options``."""
        return self.options_as(METHODS.load(self.method).Options)

    def to_record(self) -> dict[str, Any]:
        """`to_dict`, without settings later than version 0.1 that are at their defaults.

        The keys of runs are hashes of it, so that a run of an earlier version keeps its key.
        """
        usual = {f.name: f.default for f in fields(self)}
        values = self.to_dict().items()
        return {k: v for k, v in values if k not in LATER or getattr(self, k) != usual[k]}

    def preparation_key(self) -> tuple[Any, ...]:
        """A key of all settings, except size, that the network, targets and pictures depend on.

        Runs that differ only in loop settings or loss weights share one cache entry.
        """
        left_out = {"size", *LOOP_SETTINGS, *LOSS_WEIGHTS}
        if self.weights != "random":
            left_out.add("seed")
        return tuple(getattr(self, f.name) for f in fields(self) if f.name not in left_out)
