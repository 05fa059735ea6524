"""CIELAB: lightness apart from colour, in steps about as large as the eye's."""

import warnings

import numpy as np
import torch
from torch import Tensor


def to_lab(image: Tensor) -> Tensor:
    """CIELAB of images (B, 3, H, W) in [0, 1]: L from 0 to 100, a and b about -110 to 110."""
    from skimage.color import rgb2lab  # here, because it takes 60 MB

    return torch.from_numpy(rgb2lab(image.cpu().numpy(), channel_axis=1)).to(image)


def from_lab(lab: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] of exactly that L, from CIELAB of the same shape.

    A colour that no screen can show becomes greyer, along a line to the grey of its L, until one
    can; so L and hue stay.
    """
    from skimage.color import lab2rgb

    values = lab.detach().cpu().double().movedim(1, -1).numpy()  # (B, H, W, 3)
    outside = ~_shown(values)
    low, high = (np.full((int(outside.sum()), 1), end) for end in (0.0, 1.0))
    colours = values[outside]  # (N, 3)
    for _ in range(10):  # halvings, to a thousandth of the chroma
        share = (low + high) / 2
        inside = _shown(np.concatenate([colours[:, :1], share * colours[:, 1:]], 1))[:, None]
        low[inside], high[~inside] = share[inside], share[~inside]
    values[outside, 1:] = low * colours[:, 1:]
    return torch.from_numpy(lab2rgb(values)).movedim(-1, 1).to(lab).clamp(0, 1)


def _shown(lab: np.ndarray) -> np.ndarray:
    """Whether a screen can show colours of CIELAB, (..., 3); (...)."""
    from skimage.color import lab2xyz
    from skimage.color.colorconv import rgb_from_xyz

    with warnings.catch_warnings():  # of negative values, which are no colours
        warnings.simplefilter("ignore")
        linear = lab2xyz(lab) @ rgb_from_xyz.T if lab.size else lab
    return np.asarray(((linear >= -1e-4) & (linear <= 1 + 1e-4)).all(-1))


def grey_of(light: Tensor) -> Tensor:
    """Grey images (B, 3, H, W) in [0, 1], from L of CIELAB (B, 1, H, W), 0 to 100."""
    root = (light + 16) / 116
    linear = torch.where(light > 8, root**3, light * 27 / 24389)  # the luminance Y
    grey = torch.where(linear > 0.0031308, 1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055,
                       12.92 * linear)  # fmt: skip
    return grey.clamp(0, 1).expand(-1, 3, -1, -1)
