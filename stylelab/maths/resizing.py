"""Resizing with a filter, on every device."""

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def resize(
    images: Tensor, size: Sequence[int], mode: Literal["bilinear", "bicubic"] = "bilinear"
) -> Tensor:
    """Resize (B, C, H, W) to (height, width); what is reduced is softened first (antialiased).

    Apple's GPUs (MPS) have it for some modes from PyTorch 2.7 on, and its gradient not at all: it
    is done on the CPU for them.
    """
    here = images.cpu() if images.device.type == "mps" else images
    return F.interpolate(here, tuple(size), mode=mode, antialias=True).to(images.device)
