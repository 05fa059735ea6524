"""The three losses of the paper (section III-D), as pure functions on tensors.

Each returns an unweighted scalar: the mean over the images of the batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 512  # positions: shorter sums have smaller rounding errors, longer ones are faster


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared error between two feature maps (B, C, H, W). Paper, equation of III-D.1."""
    return F.mse_loss(features, target)


def gram_matrix(features: Tensor, mean: Tensor | None = None) -> Tensor:
    """Gram matrix of feature maps: for every two channels, their products summed over positions.

    G[i, j] = sum over p of F[i, p] F[j, p], divided by C*H*W (Johnson et al. 2016; the
    textbook's choice too).

    Args:
        features: (B, C, H, W).
        mean: the features' own, (B, C, 1, 1), to be subtracted first. It takes no gradient: that of
            the products by the mean is a sum of centred features, zero.

    Returns:
        (B, C, C), symmetric and positive semi-definite; float32 if the features have fewer bits.
    """
    _, channels, height, width = features.shape
    # Positions before channels: in channels-last memory this is a view, and so is its gradient.
    f = features.permute(0, 2, 3, 1).flatten(1, 2)  # (B, H*W, C)
    gram: Tensor = _SelfProduct.apply(f, None if mean is None else mean.flatten(1)[:, None])
    return late(gram / (channels * height * width), features)


def late(found: Tensor, features: Tensor) -> Tensor:
    """``found``, whose gradient waits until autograd comes to the ``features`` that it is of.

    Else those of all layers, each as large as its map, wait in memory for the deeper ones'.
    """
    node: Any = found.grad_fn
    source: Any = features.grad_fn
    if node and source and hasattr(node, "_set_sequence_nr"):  # not documented by PyTorch
        node._set_sequence_nr(source._sequence_nr())
    return found


class _SelfProduct(torch.autograd.Function):
    """f.mT @ f for f (B, P, C); backward with one product, not two, and less bfloat16 rounding."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, mean: Tensor | None) -> Tensor:
        ctx.save_for_backward(f, mean)
        f = f if mean is None else f - mean
        if f.dtype != torch.bfloat16:
            return f.mT @ f
        # A bfloat16 product is summed in float32, then rounded to 8 bits. Computed in tiles of
        # positions and added up in float32, the rounding errors average out.
        batch, positions, channels = f.shape
        tiles = positions // TILE
        whole = f[:, : tiles * TILE].reshape(batch, tiles, TILE, channels)
        rest = f[:, tiles * TILE :]
        return (whole.mT @ whole).sum(1, dtype=torch.float32) + rest.mT @ rest

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        f, mean = ctx.saved_tensors
        f = f if mean is None else f - mean
        both = grad + grad.mT
        return f @ both.to(f.dtype), None


def style_loss(features: Tensor, target_gram: Tensor | Sequence[tuple[Tensor, float]]) -> Tensor:
    """Mean squared error between the Gram matrix of ``features`` and its target (paper, III-D).

    Args:
        features: of the image, (B, C, H, W).
        target_gram: the style's `gram_matrix`, (1, C, C) or (B, C, C); for several styles, pairs
            of such a matrix and the style's share.
    """
    gram = gram_matrix(features)
    targets = [(target_gram, 1.0)] if isinstance(target_gram, Tensor) else target_gram
    return by_share([(F.mse_loss(gram, t.expand_as(gram)), share) for t, share in targets])


def by_share(losses: Sequence[tuple[Tensor, float]]) -> Tensor:
    """The sum of the losses of several styles, each multiplied by the style's share."""
    return torch.stack([share * loss for loss, share in losses]).sum()


def total_variation(image: Tensor) -> Tensor:
    """Anisotropic total variation of images (B, C, H, W), from 0 (flat) upwards.

    The paper sums ``|x[i,j] - x[i+1,j]| + |x[i,j] - x[i,j+1]|`` over all pixels. Here, as in
    the textbook, the result is half the sum of the mean vertical and the mean horizontal
    difference, so that it does not depend on the image's size.

    >>> import torch
    >>> total_variation(torch.ones(1, 3, 4, 4))
    tensor(0.)
    """
    down = (image[:, :, 1:, :] - image[:, :, :-1, :]).abs().mean()
    across = (image[:, :, :, 1:] - image[:, :, :, :-1]).abs().mean()
    return 0.5 * (down + across)


def squared_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels in images (B, C, H, W), from 0 (flat) upwards.

    Of the eight neighbours, the two across and the two down count a third each, and the diagonal
    ones a twelfth: to second order no direction counts more than another. One steep step costs
    more than several gentle ones, so that no flat patches come, as `total_variation` makes them.
    """
    x = image
    down = (x[:, :, 1:, :] - x[:, :, :-1, :]).square().mean()
    across = (x[:, :, :, 1:] - x[:, :, :, :-1]).square().mean()
    falling = (x[:, :, 1:, 1:] - x[:, :, :-1, :-1]).square().mean()
    rising = (x[:, :, 1:, :-1] - x[:, :, :-1, 1:]).square().mean()
    return 2 * ((down + across) / 3 + (falling + rising) / 12)
