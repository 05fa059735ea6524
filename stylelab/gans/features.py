"""The features of a face: which landmarks and pixels belong to each, and putting them together.

Landmarks are the 189 of the Face Research Lab London Set (DeBruine and Jones 2017) as (down,
across), of which the first two are the pupils. They are looked at in a frame of 128x128 in which
the pupils always have the same places. A texture is a face in that frame, warped to the mean
landmarks of many.
"""

from collections.abc import Mapping
from itertools import chain

import numpy as np
import torch
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.optimize import linear_sum_assignment
from scipy.spatial import ConvexHull, Delaunay
from skimage.draw import polygon2mask
from torch import Tensor

from stylelab.errors import InputError, unknown
from stylelab.maths.warping import (
    border,
    moved,
    positions,
    sample,
    scale_of,
    similarity,
    triangulate,
)

SIDE, POINTS = 128, 189
SIZE = (SIDE, SIDE)
EYES = torch.tensor([[51.8, 44.4], [51.8, 83.6]])  # places of the pupils, left one first
MARGIN = 32.0  # pixels from the frame to the points that hold its border: heads are larger
NEAR = (3.0, 6.0, 12.0, 24.0)  # pixels over which landmarks go from one parent to the other
FOLD = 0.2  # square pixels of turned triangles that a child may have more than its parents
PLAIN = (0.83, 0.84, 0.84)  # the background
SOFT, GROWN, RING = 2.0, 3, 4.0  # pixels: a mask's blurred edge and growth; what lies around it


def _ranges(*ends: tuple[int, int]) -> list[int]:
    return [*chain.from_iterable(range(first, last + 1) for first, last in ends)]


# For each feature its patches, the left one first, as the landmarks whose hull it is.
PATCHES = {
    "eyes": [
        _ranges((0, 0), (2, 9), (18, 22), (28, 30), (34, 38), (44, 46)),
        _ranges((1, 1), (10, 17), (23, 27), (31, 33), (39, 43), (47, 49)),
    ],
    "brows": [_ranges((71, 76), (83, 84)), _ranges((77, 82), (85, 86))],
    "nose": [_ranges((50, 70), (179, 182))],
    "mouth": [_ranges((87, 108))],
}
FACE = [*range(125, 134), *range(144, 133, -1)]  # around it: from the jaw to the hairline
OUTLINE = [*range(145, 158)]  # of the head with its hair, from below left to below right
LANDMARKS = {
    **{name: [*chain.from_iterable(patches)] for name, patches in PATCHES.items()},
    "skin": _ranges((158, 169)),
    "head": _ranges((109, 157), (170, 178), (183, 188)),
}
LANDMARKS["mouth"] += _ranges((170, 173))
LANDMARKS["head"] = [i for i in LANDMARKS["head"] if i not in LANDMARKS["mouth"]]
FEATURES = ("skin", "head", "eyes", "brows", "nose", "mouth")


def check_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """For each feature the second parent's share; even where none is given.

    Raises:
        InputError: an unknown feature, or a share outside [0, 1].
    """
    for name, share in shares.items():
        if name not in FEATURES:
            raise InputError(unknown("feature", name, FEATURES))
        if not 0 <= share <= 1:
            raise InputError(f"the share of '{name}' is {share:g}; it should be from 0 to 1")
    return {name: float(shares.get(name, 0.5)) for name in FEATURES}


def to_frame(landmarks: Tensor) -> Tensor:
    """Landmarks (189, 2) in a picture, moved so that the pupils have their places.

    Raises:
        InputError: they have another shape, are not finite, or the pupils are one.
    """
    if landmarks.shape != (POINTS, 2) or not landmarks.isfinite().all():
        shape = tuple(landmarks.shape)
        raise InputError(f"a face has {POINTS} landmarks as (down, across), not {shape}")
    return moved(similarity(landmarks[:2], EYES.to(landmarks)), landmarks)


def mirror_pairs(mean: Tensor) -> Tensor:
    """For each landmark of a mean face (189, 2) the one on the other side, (189,)."""
    mirrored = torch.stack([mean[:, 0], SIDE - mean[:, 1]], 1)
    return torch.from_numpy(linear_sum_assignment(torch.cdist(mean, mirrored).numpy())[1])


def mirror(landmarks: Tensor, pairs: Tensor) -> Tensor:
    """Landmarks (..., 189, 2) of the mirrored picture."""
    other = landmarks[..., pairs, :]
    return torch.stack([other[..., 0], SIDE - other[..., 1]], -1)


def to_texture(image: Tensor, eyes: Tensor, shape: Tensor, mean: Tensor) -> Tensor:
    """A face warped to the mean landmarks, before a plain background, and where it is known.

    Args:
        image: (1, 3, H, W) in [0, 1].
        eyes: its pupils, (2, 2).
        shape: its landmarks in the frame, (189, 2); gradients pass.
        mean: mean landmarks in the frame, (189, 2).

    Returns:
        (1, 4, 128, 128): the colours, and 1 where they are inside the picture, otherwise 0.
    """
    around = border(SIZE, MARGIN).to(mean)
    triangles = triangulate(torch.cat([mean, around]), SIZE)
    back = similarity(EYES.to(mean), eyes.to(mean))
    where = moved(back, positions(triangles, torch.cat([shape, around])[None]))
    ends = where.new_tensor(image.shape[2:])
    known = ((where >= 0) & (where <= ends)).all(3)[:, None]
    found = torch.cat([sample(image, where, scale_of(back)), known.to(image)], 1)
    return on_plain(found, mean)


def to_picture(texture: Tensor, shape: Tensor, mean: Tensor) -> Tensor:
    """Textures (B, 3, 128, 128) warped from the mean landmarks to shapes (B, 189, 2)."""
    around = border(SIZE, MARGIN).to(mean)
    corners = torch.cat([mean, around])[None]
    where = [positions(triangulate(torch.cat([s, around]), SIZE), corners) for s in shape]
    return sample(texture, torch.cat(where))


def _filled(polygon: np.ndarray) -> np.ndarray:
    found: np.ndarray = polygon2mask(SIZE, polygon)  # type: ignore[no-untyped-call]
    return found


def masks(mean: Tensor) -> dict[str, Tensor]:
    """Soft masks (128, 128) of the features but the skin, which is what they leave, in [0, 1]."""
    points = mean.numpy() - 0.5  # of pixels' middles
    inside = _filled(points[FACE]).astype(float)
    found = {"head": 1 - gaussian_filter(inside, SOFT)}
    for name, patches in PATCHES.items():
        mask = np.zeros(SIZE, bool)
        for patch in patches:
            hull = ConvexHull(points[patch]).vertices
            mask |= _filled(points[patch][hull])
        found[name] = gaussian_filter(binary_dilation(mask, iterations=GROWN).astype(float), SOFT)
    return {name: torch.from_numpy(mask).float() for name, mask in found.items()}


def outline(mean: Tensor) -> Tensor:
    """A soft mask (128, 128) of the head with its hair and its neck, in [0, 1]."""
    points = mean[OUTLINE].numpy() - 0.5
    below = [[2 * SIDE, points[-1, 1]], [2 * SIDE, points[0, 1]]]
    inside = binary_dilation(_filled(np.concatenate([points, below])), iterations=GROWN)
    return torch.from_numpy(gaussian_filter(inside.astype(float), SOFT)).float()


def on_plain(textures: Tensor, mean: Tensor) -> Tensor:
    """Textures (B, 4, 128, 128) before a plain background, which then is known."""
    mask = outline(mean.cpu()).to(textures)
    plain = textures.new_tensor([*PLAIN, 1.0])[:, None, None]
    found = plain + mask * (textures - plain)
    return torch.cat([found[:, :3], ((mask < 0.02) | (textures[:, 3:] > 0)).to(found)], 1)


def surroundings(mask: Tensor) -> Tensor:
    """Weights (128, 128) that sum to one of the skin close around a feature."""
    near = torch.from_numpy(gaussian_filter(mask.numpy(), RING))
    ring = (near - mask).clamp_min(0)
    return ring / ring.sum()


def assemble(skin: Tensor, parts: Mapping[str, Tensor], where: Mapping[str, Tensor]) -> Tensor:
    """Features of textures put into other textures, without visible seams.

    Each part but the head takes the colour of the skin into which it is put: its odds x / (1 - x)
    are multiplied so that the surroundings agree; so black stays black and white white.

    Args:
        skin: (B, 3, 128, 128) in [0, 1].
        parts: for features, textures of that shape from which they are taken.
        where: `masks`.
    """
    for name, mask in where.items():
        if name not in parts:
            continue
        part, mask = parts[name].clamp(0, 1), mask.to(skin)
        if name != "head":
            ring = surroundings(mask.cpu()).to(skin)
            old, new = (
                (x * ring).sum((2, 3), keepdim=True).clamp(0.02, 0.98) for x in (part, skin)
            )
            factor = new / (1 - new) * (1 - old) / old
            part = factor * part / (1 + (factor - 1) * part)
        skin = skin * (1 - mask) + mask * part
    return skin


def folded(landmarks: Tensor, mean: Tensor) -> float:
    """The area in pixels of triangles between landmarks (..., 189, 2) that are turned over."""
    corners = torch.from_numpy(Delaunay(mean.cpu().numpy()).simplices).long()

    def areas(points: Tensor) -> Tensor:
        a, b, c = points[..., corners, :].unbind(-2)  # (..., T, 2) each
        (p, q), (r, s) = (b - a).unbind(-1), (c - a).unbind(-1)
        return (p * s - q * r) / 2

    return float((areas(landmarks) * areas(mean).sign()).clamp_max(0).neg().sum(-1).max())


def combine(first: Tensor, second: Tensor, shares: Mapping[str, float], mean: Tensor) -> Tensor:
    """Landmarks (..., 189, 2) in the frame of a child, each feature's by its share.

    From one feature to the next the shares change gradually, over as many pixels of the mean face
    as it takes: a long nose above high lips would fold the picture.
    """
    weights = first.new_zeros(POINTS)
    for name, numbers in LANDMARKS.items():
        weights[numbers] = shares[name]
    if len(set(shares.values())) == 1:
        return (1 - weights[:, None]) * first + weights[:, None] * second
    most = max(folded(first, mean), folded(second, mean)) + FOLD
    for near in NEAR:
        closeness = torch.exp(-torch.cdist(mean, mean).square() / (2 * near**2))  # (189, 189)
        share = (closeness @ weights / closeness.sum(1))[:, None]
        found = (1 - share) * first + share * second
        if folded(found, mean) <= most:
            break
    return found


def mingled(textures: Tensor, where: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
    """Faces put together from the features of several, (B, 4, 128, 128), as are those given.

    The last of their channels tells what is known: 1 or 0.
    """
    found = textures
    for name, mask in where.items():
        order = torch.randperm(len(textures), generator=generator).to(textures.device)
        other = textures[order]
        colours = assemble(found[:, :3], {name: other[:, :3]}, {name: mask})
        inside = mask.to(found) > 0.02
        known = torch.where(inside, torch.minimum(found[:, 3:], other[:, 3:]), found[:, 3:])
        found = torch.cat([colours, known], 1)
    return found
