"""Exposure fusion (Mertens, Kautz and Van Reeth 2007): one picture of a bracket of exposures."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.errors import InputError
from stylelab.maths.colours import luminance

BEST, WIDTH = 0.5, 0.2  # the best exposed value, and the deviation of the bell around it

LEAST = 1e-6  # of a weight: grey pixels have no saturation but rounding, and are then averaged


def fuse(bracket: Tensor) -> Tensor:
    """One picture in which each part comes from the exposures that show it best.

    Weights by contrast, saturation and being well exposed, all with exponent one, blend the
    Laplacian pyramids of the exposures.

    Args:
        bracket: exposures of one scene, (N, 3, H, W) in [0, 1].

    Returns:
        (1, 3, H, W) in [0, 1].

    Raises:
        InputError: another shape.

    >>> import torch
    >>> grey = torch.full((3, 3, 8, 8), 0.25)
    >>> bool(torch.allclose(fuse(grey), grey[:1]))
    True
    """
    if bracket.ndim != 4 or bracket.shape[1] != 3 or min(bracket.shape[2:]) < 4:
        raise InputError(
            f"a bracket is (N, 3, H, W) of at least 4x4 pixels, not {tuple(bracket.shape)}"
        )
    shares = weights(bracket)
    levels = int(math.log2(min(bracket.shape[2:])))
    found: list[Tensor] = []
    image = bracket
    for _ in range(levels):
        smaller = down(image)
        band = image - up(smaller, (image.shape[2], image.shape[3]))
        found.append((shares * band).sum(0, keepdim=True))
        image, shares = smaller, down(shares)
    result = (shares * image).sum(0, keepdim=True)
    for band in reversed(found):
        result = band + up(result, (band.shape[2], band.shape[3]))
    return result.clamp(0, 1)


def weights(bracket: Tensor) -> Tensor:
    """How much of each exposure, (N, 1, H, W); they sum to one at each pixel."""
    grey = luminance(bracket)
    kernel = bracket.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    contrast = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="reflect"), kernel).abs()
    saturation = (bracket - bracket.mean(1, keepdim=True)).square().sum(1, keepdim=True).sqrt()
    exposed = (-(bracket - BEST).square() / (2 * WIDTH**2)).exp().prod(1, keepdim=True)
    found = contrast * saturation * exposed + LEAST
    return found / found.sum(0, keepdim=True)


def _blur(image: Tensor, stride: int) -> Tensor:
    """The binomial kernel of five, without padding."""
    row = image.new_tensor([1, 4, 6, 4, 1]) / 16
    channels = image.shape[1]
    kernel = torch.outer(row, row).expand(channels, 1, 5, 5)
    return F.conv2d(image, kernel, stride=stride, groups=channels)


def down(image: Tensor) -> Tensor:
    """Half the size, rounded up (Burt and Adelson 1983)."""
    height, width = (-(-n // 2) for n in image.shape[2:])
    for axis in (3, 2):  # a side of two pixels has too few to mirror two of them
        if image.shape[axis] < 3:
            image = torch.cat([image, image.narrow(axis, 0, 1)], axis)
    return _blur(F.pad(image, (2, 2, 2, 2), mode="reflect"), 2)[:, :, :height, :width]


def up(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Twice the size, (height, width), one less where that is odd (Burt and Adelson 1983)."""
    mirrored = torch.cat([image[:, :, 1:2] if image.shape[2] > 1 else image, image], 2)
    mirrored = torch.cat([mirrored[:, :, :, 1:2] if image.shape[3] > 1 else mirrored, mirrored], 3)
    padded = F.pad(mirrored, (0, 1, 0, 1), mode="replicate")
    height, width = padded.shape[2:]
    spaced = padded.new_zeros(*padded.shape[:2], 2 * height, 2 * width)
    spaced[:, :, ::2, ::2] = padded
    return 4 * _blur(spaced, 1)[:, :, : size[0], : size[1]]
