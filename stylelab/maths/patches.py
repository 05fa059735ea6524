"""Feature transforms: pure functions that give the content's features (1, C, H, W) a style.

Each takes the style's features (1, C, h, w), of any size. They work in the features' own dtype.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.errors import InputError
from stylelab.maths.statistics import normalize

CHUNK = 2**24  # products in memory at a time: 64 MB in float32


def patch_places(height: int, width: int, stride: int = 1) -> Tensor:
    """Positions y*W + x that each 3x3 patch of a map covers, (P, 9); all edges are covered."""
    if min(height, width) < 3:
        raise InputError(
            f"a map of {height}x{width} has no 3x3 patch; use a larger size or fewer scales"
        )
    down, across = (
        torch.tensor(sorted({*range(0, side - 2, stride), side - 3})) for side in (height, width)
    )
    corners = (down[:, None] * width + across).flatten()
    offsets = (torch.arange(3)[:, None] * width + torch.arange(3)).flatten()
    return corners[:, None] + offsets


def read_patches(features: Tensor, stride: int = 1) -> Tensor:
    """The 3x3 patches of a map (1, C, H, W), each as a row: (P, 9*C)."""
    height, width = features.shape[2:]
    places = patch_places(height, width, stride).to(features.device)
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


def lay(patches: Tensor, shape: Sequence[int], stride: int = 1) -> tuple[Tensor, Tensor]:
    """Put patches (P, 9*C) back where `read_patches` takes them from a map of ``shape``.

    Returns:
        Their mean at each position (1, C, H, W), and how many overlap there (1, 1, H, W).
    """
    _, channels, height, width = shape
    places = patch_places(height, width, stride).to(patches.device)
    total = patches.new_zeros(height * width, channels)
    count = patches.new_zeros(height * width, 1)
    for k, part in enumerate(patches.view(len(patches), 9, channels).unbind(1)):
        total[places[:, k]] += part  # an index occurs once in a column, so no addition is lost
        count[places[:, k]] += 1
    mean = (total / count.clamp_min(1)).mT.reshape(1, channels, height, width)
    return mean, count.view(1, 1, height, width)


def style_swap(content: Tensor, style: Tensor) -> Tensor:
    """Replace each 3x3 patch by the most similar one of the style; overlaps are averaged.

    After Chen and Schmidt 2016. Normalised features are compared, so that a dark picture finds its
    patches in a bright one (Sheng et al. 2018 whiten them instead).
    """
    index, _ = match(read_patches(normalize(content)), read_patches(normalize(style)))
    return lay(read_patches(style)[index], content.shape)[0]
