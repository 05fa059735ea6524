"""Damage to try a repair on: masks as age and insects leave them, and what a repair is worth.

The truth is known, because a whole picture is damaged; of real damage nobody knows it.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from stylelab.errors import InputError, unknown
from stylelab.maths.colours import luminance

FINER = 4  # masks are drawn at this multiple of the size, and then reduced


def damage(kind: str, size: tuple[int, int], seed: int = 0) -> Tensor:
    """The mask (1, 1, H, W) of a damage, of zeros and ones; each seed gives another.

    Args:
        kind: one of `DAMAGES`: "scratches", long and thin; "worm holes", short and winding;
            "stains", which cover whole strokes.
        size: (height, width).
        seed: of the places and shapes.
    """
    if kind not in DAMAGES:
        raise InputError(unknown("damage", kind, list(DAMAGES)))
    canvas = Image.new("L", (FINER * size[1], FINER * size[0]))
    DAMAGES[kind](ImageDraw.Draw(canvas), canvas.height, canvas.width, np.random.default_rng(seed))
    small = canvas.resize((size[1], size[0]), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small) > 64)[None, None].float()


def _trails(
    count: int, radius: tuple[float, float], length: tuple[float, float], bend: float
) -> Callable[[ImageDraw.ImageDraw, int, int, np.random.Generator], None]:
    """Winding lines with round ends; radius and length are fractions of the height."""

    def draw(pen: ImageDraw.ImageDraw, height: int, width: int, rng: np.random.Generator) -> None:
        for _ in range(count):
            angle, r = rng.uniform(0, np.pi), height * rng.uniform(*radius)
            angles = angle + np.cumsum(rng.normal(0, bend, 12))
            steps = height * rng.uniform(*length) / 12 * np.stack([np.cos(angles), np.sin(angles)])
            start = rng.uniform(0.05, 0.95, (2, 1)) * [[width], [height]]
            points = [tuple(point) for point in (start + np.cumsum(steps, 1)).T]
            pen.line(points, 255, round(2 * r), "curve")
            for x, y in (points[0], points[-1]):
                pen.ellipse((x - r, y - r, x + r, y + r), 255)

    return draw


def _stains(pen: ImageDraw.ImageDraw, height: int, width: int, rng: np.random.Generator) -> None:
    around = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    for _ in range(5):
        start = rng.uniform(0.08, 0.92, 2) * [width, height]
        edge = np.ones(120)
        for k in range(1, 6):
            edge += rng.normal(0, 0.2 / k) * np.cos(k * around + rng.uniform(0, 6))
        radius = height * rng.uniform(0.035, 0.06) * edge
        points = start + radius[:, None] * np.stack([np.cos(around), np.sin(around)], 1)
        pen.polygon([tuple(point) for point in points], 255)


DAMAGES: Mapping[str, Callable[[ImageDraw.ImageDraw, int, int, np.random.Generator], None]] = {
    "scratches": _trails(7, (0.004, 0.006), (0.5, 0.9), 0.08),
    "worm holes": _trails(22, (0.008, 0.014), (0.02, 0.12), 0.5),
    "stains": _stains,
}


def pixel_error(image: Tensor, truth: Tensor, hole: Tensor) -> float:
    """Root of the mean squared difference of two images (1, 3, H, W) within a mask (1, 1, H, W)."""
    return float(((hole * (image - truth).square()).sum() / (3 * hole.sum())).sqrt())


def strokes(image: Tensor, like: Tensor | None = None) -> Tensor:
    """Where an image (1, 3, H, W) in [0, 1] has ink: (1, 1, H, W) of bool, by Otsu's threshold.

    The threshold parts the luminances of ``like``, another image, or of the image itself into two
    groups that vary least (Otsu 1979); ink is darker.
    """
    from skimage.filters import threshold_otsu  # here, because it takes 60 MB

    light = luminance(image)
    given = light if like is None else luminance(like)
    threshold = float(threshold_otsu(given.numpy().ravel()))  # type: ignore[no-untyped-call]
    return light < threshold


def stroke_overlap(image: Tensor, truth: Tensor, hole: Tensor) -> float:
    """Intersection over union of the strokes of two images within a mask: 1 if they are the same.

    Both are parted at the truth's threshold. NaN where neither has ink in the mask.
    """
    found, true = (strokes(x, truth) & (hole > 0) for x in (image, truth))
    union = (found | true).sum()
    return float((found & true).sum() / union) if union else float("nan")
