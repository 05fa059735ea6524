"""Generators that several GANs share."""

from itertools import pairwise
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylelab.networks.blocks import (
    Casting,
    Grain,
    InstanceNorm,
    check_image,
    clipped,
    convolution,
)

Enlarge = Literal["nearest", "transposed"]
AddsTo = Literal["means", "picture", "nothing"]
COARSE = 4  # pixels a side, whose means the picture is where strokes are added to them
REACH = 0.4  # how far a stroke may be from them
CALM = 0.75  # of that when it paints: in training, discriminators drive the contrast too far
# Colours of 0.01 and 0.99 are as far as a logit goes; black and white would be infinite.
EDGE = 0.01


def logit(image: Tensor) -> Tensor:
    """Values in [0, 1] before the sigmoid that gives them, about."""
    return (image * (1 - 2 * EDGE) + EDGE).logit()


def means(image: Tensor) -> Tensor:
    """The means of 4x4 pixels of an image (B, C, H, W), at its size, with ramps between them."""
    height, width = image.shape[2:]
    padded = F.pad(image, (0, -width % COARSE, 0, -height % COARSE), mode="reflect")
    coarse = F.avg_pool2d(padded, COARSE)
    enlarged = F.interpolate(coarse, scale_factor=float(COARSE), mode="bilinear")
    return enlarged[:, :, :height, :width]


def painted(image: Tensor, strokes: Tensor, training: bool) -> Tensor:
    """The means of an image with strokes added, which are limited; (B, 3, H, W) all."""
    reach = REACH if training else CALM * REACH
    return clipped(means(image) + reach * strokes.tanh())


class ResNet(Casting):
    """From image to image: c7s1-w, d2w, d4w, R4w..., u2w, uw, c7s1-3 (Zhu et al. 2017).

    Args:
        width, blocks: channels at full size, and residual blocks at a quarter of it.
        enlarge: "transposed" convolutions, as published, or repeated pixels before a convolution,
            which paint no checkerboards (Odena, Dumoulin and Olah 2016).
        adds_to: the "means" of 4x4 pixels, so that it has to paint all that is finer by itself; the
            "picture", before a last sigmoid, and so it begins as the identity; or "nothing", as
            published, with a tanh.
        grain: whether it is given noise beside the image; published: no.
    """

    def __init__(
        self,
        width: int,
        blocks: int,
        enlarge: Enlarge = "nearest",
        adds_to: AddsTo = "means",
        grain: bool = True,
    ) -> None:
        super().__init__()
        self.adds_to = adds_to
        self.grain = Grain() if grain else None
        widths, parts = (width, 2 * width, 4 * width), []
        parts += [convolution(4 if grain else 3, width, 7), InstanceNorm(width), nn.ReLU()]
        for into, out in pairwise(widths):
            parts += [nn.Conv2d(into, out, 3, 2, 1), InstanceNorm(out), nn.ReLU()]
        parts += [Residual(4 * width) for _ in range(blocks)]
        for into, out in ((4 * width, 2 * width), (2 * width, width)):
            if enlarge == "transposed":
                parts.append(nn.ConvTranspose2d(into, out, 3, 2, 1, 1))
            else:
                parts += [nn.Upsample(scale_factor=2), convolution(into, out)]
            parts += [InstanceNorm(out), nn.ReLU()]
        self.body = nn.Sequential(*parts, convolution(width, 3, 7))
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], of the same size."""
        check_image(image)
        height, width = image.shape[2:]
        x = 2 * image - 1
        if self.grain is not None:
            x = torch.cat([x, self.grain(image)], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        x = F.pad(x, (0, -width % 4, 0, -height % 4), mode="reflect")
        x = cast(Tensor, self.body(x)).float()[:, :, :height, :width]
        if self.adds_to == "nothing":
            return (x.tanh() + 1) / 2
        if self.adds_to == "picture":
            return (x + logit(image)).sigmoid()
        return painted(image, x, self.training)


class Residual(nn.Module):
    """Two convolutions whose result is added to what they were given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(channels, channels),
            InstanceNorm(channels),
            nn.ReLU(),
            convolution(channels, channels),
            InstanceNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.body(x))


class UNet(Casting):
    """Down to small maps and up again, with a bridge at each size (Isola et al. 2017).

    Args:
        into, out: channels of what it is given and of its result, which is not limited in range.
        widths: channels at half the size, at a quarter and so on.
        norm: whether to normalise each instance; its first and last convolution never are.
    """

    def __init__(
        self, into: int, out: int, widths: tuple[int, ...] = (16, 32, 64, 128), norm: bool = True
    ) -> None:
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        before = (into, *widths)
        for i, (a, b) in enumerate(zip(before[:-1], widths, strict=True)):
            plain = i == 0 or not norm
            self.down.append(
                nn.Sequential(
                    nn.Conv2d(a, b, 4, 2, 1, padding_mode="reflect"),
                    nn.Identity() if plain else InstanceNorm(b),
                )
            )
        for i in range(len(widths) - 1, 0, -1):
            a, b = widths[i] * (1 if i == len(widths) - 1 else 2), widths[i - 1]
            self.up.append(
                nn.Sequential(convolution(a, b), InstanceNorm(b) if norm else nn.Identity())
            )
        self.last = nn.Sequential(
            convolution(2 * widths[0], widths[0]), nn.LeakyReLU(0.2), convolution(widths[0], out)
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, into, H, W) to (B, out, H, W), for any size of at least `SMALLEST`."""
        height, width = x.shape[2:]
        part = 2 ** len(self.down)
        x = F.pad(x, (0, -width % part, 0, -height % part), mode="replicate")
        x = x.contiguous(memory_format=torch.channels_last)
        maps: list[Tensor] = []
        for stage in self.down:
            x = stage(F.leaky_relu(x, 0.2) if maps else x)
            maps.append(x)
        x = maps.pop()
        for stage in self.up:
            x = stage(F.interpolate(F.relu(x), scale_factor=2.0, mode="nearest"))
            x = torch.cat([x, maps.pop()], 1)
        x = self.last(F.interpolate(F.relu(x), scale_factor=2.0, mode="nearest"))
        return x.float()[:, :, :height, :width]
