"""Keeping the content's colours, after Gatys et al. 2017, "Controlling perceptual factors".

Pure functions on images (1, 3, H, W) in [0, 1].
"""

import torch
from torch import Tensor

YIQ = (0.299, 0.587, 0.114)  # the luminance of that colour space, in which the paper works


def luminance(image: Tensor) -> Tensor:
    """The luminance Y of YIQ, (1, 1, H, W).

    >>> import torch
    >>> luminance(torch.tensor([1.0, 0.0, 0.0])[None, :, None, None]).item()
    0.29899999499320984
    """
    return (image * image.new_tensor(YIQ)[:, None, None]).sum(1, keepdim=True)


def with_luminance(image: Tensor, grey: Tensor) -> Tensor:
    """The image with its own chroma I and Q, and the luminance ``grey`` (1, 1, H, W); not clipped.

    Y has the factor one in each of R, G and B, so that a change of it is the same in all three.
    """
    return image + (grey - luminance(image))


def match_luminance(style: Tensor, content: Tensor) -> Tensor:
    """The style's luminance with the content's mean and deviation, in three channels.

    L' = s_C / s_S (L_S - m_S) + m_C.
    """
    grey, reference = luminance(style), luminance(content)
    ratio = reference.std() / grey.std().clamp_min(1e-6)
    return (ratio * (grey - grey.mean()) + reference.mean()).expand(-1, 3, -1, -1)


def match_statistics(style: Tensor, content: Tensor) -> Tensor:
    """The style recoloured to the content's mean and covariance; not clipped.

    x' = A x + b with A = S_C^(1/2) S_S^(-1/2), by symmetric roots, and b = m_C - A m_S.
    """
    (mean_s, root_s), (mean_c, root_c) = _moments(style), _moments(content)
    change = root_c @ torch.linalg.inv(root_s)
    pixels = style[0].flatten(1).double() - mean_s  # (3, H*W)
    changed: Tensor = change @ pixels + mean_c
    return changed.view_as(style).to(style.dtype)


def _moments(image: Tensor) -> tuple[Tensor, Tensor]:
    """The mean colour (3, 1) and the root of the covariance (3, 3), in float64."""
    pixels = image[0].flatten(1).double()
    values, vectors = torch.linalg.eigh(pixels.cov(correction=0))
    # A picture of greys has colours on a line: nothing there may be divided by zero.
    values = values.clamp_min(max(1e-4 * float(values[-1]), 1e-9))
    return pixels.mean(1, keepdim=True), vectors @ values.sqrt().diag() @ vectors.mT
