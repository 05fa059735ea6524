"""What a run needs before its first step: the model, the objective and the pictures."""

from typing import NamedTuple

import torch
from torch import Tensor

from stylelab.config import SMALLEST, Config
from stylelab.controls import read_style_masks, regional, weighted
from stylelab.errors import InputError
from stylelab.images import restore, standardize
from stylelab.maths.colours import luminance, match_luminance, match_statistics
from stylelab.objectives import TermsOf
from stylelab.registry import METHODS
from stylelab.training.identity import Inputs
from stylelab.vgg.network import VGG19, shared_network

KEPT = 2  # cached preparations; the next run of a sweep or notebook can often use one


class Prepared(NamedTuple):
    """What `prepare` returns."""

    model: VGG19
    objective: TermsOf
    """From a standardised image to its unweighted terms."""
    pictures: tuple[Tensor, ...]
    """The content and the styles at the run's size, in their own colours, on the CPU."""
    around: tuple[Tensor, Tensor] | None
    """If there is a mask: the standardised content, and the mask (1, 1, H, W) in [0, 1]."""


_prepared: dict[object, Prepared] = {}  # the newest last


def prepare(
    inputs: Inputs,
    config: Config,
    size: tuple[int, int],
    device: torch.device,
    dtype: torch.dtype,
) -> Prepared:
    """Model, objective and pictures of a run at (height, width).

    The last few are kept: runs that differ only in loop settings or loss weights share one.
    """
    identity = tuple(inputs.identity.items()), inputs.shares
    key = identity, config.preparation_key(), size, device, dtype
    found = _prepared.pop(key, None) or _prepare(inputs, config, size, device, dtype)
    _prepared[key] = found
    for old in list(_prepared)[:-KEPT]:
        _prepared.pop(old, None)  # another thread may have removed it already
    return found


def _prepare(
    inputs: Inputs,
    config: Config,
    size: tuple[int, int],
    device: torch.device,
    dtype: torch.dtype,
) -> Prepared:
    c, method = config, METHODS.load(config.method)
    image = inputs.content.load(size, c.fit)
    scaled = round(size[0] * c.style_scale), round(size[1] * c.style_scale)
    if min(scaled) < SMALLEST:
        raise InputError(
            f"style_scale={c.style_scale:g} makes a style picture of {scaled[0]}x{scaled[1]} "
            f"pixels, and at least {SMALLEST} a side are needed; use a larger scale"
        )
    pictures = [style.load(size, c.fit) for style in inputs.styles]
    read = pictures if scaled == size else [s.load(scaled, c.fit) for s in inputs.styles]
    if c.colours != "style":
        match = match_luminance if c.colours == "luminance" else match_statistics
        read = [match(style, image) for style in read]
    model = shared_network(c, method.layers(c), device, dtype, inputs.identity["weights_id"])
    base, *targets = (standardize(picture.to(device)) for picture in (image, *read))
    styles = [pair for pair in zip(targets, inputs.shares, strict=True) if pair[1]]
    masks = [inputs.files["mask"].load(size, c.fit).mean(1, keepdim=True)] if c.mask else []
    if c.style_masks:
        regions = read_style_masks(inputs.files, c, size, len(inputs.styles))
        objective = regional(method, styles, regions.to(device), model, c)
        masks.append(regions.sum(0, keepdim=True).clamp(max=1))
    else:
        objective = method.objective(styles, model, c)
    around = (base, torch.stack(masks).prod(0).to(device)) if masks else None
    objective = weighted(objective, c)
    if c.colours == "luminance":
        of_grey: TermsOf = objective(_grey(base))
        return Prepared(model, lambda x: of_grey(_grey(x)), (image, *pictures), around)
    return Prepared(model, objective(base), (image, *pictures), around)


def _grey(image: Tensor) -> Tensor:
    """A standardised image without its colours."""
    return standardize(luminance(restore(image, clip=False)).expand(-1, 3, -1, -1))
