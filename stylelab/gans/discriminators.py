"""Discriminators that several GANs share, and what a critic pays for its slope."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylelab.images import standardize
from stylelab.networks.blocks import Casting, InstanceNorm
from stylelab.vgg.network import VGG19

DETAIL = 8  # times as large as it is
SEEN = (("relu1_2", 64), ("relu2_2", 128), ("relu3_2", 256))  # layers of VGG-19, their channels


def fine(image: Tensor) -> Tensor:
    """The finest band: an image (B, C, H, W) less its 3x3 mean."""
    return image - F.avg_pool2d(image, 3, 1, 1, count_include_pad=False)


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
        return torch.cat([scores.flatten(1) for scores in self.score(self.read(image))], 1)

    def read(self, image: Tensor) -> list[Tensor]:
        """What a head is given of an image, for each layer: (B, C, h, w), in float32."""
        features = self.encoder(standardize(image))
        return [features[name].float() / 4 for name, _ in SEEN]

    def score(self, features: Sequence[Tensor]) -> list[Tensor]:
        """A score at each position of each layer, (B, 1, h, w)."""
        pairs = zip(self.heads, features, strict=True)
        return [cast(Tensor, head(f)).float() for head, f in pairs]


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


def gradient_penalty(
    critic: nn.Module, real: Tensor, made: Tensor, generator: torch.Generator
) -> Tensor:
    """(|gradient| - 1)^2 of a critic between real and made pictures (Gulrajani et al. 2017).

    Args:
        real, made: (B, C, H, W) each; the critic must treat each example by itself.

    Returns:
        A scalar; 0 where the critic's slope is one.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=generator).to(real)
    between = real.lerp(made, share).detach().requires_grad_()
    means = critic(between).flatten(1).mean(1)  # of a picture's patches, (B,)
    slope = torch.autograd.grad(means.sum(), between, create_graph=True)[0]
    lengths: Tensor = slope.flatten(1).norm(dim=1)
    return (lengths - 1).square().mean()


def feature_penalty(
    critic: FeatureGAN, real: Tensor, made: Tensor, generator: torch.Generator
) -> Tensor:
    """The same for a critic of features: its slope there, of each score by itself.

    The slope by pixels would have to be differentiated through VGG-19.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=generator).to(real)
    with torch.no_grad():
        pairs = zip(critic.read(real), critic.read(made), strict=True)
        between = [a.lerp(b, share) for a, b in pairs]
    for features in between:
        features.requires_grad_()
    total = torch.stack([scores.sum() for scores in critic.score(between)]).sum()
    slopes = torch.autograd.grad(total, between, create_graph=True)
    return torch.stack([(s.float().norm(dim=1) - 1).square().mean() for s in slopes]).mean()
