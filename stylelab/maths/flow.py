"""Optical flow: where each pixel of a frame came from.

A flow (1, 2, H, W) tells for each pixel of a frame from where it came: the pixel (y, x) was at
(y + flow[0, 0], x + flow[0, 1]) in the last frame, in pixels down and across.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylelab.errors import InputError, unknown


def temporal_loss(image: Tensor, moved: Tensor, seen: Tensor) -> Tensor:
    """Mean squared difference from the last frame, warped to this one, where it was visible.

    1/D sum over c (x - w)^2 of all D values of (1, C, H, W); ``seen`` is (1, 1, H, W). Ruder et
    al. 2016, equation 7.
    """
    return (seen * (image - moved).square()).mean()


def check_flow(flow: Tensor, size: tuple[int, int]) -> None:
    """Raise InputError unless a flow is (1, 2, height, width) and finite."""
    if flow.shape != (1, 2, *size):
        wanted = f"(1, 2, {size[0]}, {size[1]})"
        raise InputError(f"the flow should be {wanted}, not {tuple(flow.shape)}")
    if not flow.isfinite().all():
        raise InputError("the flow holds NaN or infinite values; estimate it again")


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Warp an image (1, C, H, W) by a flow, bilinearly; edge pixels are repeated beyond it."""
    check_flow(flow, (image.shape[2], image.shape[3]))
    y, x = positions(flow)
    return sample_at(image, y + flow[0, 0], x + flow[0, 1])


def sample_at(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """An image (1, C, h, w) sampled bilinearly at positions y, x (H, W) in pixels."""
    height, width = image.shape[2:]
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.floor().long(), x.floor().long()
    below, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    across, down = x - left, y - top  # (H, W), in [0, 1)
    upper = torch.lerp(image[:, :, top, left], image[:, :, top, right], across)
    lower = torch.lerp(image[:, :, below, left], image[:, :, below, right], across)
    return torch.lerp(upper, lower, down)


def positions(flow: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = (torch.arange(n, device=flow.device).to(flow) for n in flow.shape[2:])
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return y, x


def optical_flow(frame: Tensor, last: Tensor, method: str = "tvl1") -> Tensor:
    """Estimate from where each pixel of ``frame`` came, on luminance.

    Args:
        frame, last: images (1, 3, H, W) in [0, 1].
        method: tvl1, by scikit-image (Zach, Pock and Bischof 2007), or dis, by OpenCV (Kroeger et
            al. 2016; extra "flow"), which is 50 to 90 times as fast.

    Raises:
        InputError: another method, or OpenCV is missing.
    """
    found = flow_module(method)
    from skimage.color import rgb2gray  # here, because they take 60 MB

    grey = [rgb2gray(image[0].permute(1, 2, 0).cpu().numpy()) for image in (frame, last)]
    if method == "tvl1":
        flow = np.stack(found.optical_flow_tvl1(*grey, attachment=15, dtype=np.float32))
    else:
        search = found.DISOpticalFlow_create(found.DISOPTICAL_FLOW_PRESET_MEDIUM)
        bytes_ = [np.round(255 * image).astype(np.uint8) for image in grey]
        across_down = search.calc(*bytes_, None)  # (H, W, 2)
        flow = np.ascontiguousarray(across_down[:, :, ::-1].transpose(2, 0, 1))
    return torch.from_numpy(flow)[None]


def flow_module(method: str) -> Any:
    """What a method of `optical_flow` is computed by; InputError if it is not there."""
    modules = {"tvl1": "skimage.registration", "dis": "cv2"}
    if method not in modules:
        raise InputError(unknown("optical flow", method, modules))
    try:
        return import_module(modules[method])
    except ImportError:
        raise InputError(
            "dis needs OpenCV; run: pip install 'stylelab[flow]', or take tvl1"
        ) from None


def visible(flow: Tensor, forward: Tensor | None = None) -> Tensor:
    """Mask of what was already visible in the last frame: (1, 1, H, W), ones and zeros.

    It was not where the flow comes from outside, or where ``forward``, the flow from the last
    frame to this one, does not lead back: |b + f|^2 > 0.01 (|b|^2 + |f|^2) + 0.5, f = forward at
    the place where the pixel came from (Ruder et al. 2016, equation 5).
    """
    height, width = flow.shape[2:]
    y, x = positions(flow)
    y, x = y + flow[0, 0], x + flow[0, 1]
    seen = (y >= 0) & (y <= height - 1) & (x >= 0) & (x <= width - 1)
    if forward is not None:
        there = warp(forward, flow)
        apart = (flow + there).square().sum(1)
        seen = seen & (apart <= 0.01 * (flow.square() + there.square()).sum(1) + 0.5)[0]
    return seen[None, None].to(flow)


def warping_error(frames: Sequence[Tensor], flows: Sequence[Tensor]) -> float:
    """How much a film flickers: from 0 (each frame is the last one, warped) upwards.

    The root of the mean squared difference between each frame (1, 3, H, W) in [0, 1] and the
    frame before it, warped by the flow, over pixels that were visible there; the mean over all
    pairs. After Lai et al. 2018, who take the mean square without the root.

    >>> import torch
    >>> warping_error([torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)], [torch.zeros(1, 2, 4, 4)])
    1.0
    """
    if len(frames) < 2 or len(flows) != len(frames) - 1:
        raise InputError(f"{len(flows)} flows do not fit {len(frames)} frames: give one fewer")
    errors = []
    for last, frame, flow in zip(frames, frames[1:], flows, strict=False):
        seen = visible(flow)
        squares = (seen * (frame - warp(last, flow)).square()).sum()
        errors.append(float((squares / (3 * seen.sum().clamp_min(1))).sqrt()))
    return sum(errors) / len(errors)
