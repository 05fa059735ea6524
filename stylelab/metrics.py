"""What a picture is worth, on yardsticks that no loss weight enters."""

import torch
import torch.nn.functional as F
from torch import Tensor

LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear RGB, ITU-R BT.709; used on the values as stored


def detail_energy(image: Tensor) -> float:
    """Energy of fine detail: the mean square of luminance minus its 3x3 binomial blur, times 1e4.

    An image (1, 3, H, W) in [0, 1] gives 0 when flat, and more the more it changes from one pixel
    to the next. Compare images of one size only: enlarge the smaller one first.
    """
    grey = (image * image.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
    row = image.new_tensor([0.25, 0.5, 0.25])
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    blurred = F.conv2d(padded, torch.outer(row, row)[None, None])
    return float((grey - blurred).square().mean() * 1e4)


def enlarge(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An image (1, 3, H, W) in [0, 1] at another (height, width), by bicubic interpolation."""
    return F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
