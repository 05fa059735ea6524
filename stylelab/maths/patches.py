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


def read_patches(
    features: Tensor, stride: int = 1, side: int = 3, index: Tensor | None = None
) -> Tensor:
    """The square patches of a map (1, C, H, W), or those of an index, as rows: (P, side^2 * C)."""
    places = patch_places(features.shape[2], features.shape[3], stride, side).to(features.device)
    chosen = places if index is None else places[index]
    return features[0].flatten(1).mT.contiguous()[chosen].flatten(1)


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
    patches: Tensor,
    shape: Sequence[int],
    stride: int = 1,
    side: int = 3,
    window: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Put patches (P, side^2 * C) back where `read_patches` takes them from a map of ``shape``.

    Args:
        patches: one for each place.
        shape: of the map, (1, C, H, W).
        stride: between places.
        side: of a patch.
        window: weights of a patch's positions, (side^2,); by default 1.

    Returns:
        Their mean at each position (1, C, H, W), and the sum of weights there (1, 1, H, W).
    """
    _, channels, height, width = shape
    places = patch_places(height, width, stride, side).to(patches.device)
    total = patches.new_zeros(height * width, channels)
    count = patches.new_zeros(height * width, 1)
    weights = None if window is None else window.tolist()
    for k, part in enumerate(patches.view(len(patches), side**2, channels).unbind(1)):
        # An index occurs once in a column, so no addition is lost.
        total[places[:, k]] += part if weights is None else weights[k] * part
        count[places[:, k]] += 1 if weights is None else weights[k]
    mean = total / count.clamp_min(torch.finfo(count.dtype).tiny)
    return mean.mT.reshape(1, channels, height, width), count.view(1, 1, height, width)


def style_swap(
    content: Tensor, style: Tensor, stride: int = 1, side: int = 3, coarse: int = 1
) -> Tensor:
    """Replace each patch by the most similar one of the style; overlaps are averaged.

    After Chen and Schmidt 2016. Normalised features are compared, so that a dark picture finds its
    patches in a bright one (Sheng et al. 2018 whiten them instead).

    Args:
        content: features (1, C, H, W).
        style: features (1, C, h, w).
        stride: between patches, in means.
        side: of a patch, in means.
        coarse: means of ``coarse``^2 positions are compared. Patches are copied whole; from 2 on
            they fade towards their edges (a Hann window), because larger ones agree less where
            they overlap.
    """
    own, other = (F.avg_pool2d(normalize(f), coarse, ceil_mode=True) for f in (content, style))
    index, _ = match(read_patches(own, stride, side), read_patches(other, stride, side))
    stride, side = coarse * stride, coarse * side
    fade = torch.hann_window(side + 2, periodic=False)[1:-1]
    window = torch.outer(fade, fade).flatten() if coarse > 1 else None
    patches = read_patches(style, stride, side, index)
    return lay(patches, content.shape, stride, side, window)[0]
