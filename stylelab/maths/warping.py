"""Warping by landmarks: piecewise affine over triangles, and similarities from two points.

Landmarks (P, 2) are (down, across) in pixels from the picture's upper left corner, so that the
first pixel's middle is (0.5, 0.5), and a picture of W columns is mirrored by W - across. They may
lie outside the picture.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import Delaunay, QhullError
from torch import Tensor

from stylelab.errors import InputError
from stylelab.maths.resizing import resize

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True)
class Triangles:
    """Triangles over a picture, painted once: which landmarks each pixel lies between."""

    corners: Tensor
    """(H, W, 3) integers: the landmarks of the triangle that a pixel's middle lies in."""
    weights: Tensor
    """(H, W, 3): its barycentric coordinates there, which sum to one."""


def border(size: Size, margin: float = 0.0) -> Tensor:
    """Eight points around a picture, (8, 2): its corners and the middles of its edges.

    Args:
        margin: how far outside of the picture they lie, in pixels.
    """
    rows, columns = (torch.tensor([-margin, n / 2, n + margin]) for n in size)
    grid = torch.cartesian_prod(rows, columns)  # (9, 2), whose fifth is the middle
    return torch.cat([grid[:4], grid[5:]])


def triangulate(landmarks: Tensor, size: Size) -> Triangles:
    """Delaunay's triangles of landmarks (P, 2) that surround a picture of that size.

    Raises:
        InputError: there are fewer than three, they lie on a line, are not finite, or do not
            surround the picture; add its `border`.
    """
    points = landmarks.detach().cpu().double().numpy()
    if points.ndim != 2 or points.shape[1:] != (2,) or not np.isfinite(points).all():
        raise InputError(f"landmarks should be (P, 2) finite numbers, not {points.shape}")
    try:
        mesh = Delaunay(points)
    except (QhullError, ValueError):
        raise InputError(f"{len(points)} landmarks span no triangle; give three or more") from None
    middles = np.moveaxis(np.indices(size), 0, 2).reshape(-1, 2) + 0.5
    found = mesh.find_simplex(middles)  # (H*W,), -1 outside of all
    if (found < 0).any():
        raise InputError("the landmarks do not surround the picture; add its border to them")
    frames = mesh.transform[found]  # (H*W, 3, 2): an inverse matrix, and the last corner
    two = np.einsum("nij,nj->ni", frames[:, :2], middles - frames[:, 2])
    weights = np.column_stack([two, 1 - two.sum(1)]).reshape(*size, 3)
    corners = mesh.simplices[found].reshape(*size, 3)
    return Triangles(torch.from_numpy(corners).long(), torch.from_numpy(weights).float())


def positions(triangles: Triangles, landmarks: Tensor) -> Tensor:
    """Where pixels go when the triangles' corners move, (B, H, W, 2) as (down, across).

    Args:
        landmarks: where each corner goes, (B, P, 2); gradients pass.
    """
    corners = landmarks[:, triangles.corners] * 1.0  # (B, H, W, 3, 2); integers become floats
    return (corners * triangles.weights.to(corners)[..., None]).sum(3)


def sample(images: Tensor, where: Tensor, step: float = 1.0) -> Tensor:
    """Images (B, C, h, w) read bilinearly at positions (B, H, W, 2); edges are repeated.

    Args:
        step: the distance of neighbouring positions, in pixels. Images are reduced by it first if
            it is above one, because reading one pixel in many gives moiré.
    """
    height, width = images.shape[2:]
    x, y = 2 * where[..., 1] / width - 1, 2 * where[..., 0] / height - 1
    if step > 1:
        small = [max(1, round(n / step)) for n in (height, width)]
        images = resize(images, small)
    grid = torch.stack([x, y], 3)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def warp(
    image: Tensor,
    source: Tensor,
    target: Tensor,
    size: Size | None = None,
    margin: float = 0.0,
) -> Tensor:
    """Move a picture's landmarks, and what lies between them, to other places.

    The inverse warp of Wolberg 1990, with the triangles of the target, in which none is folded.

    >>> image, points = torch.rand(1, 3, 8, 8), torch.tensor([[3.0, 4.0]])
    >>> torch.allclose(warp(image, points, points), image, atol=1e-5)
    True

    Args:
        image: (1, C, H, W).
        source, target: where landmarks are, and where they go, (P, 2).
        size: (height, width) of the result; by default the picture's.
        margin: how far outside of both pictures the points lie that hold their borders.

    Raises:
        InputError: the landmarks do not belong together, or are not finite.
    """
    if source.shape != target.shape:
        raise InputError(f"landmarks {tuple(source.shape)} cannot go to {tuple(target.shape)}")
    own = image.shape[2], image.shape[3]
    size = size or own
    triangles = triangulate(torch.cat([target, border(size, margin).to(target)]), size)
    corners = torch.cat([source, border(own, margin).to(source)])
    return sample(image, positions(triangles, corners[None]).to(image))


def similarity(source: Tensor, target: Tensor) -> Tensor:
    """The turn, scale and shift that takes two points (2, 2) to two others; (2, 3) for `moved`.

    Raises:
        InputError: the two points are one.
    """
    (a, b), (c, d) = source.double(), target.double()
    length = (b - a).square().sum()
    if not length > 0:
        raise InputError("two points in one place give no direction; give two different ones")
    # Points as complex numbers: (d - c) / (b - a) is the turn and the scale.
    (p, q), (r, s) = b - a, d - c
    real, turn = (r * p + s * q) / length, (s * p - r * q) / length
    matrix = torch.stack([torch.stack([real, -turn]), torch.stack([turn, real])])
    return torch.cat([matrix, (c - matrix @ a)[:, None]], 1).to(source * 1.0)


def moved(matrix: Tensor, points: Tensor) -> Tensor:
    """Points (..., 2) turned, scaled and shifted by a (2, 3) matrix."""
    return points @ matrix[:, :2].mT + matrix[:, 2]


def scale_of(matrix: Tensor) -> float:
    """How many times as long a `similarity` makes lines."""
    return float(matrix[:, :2].det().abs().sqrt())


def align(image: Tensor, points: Tensor, places: Tensor, size: Size) -> Tensor:
    """Turn, scale and shift a picture (1, C, H, W) so that two points come to two places.

    Args:
        points, places: two points in the picture, and where they go in the result, (2, 2).
        size: (height, width) of the result; beyond the picture its edges are repeated.

    Raises:
        InputError: the points are one.
    """
    back = similarity(places.to(image), points.to(image))
    middles = torch.stack(
        torch.meshgrid(*(torch.arange(n) + 0.5 for n in size), indexing="ij"), 2
    )  # (H, W, 2)
    return sample(image, moved(back, middles.to(image))[None], scale_of(back))
