"""Painting a picture by whatever paints: a trained network, or a transfer that is optimised."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from stylelab.config import SMALLEST, Config
from stylelab.errors import InputError, unknown
from stylelab.images import Source, as_picture, quantize, save_image
from stylelab.maths.colours import luminance, match_statistics, with_luminance
from stylelab.networks.blocks import Network
from stylelab.networks.loading import load_network
from stylelab.training.transfer import stylize

OptionalSource: TypeAlias = "Source | None"

COLOURS = ("style", "luminance", "statistics")


def paint(
    painter: Network | Config | str | os.PathLike[str],
    picture: Source,
    style: Any = None,
    *,
    size: tuple[int, int] | int | None = None,
    strength: float = 1.0,
    blend: Sequence[float] = (),
    colours: Literal["style", "luminance", "statistics"] = "style",
    style_scale: float = 1.0,
    mask: OptionalSource = None,
) -> Tensor:
    """Paint a picture, with a network in a single pass or with a config by optimising it.

    For example ``paint("johnson", "photo.jpg")``, or
    ``paint(PRESETS["fast"], "photo.jpg", "painting.jpg", size=600)``.

    Args:
        painter: a network, what `load_network` takes, or a `Config`.
        picture: anything that `load_image` takes.
        style: of a network that takes any style, and of a config: a style picture or several; of a
            network of many styles: the name of one or shares of them, as `StyleNetwork` takes
            them; of a network of one style: nothing.
        size: (height, width), or the longer side; None keeps the picture's own size (of a config,
            its size).
        strength: from 0, the picture, to 1, the full style; for networks.
        blend: shares of several style pictures; empty means equal ones.
        colours: "luminance" keeps the picture's colours, as `Config.colours` does; "statistics"
            needs a style picture.
        style_scale: size of the style picture relative to the result; below 1 strokes are finer.
        mask: white where the style goes, black where the picture stays.

    Returns:
        (1, 3, H, W) in [0, 1], in 8 bits, on the CPU.

    Raises:
        InputError: a picture, a network or a setting that cannot be used, or does not fit it.
    """
    if isinstance(painter, Config):
        return _optimise(painter, picture, style, size, strength, blend, colours, style_scale, mask)
    network = painter if isinstance(painter, Network) else load_network(painter)
    if colours not in COLOURS:
        raise InputError(unknown("colours", colours, COLOURS))
    if not 0 <= strength <= 1:
        raise InputError(f"strength={strength:g} should be from 0 to 1")
    if network.kind != "any" and (style_scale != 1 or colours == "statistics" or blend):
        raise InputError(
            "style_scale, blend and colours='statistics' need a style picture, which this network "
            "does not take; use a network of any style"
        )
    content = as_picture(picture).load(size)
    given = style
    if network.kind == "any":
        given = _read_styles(content, style, blend, colours, style_scale, network.device)
    elif network.kind == "one" and style is not None:
        raise InputError("this network has learnt its one style and takes no other; leave it out")
    elif network.kind == "many" and style is None:
        known = ", ".join(network.names)
        raise InputError(f"it has many styles; name one as style: {known}; or give shares")
    with torch.no_grad():
        painted = network(content.to(network.device), given, strength).cpu()
    if colours == "luminance":
        painted = with_luminance(content, luminance(painted))
    if mask is not None:
        share = as_picture(mask).load((content.shape[2], content.shape[3])).mean(1, keepdim=True)
        painted = content.lerp(painted, share)
    return quantize(painted)


def _read_styles(
    content: Tensor,
    style: Any,
    blend: Sequence[float],
    colours: str,
    scale: float,
    device: torch.device,
) -> list[tuple[Tensor, float]]:
    if style is None:
        raise InputError("this network takes any style; give a style picture")
    sources = list(style) if isinstance(style, (list, tuple)) else [style]
    shares = list(blend) or [1.0] * len(sources)
    if len(shares) != len(sources) or min(shares) < 0 or not sum(shares) > 0:
        raise InputError(f"blend should be {len(sources)} shares, 0 or above, and one above 0")
    short = round(min(content.shape[2:]) * scale)
    if short < SMALLEST:
        raise InputError(f"style_scale={scale:g} makes a style under {SMALLEST} pixels; use more")
    found = []
    for source, share in zip(sources, shares, strict=True):
        picture = as_picture(source)
        height, width = picture.size_at(None)
        factor = short / min(height, width)
        image = picture.load((round(height * factor), round(width * factor)))
        if colours == "statistics":
            image = match_statistics(image, content)
        elif colours == "luminance":
            image = luminance(image).expand(-1, 3, -1, -1)
        if share:
            found.append((image.to(device), share / sum(shares)))
    return found


def _optimise(
    config: Config,
    picture: Source,
    style: Any,
    size: Any,
    strength: float,
    blend: Sequence[float],
    colours: str,
    style_scale: float,
    mask: OptionalSource,
) -> Tensor:
    if strength != 1:
        raise InputError("strength is for networks; an optimised picture has style_weight")
    if style is None:
        raise InputError("an optimised picture needs a style; give a style picture")
    changes: dict[str, Any] = {
        "size": config.size if size is None else size,
        "blend": tuple(blend) or config.blend,
        "colours": config.colours if colours == "style" else colours,
        "style_scale": config.style_scale if style_scale == 1 else style_scale,
    }
    with TemporaryDirectory() as folder:
        if mask is not None and not isinstance(mask, (str, os.PathLike)):
            mask = save_image(as_picture(mask).load(None), Path(folder) / "mask.png")
        changes["mask"] = config.mask if mask is None else os.fspath(mask)
        return stylize(picture, style, replace(config, **changes), progress=False).image
