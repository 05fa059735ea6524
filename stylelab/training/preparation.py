"""What a run needs before its first step: the model, the objective and the pictures."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from stylelab.config import SMALLEST, Config
from stylelab.errors import InputError
from stylelab.images import Source, image_hash, load_image, restore, standardise
from stylelab.maths.colours import luminance, match_luminance, match_statistics
from stylelab.registry import load_method
from stylelab.vgg.network import VGG19
from stylelab.vgg.weights import weights_id

Styles: TypeAlias = "Source | Sequence[Source]"
Objective = Callable[[Tensor], dict[str, Tensor]]


class Prepared(NamedTuple):
    """What `prepare` gives."""

    model: VGG19
    objective: Objective
    """From a standardised image to its unweighted terms."""
    pictures: tuple[Tensor, ...]
    """The content and the styles at the run's size, in their own colours, on the CPU."""
    around: tuple[Tensor, Tensor] | None
    """Where there is a mask: the standardised content, and the mask (1, 1, H, W) in [0, 1]."""


@lru_cache(maxsize=2)
def prepare(
    content: Source,
    styles: tuple[Source, ...],
    identity: tuple[str, ...],
    config: Config,
    device: torch.device,
    dtype: torch.dtype,
) -> Prepared:
    """Model, objective and pictures of a run; kept for the next run like this one.

    ``identity`` is what `identify` says of the files, which may change while their names stay.
    """
    c, method = config, load_method(config.method)
    image = load_image(content, c.size, c.fit)
    height, width = size = image.shape[2], image.shape[3]
    scaled = round(height * c.style_scale), round(width * c.style_scale)
    if min(scaled) < SMALLEST:
        raise InputError(
            f"style_scale={c.style_scale:g} makes a style picture of {scaled[0]}x{scaled[1]} "
            f"pixels, and at least {SMALLEST} a side are needed; use a larger scale"
        )
    pictures = [load_image(style, size, c.fit) for style in styles]
    read = pictures if scaled == size else [load_image(s, scaled, c.fit) for s in styles]
    if c.colours != "style":
        match = match_luminance if c.colours == "luminance" else match_statistics
        read = [match(style, image) for style in read]
    settings = (c.weights, c.pooling, c.normalise, c.padding, c.seed)
    model = VGG19(method.layers(c), *settings, recompute=c.memory == "low").to(device, dtype)
    base, *targets = (standardise(picture.to(device)) for picture in (image, *read))
    pairs = [pair for pair in zip(targets, shares_of(c, len(read)), strict=True) if pair[1]]
    around = None
    if c.mask:
        around = base, load_image(c.mask, size, c.fit).mean(1, keepdim=True).to(device)
    if c.colours != "luminance":
        return Prepared(model, method.objective(base, pairs, model, c), (image, *pictures), around)
    of_grey: Objective = method.objective(_grey(base), pairs, model, c)
    return Prepared(model, lambda x: of_grey(_grey(x)), (image, *pictures), around)


def _grey(image: Tensor) -> Tensor:
    """A standardised image without its colours."""
    return standardise(luminance(restore(image, clip=False)).expand(-1, 3, -1, -1))


def as_list(style: Styles) -> list[Source]:
    """One style picture or several, as a list."""
    styles: list[Any] = list(style) if isinstance(style, (list, tuple)) else [style]
    if not styles:
        raise InputError("there is no style picture; give one or more")
    return styles


def shares_of(config: Config, count: int) -> list[float]:
    """The shares of ``count`` style pictures, which sum to one."""
    blend = config.blend or (1.0,) * count
    if len(blend) != count:
        raise InputError(f"blend has {len(blend)} shares for {count} style pictures; give {count}")
    return [share / sum(blend) for share in blend]


def identify(content: Source, style: Styles, config: Config) -> dict[str, str]:
    """What, beside the config, a result depends on: the hashes of all images and of the weights.

    Those of several style pictures are joined by plus signs.
    """
    styles = as_list(style)
    shares_of(config, len(styles))  # which complains, before anything is done
    hashes = {
        "content_sha256": image_hash(content),
        "style_sha256": "+".join(image_hash(style) for style in styles),
    }
    files = {"mask": config.mask, **dict(config.options)}
    if config.init not in ("content", "style", "noise"):
        files["init"] = config.init
    for name, file in files.items():
        if isinstance(file, str) and (Path(file).is_file() or (name == "mask" and file)):
            hashes[f"{name}_sha256"] = image_hash(file)
    return {**hashes, "weights_id": weights_id(config.weights, config.seed)}
