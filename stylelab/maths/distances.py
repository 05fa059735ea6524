"""Distances between the features of a picture and those of a style: what "the same style" can mean.

`DISTANCES` has them by name. Each reads the features of the style once, (1, C, h, w), and returns a
function from those of pictures, (B, C, H, W), to their distance: a scalar, the mean over the batch,
zero where the features are the style's. They are relative to the size of what is compared, so that
they mean the same at each layer, of each network, at each scale of its features.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.losses import gram_matrix
from stylelab.maths.patches import CHUNK, lay, match, read_patches
from stylelab.maths.statistics import covariance, moments, root, trace_of_root

Distance: TypeAlias = Callable[[Tensor], Tensor]

RIDGE = 1e-3  # of the mean variance
STRIDE = 2  # between two patches
MOST = 1024  # positions of a style that others are compared with, spread evenly over it
TINY = 1e-12


def gram_distance(style: Tensor) -> Distance:
    """Squared error of Gram matrices, over that of none: |G - A|^2 / |A|^2 (Gatys et al. 2015)."""
    target = gram_matrix(style)
    size = target.square().mean()
    return lambda f: (gram_matrix(f) - target).square().mean() / size


def moments_distance(style: Tensor) -> Distance:
    """Means and deviations of the channels (Li et al. 2017, "Demystifying neural style transfer").

    (|m - m_s|^2 + |s - s_s|^2) / (|m_s|^2 + |s_s|^2).
    """
    mean, deviation = moments(style)
    size = (mean.square() + deviation.square()).mean()

    def distance(f: Tensor) -> Tensor:
        found = moments(f)
        errors = (found[0] - mean).square() + (found[1] - deviation).square()
        return errors.mean() / size

    return distance


def sorted_distance(style: Tensor) -> Distance:
    """Whole distributions, channel by channel: sorted values against the style's sorted values.

    |sort(f) - sort(f_s)|^2 / |f_s|^2. Exact feature distribution matching (Zhang et al. 2022) moves
    features so; as a loss it is the squared Wasserstein-2 distance of each channel. A style of
    another size is read at as many quantiles as the picture has positions.
    """
    ordered = style.flatten(2).sort(2).values  # (1, C, h*w)
    size = ordered.square().mean()

    def distance(f: Tensor) -> Tensor:
        found = f.flatten(2).sort(2).values
        wanted = F.interpolate(ordered, found.shape[2], mode="linear")
        return (found - wanted).square().mean() / size

    return distance


class Gaussian:
    """The normal distribution with the mean and the covariance of a style's features (1, C, h, w).

    A ridge, a thousandth of the mean variance, is added to every covariance: the gradient of a root
    has no bound where a covariance has no extent. Equal features still have the distance zero.
    """

    def __init__(self, features: Tensor) -> None:
        self.mean, cov = covariance(features)
        self.ridge = RIDGE * cov.diagonal(dim1=1, dim2=2).mean() * torch.eye(cov.shape[1]).to(cov)
        self.cov = cov + self.ridge
        self.root = root(self.cov)

    def distance(self, mean: Tensor, cov: Tensor) -> Tensor:
        """Squared Wasserstein-2 distance to normal distributions, a channel; mean over the batch.

        (|m - m_s|^2 + tr(C + C_s - 2 (C_s^(1/2) C C_s^(1/2))^(1/2))) / C

        Args:
            mean: (B, C).
            cov: (B, C, C).
        """
        cov = cov + self.ridge
        traces = (cov + self.cov).diagonal(dim1=1, dim2=2).sum(1)
        traces = traces - 2 * trace_of_root(self.root @ cov @ self.root)
        return ((mean - self.mean).square().sum(1) + traces).mean() / mean.shape[1]


def wasserstein_distance(style: Tensor) -> Distance:
    """Means and covariances by the cost of moving one Gaussian to the other, over the style's size.

    The size is (|m_s|^2 + tr C_s) / C, what it costs to move the style to zero.
    """
    target = Gaussian(style)
    size = style.square().mean()
    return lambda f: target.distance(*covariance(f)) / size


def patch_loss(features: Tensor, style_patches: Tensor, stride: int = 1) -> Tensor:
    """Mean squared distance of each 3x3 patch of a map (1, C, H, W) to its match (equation 2).

    The matches are found at each call and carry no gradient: the loss depends on the image alone,
    and not on how often it was computed. ``style_patches`` is (Q, 9*C).
    """
    with torch.no_grad():
        index, _ = match(read_patches(features, stride), style_patches)
        matched = style_patches[index]  # (P, 9*C)
        mean, count = lay(matched, features.shape, stride)
        # The squared distance of a position to the matches that cover it is that to their mean plus
        # the matches' own variance, which does not depend on the image.
        rest = (matched - read_patches(mean, stride)).square().mean()
    # So the sum over patches becomes one over positions, and no patch of the image is copied.
    return (count * (features - mean).square()).sum() / matched.numel() + rest


def patches_distance(style: Tensor) -> Distance:
    """3x3 patches against the style's that are most alike (Li and Wand 2016), over their size."""
    known = read_patches(style, STRIDE)
    size = known.square().mean()
    return lambda f: torch.stack([patch_loss(x[None], known, STRIDE) for x in f]).mean() / size


def transport_distance(style: Tensor) -> Distance:
    """Optimal transport of features, and their moments (STROTSS, Kolkin et al. 2019, section 2.2).

    The relaxed earth mover's distance with the cost 1 - cos, which does not see how long features
    are, plus |m - m_s| / |m_s| + |C - C_s| / |C_s| in absolute values for that. Kolkin et al. take
    hypercolumns of all layers at 1,024 places drawn at each step; here each layer is compared by
    itself, at all places of the picture with up to 1,024 of the style, always the same.
    """
    known = spread(style, MOST)[0]  # (Q, C)
    mean, cov = covariance(style)

    def distance(f: Tensor) -> Tensor:
        moved = torch.stack([relaxed_transport(x.flatten(1).mT, known) for x in f]).mean()
        found_mean, found_cov = covariance(f)
        gap = (found_mean - mean).abs().mean() / mean.abs().mean().clamp_min(TINY)
        return moved + gap + (found_cov - cov).abs().mean() / cov.abs().mean().clamp_min(TINY)

    return distance


def relaxed_transport(points: Tensor, known: Tensor) -> Tensor:
    """The relaxed earth mover's distance of two clouds, (P, C) and (Q, C), from 0 to 2.

    max(mean over i of min over j of c_ij, mean over j of min over i), c_ij = 1 - cos(x_i, y_j):
    each constraint of the transport is dropped in turn, and the better bound is taken.
    """
    least = _shortest(known)
    a, b = _units(points, least), _units(known, least)
    # |a - b|^2 / 2 is 1 - cos, and nothing for two features of zero, which have no direction.
    there, back = a - b[_nearest(a, b)], a[_nearest(b, a)] - b
    return torch.maximum(there.square().sum(1).mean(), back.square().sum(1).mean()) / 2


@torch.no_grad()  # of a minimum, the gradient is that of what is least
def _nearest(points: Tensor, known: Tensor) -> Tensor:
    """For each point (P, C) the index of the one of ``known`` (Q, C) at the least distance."""
    half, rows = known.square().sum(1) / 2, max(1, CHUNK // len(known))
    return torch.cat([(half - x @ known.mT).min(1).indices for x in torch.split(points, rows)])


def _units(points: Tensor, least: float) -> Tensor:
    """Vectors of length one, or less if they are shorter than ``least``: noise has no direction."""
    lengths: Tensor = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
    return points / lengths.clamp_min(least)


def _shortest(points: Tensor) -> float:
    return max(TINY, 1e-3 * float(points.norm(dim=-1).mean()))


def self_similarity(content: Tensor) -> Distance:
    """How the places of a picture differ from each other, as a content (Kolkin et al. 2019, eq. 3).

    The mean over places j of sum over i of |D_ij / sum_i D_ij - D'_ij / sum_i D'_ij|, for distances
    D_ij = 1 - cos between the features at i and j, at up to 1,024 places: 0 to 2. It does not
    change where all features are turned or scaled, so that colours and strokes are free. Contents
    are (B, C, h, w), pictures of the same size.
    """
    points = spread(content, MOST)
    least = _shortest(points)
    target = _columns(points, least)
    return lambda f: (_columns(spread(f, MOST), least) - target).abs().sum(1).mean()


def _columns(points: Tensor, least: float) -> Tensor:
    """Cosine distances between points (B, P, C), each column with a sum of one, (B, P, P)."""
    units = _units(points, least)
    distances = 1 - units @ units.mT
    return distances / distances.sum(1, keepdim=True).clamp_min(1e-6)


def similarity_divergence(points: Tensor, target: Tensor) -> Tensor:
    """Divergence of the self-similarities of two pictures at the same places, (P, C) both: >= 0.

    The mean over places of KL(softmax(T T^T / C) | softmax(X X^T / C)), by rows.
    """
    rows, wanted = ((x @ x.mT / x.shape[1]).log_softmax(1) for x in (points, target))
    return F.kl_div(rows, wanted, reduction="batchmean", log_target=True)


def spread(features: Tensor, most: int) -> Tensor:
    """The features (B, C, H, W) at up to ``most`` places, evenly in reading order: (B, P, C)."""
    points = features.flatten(2).mT
    return points[:, :: -(-points.shape[1] // most)]


DISTANCES: dict[str, Callable[[Tensor], Distance]] = {
    "gram": gram_distance,
    "moments": moments_distance,
    "sorted": sorted_distance,
    "wasserstein": wasserstein_distance,
    "patches": patches_distance,
    "transport": transport_distance,
}
