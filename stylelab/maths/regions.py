"""Regions of a picture as masks: from a picture of labels, from polygons, or a guess of the sky.

Masks are (K, 1, H, W) in [0, 1], one for each region.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor

from stylelab.errors import InputError
from stylelab.images import Source, load_image
from stylelab.layers import CONVOLUTIONS, LAYERS

Polygon: TypeAlias = Sequence[tuple[float, float]]
Fit: TypeAlias = Literal["crop", "stretch"]
LEAST = 1e-3  # labels on a smaller part of the picture come from a brush's soft edge
MOST = 16  # regions


def masks_of_labels(
    source: Source, size: tuple[int, int], fit: Fit = "crop"
) -> dict[tuple[int, ...], Tensor]:
    """The regions of a picture in which each grey level or colour is a label.

    The picture is brought to ``size`` (height, width) as `load_image` brings a photo there.

    Returns:
        A mask (1, 1, H, W) for each label, (red, green, blue) in 0 ... 255.

    Raises:
        InputError: it has more than 16 labels, or none.
    """
    pixels = (load_image(source)[0].permute(1, 2, 0) * 255).round().long().numpy()  # (H, W, 3)
    codes = pixels @ np.array([65536, 256, 1])
    labels, counts = np.unique(codes, return_counts=True)
    kept = labels[counts >= LEAST * codes.size]
    if not 1 <= len(kept) <= MOST:
        raise InputError(
            f"a picture of regions has up to {MOST} flat greys or colours, this one has "
            f"{len(labels)}; save it as PNG, without soft edges"
        )
    masks: dict[tuple[int, ...], Tensor] = {}
    for code in kept.tolist():
        label = code >> 16, code >> 8 & 255, code & 255
        masks[label] = load_image(codes == code, size, fit)[:, :1]
    return masks


def masks_of_polygons(polygons: Sequence[Polygon], size: tuple[int, int]) -> Tensor:
    """A region for each polygon, and a last one for the rest of the picture.

    Args:
        polygons: lists of points (down, across), as fractions of the height and of the width.
        size: (height, width) of the masks.

    Raises:
        InputError: a polygon with fewer than three points, or outside the picture.
    """
    height, width = size
    masks, rest = [], np.ones(size, bool)
    for number, polygon in enumerate(polygons, 1):
        if len(polygon) < 3:
            raise InputError(f"polygon {number} has {len(polygon)} points; give three or more")
        if not all(min(ends) < 1 and max(ends) > 0 for ends in zip(*polygon, strict=True)):
            raise InputError(
                f"polygon {number} lies outside the picture; its points are (down, across), in "
                "parts of the height and of the width"
            )
        image = Image.new("1", (width, height))
        corners = [(x * width - 0.5, y * height - 0.5) for y, x in polygon]
        ImageDraw.Draw(image).polygon(corners, fill=1)
        inside = np.array(image) & rest  # where two overlap, the first wins
        rest &= ~inside
        masks.append(inside)
    return torch.from_numpy(np.stack([*masks, rest]).astype(np.float32))[:, None]


def sky_mask(image: Tensor, rounds: int = 5) -> Tensor:
    """Guess where an image (1, 3, H, W) in [0, 1] has sky: (1, 1, H, W), zeros and ones.

    Two normal distributions of colour are fitted, first to the top sixth and the lower half, then
    repeatedly to the sky and ground found so far; sky is what is connected to the top edge.
    """
    smooth = F.avg_pool2d(image, 5, 1, 2, count_include_pad=False)
    colours = smooth[0].permute(1, 2, 0).cpu().double().numpy()  # (H, W, 3)
    height = len(colours)
    sky = np.zeros(colours.shape[:2], bool)
    sky[: max(1, height // 6)] = True
    ground = np.zeros_like(sky)
    ground[height // 2 :] = True
    for _ in range(rounds):
        guess = _cost(colours, colours[sky]) < _cost(colours, colours[ground])
        pieces, count = ndimage.label(guess)
        at_top = np.bincount(pieces[: max(1, height // 20)].ravel(), minlength=count + 1)
        at_top[0] = 0
        found = ndimage.binary_fill_holes(np.isin(pieces, np.flatnonzero(at_top)))
        if found.sum() < 10 or (~found).sum() < 10:
            break
        sky, ground = found, ~found
    return torch.from_numpy(sky.astype(np.float32))[None, None].to(image.device)


def _cost(colours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Minus twice the logarithm of a normal distribution fitted to ``known`` (P, 3)."""
    covariance = np.cov(known.T) + 1e-3 * np.eye(3)
    away = colours - known.mean(0)
    distance = np.einsum("...i,ij,...j", away, np.linalg.inv(covariance), away)
    cost: np.ndarray = distance + np.linalg.slogdet(covariance)[1]
    return cost


def masks_at_layers(masks: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Masks (K, 1, H, W) at the resolution of layers of VGG-19 (Luan et al. 2017).

    Blurred by a 3x3 box at each convolution, as features are, and halved at each pooling. The
    boxes ignore what is beyond the edge, so that a mask of ones stays one.

    Raises:
        InputError: a layer is none of VGG-19's (VGG-16's have the same names).
    """
    if others := [name for name in layers if name not in LAYERS]:
        raise InputError(
            f"layer '{others[0]}': this method follows masks through the layers of VGG; set "
            "backbone to 'vgg19' or 'vgg16'"
        )
    found: dict[str, Tensor] = {}
    m = masks
    for name in CONVOLUTIONS:
        if name.endswith("_1") and name != "conv1_1":
            m = F.avg_pool2d(m, 2, ceil_mode=True, count_include_pad=False)
        m = F.avg_pool2d(m, 3, 1, 1, count_include_pad=False)
        found |= {layer: m for layer in (name, name.replace("conv", "relu")) if layer in layers}
    return found
