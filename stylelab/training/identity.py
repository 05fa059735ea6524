"""The pictures of a run, read once, and the hashes that identify what its result depends on."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.images import Picture, Source, as_picture
from stylelab.registry import METHODS
from stylelab.training.folders import own_weights
from stylelab.vgg.weights import weights_id

StyleSources: TypeAlias = "Source | Sequence[Source]"


@dataclass(frozen=True)
class Inputs:
    """The pictures that a run reads, and their hashes."""

    content: Picture
    styles: tuple[Picture, ...]
    shares: tuple[float, ...]
    """The share of each style; they sum to one."""
    files: dict[str, Picture]
    """Pictures that settings name: the masks, the initial image, and those in the options."""
    identity: dict[str, str]
    """What a result depends on besides the config: the hashes of all pictures, of the weights and
    of a registered method's source. The hashes of several styles are joined by plus signs."""
    paths: tuple[Path, ...]
    """The files that are read; none of them may be written."""
    names: tuple[str, ...]
    """The file names of the content and the styles; "" for what is no file."""


def read_inputs(content: "Source | Inputs", style: StyleSources, config: Config) -> Inputs:
    """Read the pictures of a run.

    Args:
        content: anything that `load_image` takes; or what was read before, which is returned.
        style: the same, or a list of several, whose shares are ``config.blend``.
        config: the settings.

    Raises:
        InputError: a picture cannot be read, or there is not one share for each style.
    """
    if isinstance(content, Inputs):
        return content
    sources: list[Any] = list(style) if isinstance(style, (list, tuple)) else [style]
    if not sources:
        raise InputError("there is no style picture; give one or more")
    shares = shares_of(config, len(sources))  # first, so that an error comes before any reading
    picture, styles = as_picture(content), tuple(as_picture(source) for source in sources)
    joined = "+".join(style.sha256 for style in styles)
    identity = {"content_sha256": picture.sha256, "style_sha256": joined}
    masks = {f"style_mask_{i}": mask for i, mask in enumerate(config.style_masks, 1)}
    masks["mask"] = config.mask
    names: dict[str, Any] = {**masks, **dict(config.options)}
    if config.init not in ("content", "style", "noise"):
        names["init"] = config.init
    files = {}
    for name, file in names.items():
        if isinstance(file, str) and (Path(file).is_file() or (name in masks and file)):
            files[name] = as_picture(file)
            identity[f"{name}_sha256"] = files[name].sha256
    identity["weights_id"] = weights_id(config.weights, config.seed, config.backbone)
    if (source := METHODS.source_hash(config.method)) is not None:
        identity["method_sha256"] = source
    named = [content, *sources, *(str(names[name]) for name in files)]
    named += own_weights(config.weights)
    paths = tuple(Path(p) for p in named if isinstance(p, (str, os.PathLike)))
    given = tuple(
        Path(p).name if isinstance(p, (str, os.PathLike)) else "" for p in (content, *sources)
    )
    return Inputs(picture, styles, shares, files, identity, paths, given)


def shares_of(config: Config, count: int) -> tuple[float, ...]:
    """The shares of ``count`` style pictures, which sum to one."""
    blend = config.blend or (1.0,) * count
    if len(blend) != count:
        raise InputError(f"blend has {len(blend)} shares for {count} style pictures; give {count}")
    return tuple(share / sum(blend) for share in blend)
