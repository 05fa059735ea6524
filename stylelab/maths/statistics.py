"""Statistics of feature maps (1, C, H, W), and transforms that carry the style's over."""

import torch
from torch import Tensor

from stylelab.losses import gram_matrix

TINY = 1e-12  # the least variance of a channel
CUT = 1e-5  # eigenvalues below this part of the largest are noise, which whitening would amplify


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over its positions, (1, C, 1, 1) both."""
    mean = features.mean((2, 3), keepdim=True)
    variance = (features - mean).square().mean((2, 3), keepdim=True)
    # The root of zero has no gradient, and some channels never fire.
    return mean, variance.clamp_min(TINY).sqrt()


def normalize(features: Tensor) -> Tensor:
    """Each channel with mean zero and deviation one; a channel that never fires stays zero."""
    mean, deviation = moments(features)
    return (features - mean) / deviation


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Give each channel the style's mean and deviation (Huang and Belongie 2017).

    t = s_s (f_c - m_c) / s_c + m_s.
    """
    mean, deviation = moments(style)
    return deviation * normalize(content) + mean


def whiten(features: Tensor) -> Tensor:
    """Features with mean zero and, as far as they have the rank for it, no covariance (ZCA).

    E D^(-1/2) E^T (f - m), for a covariance of E D E^T; computed in float64.
    """
    _, roots, vectors, centred = _spectrum(features)
    white = vectors @ ((vectors.mT @ centred) / roots[:, None])
    return white.view(features.shape).to(features)


def wct(content: Tensor, style: Tensor) -> Tensor:
    """Give the content's features the style's mean and covariance (Li et al. 2017).

    The content is whitened, then coloured: E D^(1/2) E^T f + m, for the style's covariance
    E D E^T and mean m. Computed in float64.
    """
    mean, roots, vectors, _ = _spectrum(style)
    white = whiten(content.cpu().double())[0].flatten(1)
    coloured = (vectors * roots) @ (vectors.mT @ white) + mean
    return coloured.view(content.shape).to(content)


def _spectrum(features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean (C, 1), roots of the covariance's eigenvalues (R,), their vectors (C, R), f - mean."""
    f = features[0].flatten(1).cpu().double()  # (C, H*W); not every GPU has float64
    mean = f.mean(1, keepdim=True)
    values, vectors = torch.linalg.eigh((f - mean) @ (f - mean).mT / f.shape[1])
    kept = values > CUT * values[-1]
    return mean, values[kept].sqrt(), vectors[:, kept], f - mean


def covariance(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, C) and covariance (B, C, C) of a map's channels over its positions, in float32."""
    mean = features.mean((2, 3), keepdim=True)
    return mean.flatten(1).float(), gram_matrix(features - mean) * features.shape[1]


def root(matrix: Tensor) -> Tensor:
    """The root M^(1/2) of a symmetric positive semi-definite matrix (1, C, C)."""
    values, vectors = torch.linalg.eigh(_with_eigenvalues(matrix))
    found: Tensor = vectors * values.clamp_min(0).sqrt()[:, None] @ vectors.mT
    return found.to(matrix.device)


def trace_of_root(matrices: Tensor) -> Tensor:
    """tr(M^(1/2)) of symmetric positive semi-definite matrices (B, C, C): (B,).

    The sum of the roots of the eigenvalues, whose gradient, M^(-1/2) / 2, needs no second product.
    Rounding makes some of the smallest negative; they count as zero.
    """
    values = torch.linalg.eigvalsh(_with_eigenvalues(matrices))
    smallest = torch.finfo(values.dtype).eps * values.detach().amax(1, keepdim=True)
    return (
        torch.where(values > smallest, values.clamp_min(1e-30).sqrt(), 0).sum(1).to(matrices.device)
    )


def _with_eigenvalues(matrices: Tensor) -> Tensor:
    return matrices.cpu() if matrices.device.type == "mps" else matrices  # which has none
