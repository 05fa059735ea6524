"""Feature transforms: pure functions that give the content's features (1, C, H, W) a style.

Each takes the style's features (1, C, h, w), of any size. They work in the features' own dtype.
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.errors import InputError
from stylelab.maths.statistics import normalize

CHUNK = 2**24  # products in memory at a time: 64 MB in float32


def patch_places(height: int, width: int, stride: int = 1, side: int = 3) -> Tensor:
    """Positions y*W + x that each patch of a map covers, (P, side^2); all edges are covered."""
    if min(height, width) < side:
        raise InputError(
            f"a map of {height}x{width} has no {side}x{side} patch; use a larger size or fewer "
            "scales"
        )
    down, across = (
        torch.tensor(sorted({*range(0, n - side + 1, stride), n - side})) for n in (height, width)
    )
    corners = (down[:, None] * width + across).flatten()
    offsets = (torch.arange(side)[:, None] * width + torch.arange(side)).flatten()
    return corners[:, None] + offsets


def read_patches(features: Tensor, stride: int = 1, side: int = 3) -> Tensor:
    """The square patches of a map (1, C, H, W), each as a row: (P, side^2 * C)."""
    height, width = features.shape[2:]
    places = patch_places(height, width, stride, side).to(features.device)
    return features[0].flatten(1).mT.contiguous()[places].flatten(1)


def match(patches: Tensor, style_patches: Tensor) -> tuple[Tensor, Tensor]:
    """For each patch (P, D) the style patch (Q, D) of largest normalised cross-correlation.

    Returns:
        Its index and that correlation, (P,) both (Li and Wand 2016, equation 3).
    """
    directions = F.normalize(style_patches, dim=1).mT
    rows = max(1, CHUNK // directions.shape[1])
    best = [(F.normalize(part, dim=1) @ directions).max(1) for part in torch.split(patches, rows)]
    return torch.cat([b.indices for b in best]), torch.cat([b.values for b in best])


def lay(
    patches: Tensor, shape: Sequence[int], stride: int = 1, side: int = 3
) -> tuple[Tensor, Tensor]:
    """Put patches (P, side^2 * C) back where `read_patches` takes them from a map of ``shape``.

    Returns:
        Their mean at each position (1, C, H, W), and how many overlap there (1, 1, H, W).
    """
    _, channels, height, width = shape
    places = patch_places(height, width, stride, side).to(patches.device)
    total = patches.new_zeros(height * width, channels)
    count = patches.new_zeros(height * width, 1)
    for k, part in enumerate(patches.view(len(patches), side**2, channels).unbind(1)):
        total[places[:, k]] += part  # an index occurs once in a column, so no addition is lost
        count[places[:, k]] += 1
    mean = (total / count.clamp_min(1)).mT.reshape(1, channels, height, width)
    return mean, count.view(1, 1, height, width)


def style_swap(content: Tensor, style: Tensor, stride: int = 1, side: int = 3) -> Tensor:
    """Replace each patch by the most similar one of the style; overlaps are averaged.

    After Chen and Schmidt 2016. Normalised features are compared, so that a dark picture finds its
    patches in a bright one (Sheng et al. 2018 whiten them instead).
    """
    read = partial(read_patches, stride=stride, side=side)
    index, _ = match(read(normalize(content)), read(normalize(style)))
    return lay(read(style)[index], content.shape, stride, side)[0]
