"""Statistics of feature maps (1, C, H, W), and transforms that carry the style's over."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from stylelab.losses import gram_matrix, late

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


class Spectrum(NamedTuple):
    """Of a map's covariance, in float64 on the CPU: not every GPU has it."""

    mean: Tensor
    """Of each channel, (C,)."""
    roots: Tensor
    """Of the R largest eigenvalues, (R,); the others are noise."""
    vectors: Tensor
    """(C, R)."""


def spectrum(features: Tensor, cut: float = CUT) -> Spectrum:
    """The spectrum of features (1, C, H, W), without eigenvalues below this part of the largest."""
    f = _positions(features)
    mean = f.mean(0)
    centred = f - mean
    with torch.autocast(f.device.type, enabled=False):
        spread = (centred.mT @ centred).cpu().double() / len(f)
    values, vectors = torch.linalg.eigh(spread)
    kept = values > cut * values[-1]
    return Spectrum(mean.cpu().double(), values[kept].sqrt(), vectors[:, kept])


def whiten(features: Tensor, own: Spectrum | None = None) -> Tensor:
    """Features (1, C, H, W) with mean zero and, as far as their rank goes, unit covariance (ZCA).

    E D^(-1/2) E^T (f - m), for a covariance of E D E^T, whose spectrum may be given.
    """
    mean, roots, vectors = own or spectrum(features)
    return _affine(features, (vectors / roots) @ vectors.mT, mean, torch.zeros_like(mean))


def wct(content: Tensor, style: Tensor | Spectrum, cut: float = CUT) -> Tensor:
    """Give the content's features the mean and covariance of the style's (Li et al. 2017).

    With covariances E D E^T, the content is whitened by E_c D_c^(-1/2) E_c^T, then coloured by
    E_s D_s^(1/2) E_s^T; both are one matrix. ``cut``: as of `spectrum`.
    """
    mean_c, roots_c, vectors_c = spectrum(content, cut)
    mean_s, roots_s, vectors_s = style if isinstance(style, Spectrum) else spectrum(style, cut)
    white = (vectors_c / roots_c) @ vectors_c.mT
    return _affine(content, (vectors_s * roots_s) @ (vectors_s.mT @ white), mean_c, mean_s)


def coloured(
    maps: Tensor, styles: Sequence[Spectrum], shares: Sequence[float], strength: float, cut: float
) -> Tensor:
    """Maps (B, C, H, W) with the covariances of several styles, mixed by shares; see `wct`."""

    def mixed(one: Tensor) -> Tensor:
        pairs = zip(styles, shares, strict=True)
        found = reduce(torch.add, [share * wct(one, style, cut) for style, share in pairs])
        return found if strength == 1 else one.lerp(found, strength)

    found = [mixed(one) for one in torch.split(maps, 1)]
    return found[0] if len(found) == 1 else torch.cat(found)  # which would take a copy


def _positions(features: Tensor) -> Tensor:
    """A map (1, C, H, W) as (H W, C), which copies the least where its channels come last."""
    return features[0].permute(1, 2, 0).flatten(0, 1)


def _affine(features: Tensor, matrix: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """matrix (f - before) + after at each position of a map (1, C, H, W)."""
    shift = (after - matrix @ before).to(features)
    with torch.autocast(features.device.type, enabled=False):
        found = torch.addmm(shift, _positions(features), matrix.mT.to(features))
    return found.view(*features.shape[2:], -1).permute(2, 0, 1)[None]


def covariance(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, C) and covariance (B, C, C) of a map's channels over its positions.

    In float32 where the features have less.
    """
    mean = features.mean((2, 3), keepdim=True)
    found = gram_matrix(features, mean) * features.shape[1]
    return late(mean.flatten(1).to(found.dtype), features), found


def masked_gram(features: Tensor, mask: Tensor) -> Tensor:
    """Gram matrix of the features (B, C, H, W) within a mask (1, 1, H, W) in [0, 1], (B, C, C).

    The products of the masked features carry the mask squared, so they are divided by the mean of
    its square: a region's Gram matrix then depends neither on its area nor on how soft its edge is.
    """
    return gram_matrix(mask.to(features.dtype) * features) / mask.square().mean()


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


class Cloud(NamedTuple):
    """The features of a map as a Gaussian, in float64."""

    mean: Tensor
    """(C,)."""
    factor: Tensor
    """(R, C), whose F^T F is the covariance; R is the less of positions and channels."""
    positions: int

    @classmethod
    def of(cls, features: Tensor) -> "Cloud":
        """That of a map (1, C, H, W)."""
        points = features[0].flatten(1).mT  # (P, C)
        positions, channels = points.shape
        mean = points.mean(0)
        if positions <= channels:
            return cls(mean.double(), (points - mean).double() / positions**0.5, positions)
        cov = covariance(features)[1][0].double()
        least = 1e-6 * cov.diagonal().mean().clamp_min(TINY)  # for channels that never fire
        cov += least * torch.eye(channels).to(cov)
        factor, failed = torch.linalg.cholesky_ex(cov, upper=True)
        if failed:  # rounding to float32 has made some of the smallest eigenvalues negative
            values, vectors = torch.linalg.eigh(cov)
            factor = values.clamp_min(0).sqrt()[:, None] * vectors.mT
        return cls(mean.double(), factor, positions)


def transport(cloud: Cloud, style: Cloud) -> float:
    """What it costs to move one Gaussian to another, over what it costs to move that to zero.

    (|m - m_s|^2 + tr(C + C_s - 2 (C_s^(1/2) C C_s^(1/2))^(1/2))) / (|m_s|^2 + tr C_s); with factors
    C = F^T F the trace of the root is the sum of the singular values of F_s F^T.
    """
    size = style.mean.square().sum() + style.factor.square().sum()
    return float(cost(cloud, style) / size.clamp_min(TINY))


def cost(cloud: Cloud, style: Cloud) -> Tensor:
    """Squared Wasserstein-2 distance of two Gaussians, the numerator of `transport`."""
    crossed = torch.linalg.svdvals(style.factor @ cloud.factor.mT).sum()
    spreads = cloud.factor.square().sum() + style.factor.square().sum() - 2 * crossed
    shift: Tensor = (cloud.mean - style.mean).square().sum()
    found: Tensor = shift + spreads.clamp_min(0)
    return found


def divergence(cloud: Cloud, style: Cloud, most: int) -> float:
    """Kullback-Leibler divergence of one Gaussian from another, on the latter's main components.

    (tr(D^-1 C) + d^T D^-1 d - k + log det D - log det C) / 2, on ``most`` of them or fewer. A
    thousandth of the mean variance is added to both covariances, which may have no extent.
    """
    k = max(1, min(most, style.positions // 8, cloud.positions // 8, len(style.factor)))
    _, roots, vectors = torch.linalg.svd(style.factor, full_matrices=False)
    main = roots[:k].square()
    ridge = 1e-3 * main.mean().clamp_min(TINY)
    axes = vectors[:k].mT  # (C, k)
    seen = cloud.factor @ axes
    cov = seen.mT @ seen + ridge * torch.eye(k).to(main)
    main = main + ridge
    shift = (cloud.mean - style.mean) @ axes
    terms = (cov.diagonal() + shift.square()) / main - 1 + main.log()
    return float((terms.sum() - torch.logdet(cov)) / 2)
