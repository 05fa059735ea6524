"""Feature transforms: pure functions that give the content's features (1, C, H, W) a style.

Each takes the style's features (1, C, h, w), of any size. They work in the features' own dtype.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.errors import InputError

CUT = 1e-5  # eigenvalues below this part of the largest are noise, which whitening would amplify
CHUNK = 2**24  # products held at a time: 64 MB in float32


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over its positions, (1, C, 1, 1) both."""
    mean = features.mean((2, 3), keepdim=True)
    return mean, (features - mean).square().mean((2, 3), keepdim=True).sqrt()


def normalise(features: Tensor) -> Tensor:
    """Each channel with mean zero and deviation one; a channel that never fires stays zero."""
    mean, deviation = moments(features)
    return (features - mean) / deviation.clamp_min(1e-6)


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Give each channel the style's mean and deviation (Huang and Belongie 2017).

    t = s_s (f_c - m_c) / s_c + m_s.
    """
    mean, deviation = moments(style)
    return deviation * normalise(content) + mean


def wct(content: Tensor, style: Tensor) -> Tensor:
    """Give the content's features the style's mean and covariance (Li et al. 2017).

    With S = E D E^T, whitening is E_c D_c^(-1/2) E_c^T (f_c - m_c), and colouring
    E_s D_s^(1/2) E_s^T of that, plus m_s. Computed in float64.
    """
    _, roots_c, vectors_c, centred = _spectrum(content)
    mean_s, roots_s, vectors_s, _ = _spectrum(style)
    white = vectors_c @ ((vectors_c.mT @ centred) / roots_c[:, None])
    coloured = (vectors_s * roots_s) @ (vectors_s.mT @ white) + mean_s
    return coloured.view(content.shape).to(content)


def _spectrum(features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean (C, 1), roots of the covariance's eigenvalues (R,), their vectors (C, R), f - mean."""
    f = features[0].flatten(1).cpu().double()  # (C, H*W); not every GPU has float64
    mean = f.mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh((f - mean) @ (f - mean).mT / f.shape[1])
    kept = values > CUT * values[-1]
    return mean, values[kept].sqrt(), vectors[:, kept], f - mean


def attention_rows(queries: Tensor, keys: Tensor, temperature: float = 1.0) -> Tensor:
    """How much each query (C, P) heeds each key (C, Q): (P, Q), rows that sum to one."""
    return (queries.mT @ keys / temperature).softmax(1)


def attention(content: Tensor, style: Tensor, temperature: float = 1.0) -> Tensor:
    """At each position the mean of the style's features, weighted by likeness.

    After SANet (Park and Lee 2019), softmax(f(norm c)^T g(norm s)) over h(s), without the trained
    projections f, g and h; the products are divided by ``temperature``.
    """
    values = style[0].flatten(1).mT  # (h*w, C)
    queries, keys = normalise(content)[0].flatten(1), normalise(style)[0].flatten(1)
    parts = [
        attention_rows(some, keys, temperature) @ values
        for some in torch.split(queries, max(1, CHUNK // len(values)), 1)
    ]
    return torch.cat(parts).mT.reshape(content.shape)


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
    """Lay patches (P, 9*C) where those of a map of ``shape`` (1, C, H, W) lie.

    Returns:
        Their mean at each position (1, C, H, W), and how many lie there (1, 1, H, W).
    """
    _, channels, height, width = shape
    places = patch_places(height, width, stride).to(patches.device)
    total = patches.new_zeros(height * width, channels)
    count = patches.new_zeros(height * width, 1)
    for k, part in enumerate(patches.view(len(patches), 9, channels).unbind(1)):
        total[places[:, k]] += part  # a place stands once in a column, so nothing is lost
        count[places[:, k]] += 1
    mean = (total / count.clamp_min(1)).mT.reshape(1, channels, height, width)
    return mean, count.view(1, 1, height, width)


def style_swap(content: Tensor, style: Tensor) -> Tensor:
    """Replace each 3x3 patch by the style's most alike, the mean where they overlap.

    After Chen and Schmidt 2016; alike are normalised features, so that a dark picture finds its
    patches in a bright one (Sheng et al. 2018 whiten for that).
    """
    index, _ = match(read_patches(normalise(content)), read_patches(normalise(style)))
    return lay(read_patches(style)[index], content.shape)[0]


def multi_stroke(content: Tensor, style: Tensor, scales: Sequence[float] = (0.5, 1, 2)) -> Tensor:
    """Style swaps with the style's features at several scales, fused by self-attention.

    After AAMS (Yao et al. 2019): where the content draws attention the strokes are fine. Means of
    many patches are pale, so that each channel gets the style's mean and deviation back.
    """
    swaps = []
    for scale in sorted(scales, reverse=True):  # coarse strokes first
        size = [max(3, round(side * scale)) for side in style.shape[2:]]
        same = size == list(style.shape[2:])
        scaled = style if same else F.interpolate(style, size, mode="bilinear", antialias=True)
        swaps.append(style_swap(content, scaled))
    weights = stroke_weights(saliency(content), len(swaps))
    fused = torch.stack([w * swap for w, swap in zip(weights, swaps, strict=True)]).sum(0)
    return adain(fused, style)


def saliency(features: Tensor) -> Tensor:
    """How much attention a position gets from all others, as its rank from 0 to 1: (1, 1, H, W)."""
    flat = normalise(features)[0].flatten(1)
    scale = len(flat) ** 0.5
    rows = max(1, CHUNK // flat.shape[1])
    received = torch.stack(
        [(part.mT @ flat / scale).softmax(1).sum(0) for part in torch.split(flat, rows, 1)]
    ).sum(0)
    got = received.view(1, 1, *features.shape[2:])
    smooth = F.avg_pool2d(got, 3, 1, 1, count_include_pad=False)
    ranks = smooth.flatten().argsort().argsort().to(features.dtype)
    return (ranks / max(1, len(ranks) - 1)).view_as(got)


def stroke_weights(salience: Tensor, count: int) -> Tensor:
    """Shares of strokes at each position, coarse to fine: (count, 1, 1, H, W), with sum one."""
    centres = (torch.arange(count, device=salience.device, dtype=salience.dtype) + 0.5) / count
    distance = (salience - centres.view(-1, 1, 1, 1, 1)) * count
    return (-2 * distance.square()).softmax(0)
