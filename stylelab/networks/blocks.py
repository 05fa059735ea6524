"""What the networks are made of: a generator, a decoder, and what each of them is and is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from stylelab.config import SMALLEST, checked
from stylelab.controls import weighted
from stylelab.errors import InputError
from stylelab.images import standardize
from stylelab.objectives import Objective, read_layers
from stylelab.recipes import Recipe
from stylelab.registry import METHODS
from stylelab.vgg.network import VGG19

Pictures: TypeAlias = Sequence[tuple[Tensor, float]]
"""Style pictures (1, 3, h, w) in [0, 1], each with its share; the shares sum to one."""


TILE = 256  # pixels, the side of the noise
CONTRAST = 0.25  # about the deviation of a picture's values


@dataclass(frozen=True)
class Batch:
    """What a training step is given."""

    contents: Tensor
    """Crops of photographs, (B, 3, crop, crop) in [0, 1]."""
    styles: Tensor
    """Crops of style pictures, of the same shape; empty unless the network takes any style."""
    progress: float
    """The share of the steps that are done."""
    generator: torch.Generator
    """For whatever is drawn at random in this step."""


class Casting(nn.Module):
    """A module that can convolve in bfloat16; its parameters and results stay float32."""

    reduced = False

    @property
    def device(self) -> torch.device:
        """Where its parameters are; the CPU, if it has none."""
        return next(self.parameters(), torch.empty(0)).device

    def __call__(self, *args: Any, **named: Any) -> Any:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.reduced):
            return super().__call__(*args, **named)


class Network(Casting):
    """A network that paints images (B, 3, H, W) in [0, 1]; the result has their size and range.

    ``network(image, style, strength)``: what ``style`` may be depends on the network; ``strength``
    from 0 to 1 is how far the style goes.
    """

    kind = "one"
    """The ``STYLES`` of its module: what its ``style`` is."""
    names: list[str]
    """Of its styles, if it is of kind "many"."""

    def learnt(self) -> dict[str, Tensor]:
        """The tensors that training changes: all but those of an encoder, by name."""
        state = self.state_dict().items()
        return {name: value for name, value in state if not name.startswith("encoder")}

    def memory(self) -> dict[str, Tensor]:
        """What else training changes, such as running means: part of a training's state."""
        own = {k: v for k, v in self.named_buffers() if not k.startswith("encoder")}
        return {name: value.detach().cpu().clone() for name, value in own.items()}

    def compute_in(self, dtype: torch.dtype) -> None:
        """Compute convolutions in float32 or in bfloat16."""
        for module in self.modules():
            if isinstance(module, Casting):
                module.reduced = dtype == torch.bfloat16
        for name, module in [*self.named_modules()]:
            if isinstance(module, VGG19) and next(module.parameters()).dtype != dtype:
                # Built anew, because a rounded weight stays rounded.
                parent, _, key = name.rpartition(".")
                padding: Any = "reflect" if module.mirrored else "replicate"
                built = VGG19(module.layers, padding=padding).to(self.device, dtype)
                setattr(self.get_submodule(parent), key, built)


def style_objectives(styles: Sequence[Tensor], model: VGG19, recipe: Recipe) -> list[Objective]:
    """For each style picture, (1, 3, h, w) in [0, 1], the objective of the recipe's method."""
    method, config = METHODS.load(recipe.method), recipe.objective
    return [
        weighted(method.objective([(standardize(style), 1.0)], model, config), config)
        for style in styles
    ]


def method_layers(recipe: Recipe) -> tuple[str, ...]:
    """The layers that the recipe's method reads."""
    found: tuple[str, ...] = METHODS.load(recipe.method).layers(recipe.objective)
    return found


def method_weights(recipe: Recipe) -> dict[str, float]:
    """The loss weights of the recipe's method."""
    found: dict[str, float] = METHODS.load(recipe.method).loss_weights(recipe.objective)
    return found


def read_batch(model: VGG19, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Features of a batch's contents and of its styles at all of the model's layers."""
    contents, styles = (
        read_layers(model, standardize(x), model.layers) for x in (batch.contents, batch.styles)
    )
    return contents, styles


def mixed(image: Tensor, painted: Tensor, strength: float) -> Tensor:
    """Pixels between an image and what a network painted of it."""
    return painted if strength == 1 else image.lerp(painted, strength)


def clipped(image: Tensor) -> Tensor:
    """Clipped to [0, 1], yet with the gradient of the image as it was.

    Training may so bring back a pixel that is outside, for which a clip or a sigmoid has none.
    """
    return image + (image.clamp(0, 1) - image).detach()


def check_image(image: Tensor, least: int = SMALLEST) -> None:
    """Raise InputError unless ``image`` is a batch of RGB images of at least that size."""
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < least:
        raise InputError(
            f"the network takes images (B, 3, H, W) of at least {least}x{least}, "
            f"not {tuple(image.shape)}"
        )


def convolution(
    into: int, out: int, kernel: int = 3, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution that mirrors the image at its border, so that no frame is painted there."""
    return nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=bias, padding_mode="reflect")


class Grain(nn.Module):
    """Noise beside an image: in an even sky a network has nothing else to make strokes of.

    A tile that is repeated. It always begins at the same place, so that all frames of a film are
    given the same noise; in training, at a place that depends on the image.
    """

    tile: Tensor

    def __init__(self) -> None:
        super().__init__()
        tile = torch.randn(1, TILE, TILE, generator=torch.Generator().manual_seed(0))
        self.register_buffer("tile", tile, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Of images (B, C, H, W); (B, 1, H, W) of mean 0 and deviation 1."""
        rows, columns = (torch.arange(n, device=image.device) for n in image.shape[2:])
        shifts = [0] * len(image)
        if self.training:
            means = image.detach().cpu().double().mean((1, 2, 3)).tolist()
            shifts = [int(mean * 1e8) for mean in means]
        found = [
            self.tile[:, (rows + shift) % TILE][:, :, (columns + shift // TILE) % TILE]
            for shift in shifts
        ]
        return torch.stack(found).to(image)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation (Ulyanov et al. 2016) with a scale and a shift for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)


class Layer(nn.Module):
    """A convolution and its normalisation, which may take a condition, such as a style's row."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, norm: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution(into, out, kernel, stride, bias=False)
        self.norm = norm

    def forward(self, x: Tensor, *condition: Tensor) -> Tensor:
        found: Tensor = self.norm(self.convolution(x), *condition)
        return found


@checked
class GeneratorOptions:
    width: Annotated[int, Field(ge=4, le=128)] = 16
    """Channels at full size; published: 32."""
    blocks: Annotated[int, Field(ge=0, le=32)] = 5
    """Residual blocks."""

    def build(
        self, norm: Callable[[int], nn.Module] = InstanceNorm, published: bool = True
    ) -> "Generator":
        """The generator of this size, with the published ratios of channels."""
        w = self.width
        return Generator((w, 2 * w, 4 * w), (2 * w, w), self.blocks, norm, published)


class Generator(Casting):
    """From image to image: c9s1-w, d2w, d4w, R4w..., u2w, uw, c9s1-3 (Johnson et al. 2016).

    Enlarging repeats pixels before a convolution: a transposed one paints checkerboards (Odena,
    Dumoulin and Olah 2016). The last layer is normalised, too.

    Args:
        down: channels at full, half and quarter size, on the way down.
        up: channels at half and full size, on the way up.
        blocks: number of residual blocks, which work at a quarter of the size.
        norm: makes the normalisation of so many channels.
        published: whether it is given the image alone and ends in a sigmoid. Otherwise it is given
            noise, too, and is clipped: a saturated sigmoid has no gradient, so that what becomes
            white in the first steps of a training stays white.
    """

    def __init__(
        self,
        down: tuple[int, int, int],
        up: tuple[int, int],
        blocks: int,
        norm: Callable[[int], nn.Module] = InstanceNorm,
        published: bool = True,
    ) -> None:
        super().__init__()
        a, b, c = down
        self.grain = None if published else Grain()

        def layer(into: int, out: int, kernel: int = 3, stride: int = 1) -> Layer:
            return Layer(into, out, kernel, stride, norm(out))

        self.contract = nn.ModuleList(
            [layer(3 if published else 4, a, 9), layer(a, b, 3, 2), layer(b, c, 3, 2)]
        )
        pairs = [nn.ModuleList([layer(c, c), layer(c, c)]) for _ in range(blocks)]
        self.blocks = nn.ModuleList(pairs)
        self.expand = nn.ModuleList([layer(c, up[0]), layer(*up)])
        self.output = layer(up[1], 3, 9)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor, *condition: Tensor) -> Tensor:
        check_image(image)
        x = image if self.grain is None else torch.cat([image, CONTRAST * self.grain(image)], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        for layer in self.contract:
            x = F.relu(layer(x, *condition))  # (B, C, H/4, W/4) at the end, rounded up
        for pair in self.blocks:
            first, second = cast(nn.ModuleList, pair)
            x = x + second(F.relu(first(x, *condition)), *condition)
        for layer in self.expand:
            x = F.relu(layer(F.interpolate(x, scale_factor=2.0, mode="nearest"), *condition))
        # What rounding up added is at the bottom and at the right.
        x = cast(Tensor, self.output(x, *condition))[:, :, : image.shape[2], : image.shape[3]]
        return x.float().sigmoid() if self.grain is None else clipped(0.5 + CONTRAST * x.float())


def schedule(optimizer: torch.optim.Optimizer, r: Recipe) -> torch.optim.lr_scheduler.LRScheduler:
    """How the step size of a training changes over its steps."""
    if r.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, r.steps)
    if r.schedule == "linear":
        return torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, 2 * (1 - step / r.steps))
        )
    return torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
