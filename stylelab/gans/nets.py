"""Generators and discriminators that several GANs share."""

from itertools import pairwise
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylelab.images import standardize
from stylelab.networks.blocks import (
    Casting,
    Grain,
    InstanceNorm,
    check_image,
    clipped,
    convolution,
)
from stylelab.vgg.network import VGG19

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


DETAIL = 8  # times as large as it is
SEEN = (("relu1_2", 64), ("relu2_2", 128), ("relu3_2", 256))  # layers of VGG-19, their channels


def fine(image: Tensor) -> Tensor:
    """The finest band: an image (B, C, H, W) less its 3x3 mean."""
    return image - F.avg_pool2d(image, 3, 1, 1, count_include_pad=False)


def means(image: Tensor) -> Tensor:
    """The means of 4x4 pixels of an image (B, C, H, W), at its size, with ramps between them."""
    height, width = image.shape[2:]
    padded = F.pad(image, (0, -width % COARSE, 0, -height % COARSE), mode="reflect")
    coarse = F.avg_pool2d(padded, COARSE)
    enlarged = F.interpolate(coarse, scale_factor=float(COARSE), mode="bilinear")
    return enlarged[:, :, :height, :width]


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
        reach = REACH if self.training else CALM * REACH
        return clipped(means(image) + reach * x.tanh())


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
                nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.Identity() if plain else InstanceNorm(b))
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


class PatchGAN(Casting):
    """Scores of overlapping patches, (B, 1, h, w), not limited in range (Isola et al. 2017).

    With three strides of two a score sees 70x70 pixels, with two 34x34. Beside the picture it is
    given its fine detail, enlarged: strokes are fainter than colours, and would be learnt later.

    Args:
        width: channels of the first convolution.
        strides: how many convolutions halve the size.
        norm: whether to normalise each instance; a critic with a gradient penalty must not.
    """

    def __init__(self, width: int = 32, strides: int = 3, norm: bool = True) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(6, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels = width
        for i in range(1, strides + 1):
            out = min(8 * width, 2 * channels)
            parts.append(nn.Conv2d(channels, out, 4, 2 if i < strides else 1, 1))
            parts += [InstanceNorm(out)] if norm else []
            parts.append(nn.LeakyReLU(0.2))
            channels = out
        self.body = nn.Sequential(*parts, nn.Conv2d(channels, 1, 4, 1, 1))
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.cat([2 * image - 1, DETAIL * fine(image)], 1)
        return cast(Tensor, self.body(x.contiguous(memory_format=torch.channels_last))).float()


class FeatureGAN(Casting):
    """Scores of a picture's features, (B, N), which frozen VGG-19 reads (Sauer et al. 2021).

    It knows strokes and textures from the start, where a PatchGAN has to learn what they are.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.encoder = VGG19([name for name, _ in SEEN])
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, width, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, width, 3, 1, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(width, 1, 1),
            )
            for _, channels in SEEN
        )

    def forward(self, image: Tensor) -> Tensor:
        features = self.encoder(standardize(image))
        found = [
            cast(Tensor, head(features[name] / 4)).float().flatten(1)
            for head, (name, _) in zip(self.heads, SEEN, strict=True)
        ]
        return torch.cat(found, 1)


class PixelGAN(Casting):
    """A score for each pixel by its own values alone, by 1x1 convolutions (Isola et al. 2017)."""

    def __init__(self, into: int, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(into, width, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 1),
        )

    def forward(self, values: Tensor) -> Tensor:
        return cast(Tensor, self.body(values)).float()
