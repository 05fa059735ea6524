"""Attention between feature maps (1, C, H, W): by similarity, and in strokes of several sizes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.maths.patches import CHUNK, style_swap
from stylelab.maths.resizing import resize
from stylelab.maths.statistics import adain, normalize


def attention_rows(queries: Tensor, keys: Tensor, temperature: float = 1.0) -> Tensor:
    """How much each query (C, P) attends to each key (C, Q): (P, Q), rows that sum to one."""
    return (queries.mT @ keys / temperature).softmax(1)


def attention(content: Tensor, style: Tensor, temperature: float = 1.0) -> Tensor:
    """At each position the mean of the style's features, weighted by similarity: (1, C, H, W).

    After SANet (Park and Lee 2019), softmax(f(norm c)^T g(norm s)) over h(s), without the trained
    projections f, g and h; the products are divided by ``temperature``.
    """
    values = style[0].flatten(1).mT  # (h*w, C)
    queries, keys = normalize(content)[0].flatten(1), normalize(style)[0].flatten(1)
    parts = [
        attention_rows(some, keys, temperature) @ values
        for some in torch.split(queries, max(1, CHUNK // len(values)), 1)
    ]
    return torch.cat(parts).mT.reshape(content.shape)


def multi_stroke(content: Tensor, style: Tensor, scales: Sequence[float] = (0.5, 1, 2)) -> Tensor:
    """Style swaps with the style's features at several scales, fused by self-attention.

    After AAMS (Yao et al. 2019): strokes are fine where the content draws attention. Averaging
    many patches lowers the contrast, so each channel is given the style's mean and deviation again.
    """
    swaps = []
    for scale in sorted(scales, reverse=True):  # coarse strokes first
        size = [max(3, round(side * scale)) for side in style.shape[2:]]
        same = size == list(style.shape[2:])
        scaled = style if same else resize(style, size)
        swaps.append(style_swap(content, scaled))
    weights = stroke_weights(saliency(content), len(swaps))
    fused = torch.stack([w * swap for w, swap in zip(weights, swaps, strict=True)]).sum(0)
    return adain(fused, style)


def saliency(features: Tensor) -> Tensor:
    """How much attention a position gets from all others, as its rank from 0 to 1: (1, 1, H, W)."""
    flat = normalize(features)[0].flatten(1)
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
