"""Films: each frame starts from the last one, warped to it (Ruder, Dosovitskiy and Brox 2016)."""

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageSequence
from torch import Tensor

from stylelab.config import Config
from stylelab.errors import InputError, unknown
from stylelab.files import write_atomically
from stylelab.images import (
    MOST_PIXELS,
    SUFFIXES,
    Source,
    load_image,
    save_image,
    standardize,
    to_pil,
)
from stylelab.maths.flow import optical_flow, positions, sample_at, temporal_loss, visible, warp
from stylelab.networks.blocks import Network
from stylelab.plots import Shown, show_webp
from stylelab.presets import PRESETS
from stylelab.training.painting import paint
from stylelab.training.transfer import ExtraTerms, Transfer

MOST_FRAMES = 1000
LATER_RATE = 1 / 3  # of the learning rate, in frames that start almost done


def film(
    frames: Sequence[Source],
    style: Any,
    config: Config | Network = PRESETS["paper"],
    later_steps: int | None = None,
    temporal_weight: float = 300.0,
    flows: Sequence[Tensor] | None = None,
    blends: Sequence[Sequence[float]] = (),
    on_frame: Callable[[int, Transfer], None] | None = None,
) -> list[Tensor]:
    """Stylise the frames of a film so that it does not flicker.

    Args:
        frames: anything that `load_image` takes, each.
        style, config: as for `Transfer`; ``config.steps`` are those of the first frame. Later
            ones, which start almost done, take a third of the learning rate. Or as for `paint`: a
            network paints each frame alone, and what follows is not for it.
        later_steps: of each later frame; by default half as many.
        temporal_weight: loss weight of `temporal_loss`; 0 leaves only the start of each frame.
        flows: from each frame back to the one before it, one fewer than frames, at the result's
            size; by default they are estimated with `optical_flow`.
        blends: shares of several styles, for each frame, if they change; see `transition`.
        on_frame: called after each frame with its number and its `Transfer`.

    Returns:
        A picture (1, 3, H, W) in [0, 1] for each frame.
    """
    if len(frames) == 0:
        raise InputError("there are no frames; give one or more")
    if isinstance(config, Network):
        return [paint(config, frame, style) for frame in frames]
    if config.scales > 1:
        raise InputError("a film takes scales=1: a later frame starts from the one before it")
    if flows is not None and len(flows) != len(frames) - 1:
        raise InputError(f"{len(frames)} frames have {len(frames) - 1} flows, not {len(flows)}")
    if blends and len(blends) != len(frames):
        raise InputError(f"{len(frames)} frames have as many blends, not {len(blends)}")
    if temporal_weight < 0:
        raise InputError("temporal_weight should be 0 or above")
    pictures = [load_image(frame, config.size, config.fit) for frame in frames]
    later = replace(
        config,
        steps=later_steps or max(1, config.steps // 2),
        learning_rate=LATER_RATE * config.learning_rate,
    )
    painted: list[Tensor] = []
    last = None
    for i, picture in enumerate(pictures):
        start: Tensor | None = None
        extra: ExtraTerms = {}
        if last is not None:
            before = pictures[i - 1]
            flow = optical_flow(picture, before) if flows is None else flows[i - 1]
            seen = visible(flow, optical_flow(before, picture) if flows is None else None)
            seen = seen.to(last)
            moved = warp(last, flow.to(last))
            # Parts that were hidden in the last frame start from the content.
            start = torch.lerp(standardize(picture).to(last), moved, seen)
            loss = partial(temporal_loss, moved=moved, seen=seen)
            extra = {"temporal": (loss, temporal_weight)} if temporal_weight else {}
        settings = later if i else config
        if blends:
            settings = replace(settings, blend=tuple(blends[i]))
        transfer = Transfer(picture, style, settings, start, extra)
        for _ in transfer:
            pass
        last = transfer.shown.detach()
        painted.append(transfer.image)
        if on_frame is not None:
            on_frame(i, transfer)
    return painted


def camera_move(
    picture: Source,
    size: tuple[int, int],
    frames: int = 24,
    start: tuple[float, float, float] = (0.5, 0.35, 1.0),
    end: tuple[float, float, float] = (0.5, 0.65, 0.85),
) -> tuple[list[Tensor], list[Tensor]]:
    """A clip in which the camera glides over a picture, with its exact flows.

    Args:
        picture: anything that `load_image` takes.
        size: (height, width) of the frames.
        frames: how many.
        start, end: the centre (down, across) of the camera's view, as fractions of the picture,
            and the view's size: 1 is two thirds of the largest window of that shape.

    Returns:
        The frames (1, 3, H, W) in [0, 1], and the flow from each back to the one before it.
    """
    whole = load_image(picture)
    height, width = whole.shape[2:]
    window = 2 / 3 * min(height / size[0], width / size[1])  # pixels of the picture a pixel
    # Softened to the frames' resolution first, or a moving camera would make edges sparkle.
    small = load_image(picture, (round(height / window), round(width / window)), "stretch")
    height, width = small.shape[2:]
    y, x = positions(torch.zeros(1, 2, *size))
    offset = torch.stack([y - (size[0] - 1) / 2, x - (size[1] - 1) / 2])[None]  # (1, 2, H, W)
    views = []
    for i in range(frames):
        t = i / max(1, frames - 1)
        down, across, zoom = (a + t * (b - a) for a, b in zip(start, end, strict=True))
        centre = torch.tensor([down * (height - 1), across * (width - 1)])[None, :, None, None]
        views.append((centre, zoom))
    clip, flows = [], []
    for i, (centre, zoom) in enumerate(views):
        places = centre + zoom * offset
        limit = torch.tensor([height - 1.0, width - 1.0])[None, :, None, None]
        if bool((places < 0).any() or (places > limit).any()):
            raise InputError("the camera leaves the picture; move it less, or show less")
        clip.append(sample_at(small, *places[0]))
        if i:
            before, zoomed = views[i - 1]
            flows.append((places - before) / zoomed - offset)
    return clip, flows


def read_frames(source: str | os.PathLike[str]) -> list[Tensor]:
    """The frames of an animated GIF, WebP or PNG, or of a folder of pictures, sorted by name."""
    path = Path(source)
    if path.is_dir():
        names = sorted(p for p in path.iterdir() if p.suffix.lower() in {*SUFFIXES, ".gif"})
        if not names:
            raise InputError(f"'{path}' holds no pictures; name a folder of frames")
        first = load_image(names[0])
        _check_length(path, len(names), first)
        return [first, *(load_image(name) for name in names[1:])]
    first = load_image(path)  # which says what is wrong
    with Image.open(path) as image:
        _check_length(path, getattr(image, "n_frames", 1), first)
        try:
            return [load_image(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]
        except (OSError, EOFError, SyntaxError):  # as Pillow says of a file that is cut short
            raise InputError(f"'{path}' is damaged or cut short; get it again") from None


def _check_length(path: Path, count: int, frame: Tensor) -> None:
    if count > MOST_FRAMES:
        raise InputError(f"'{path}' has {count} frames, and {MOST_FRAMES} are the most; cut it")
    if count * frame[0, 0].numel() > MOST_PIXELS:
        raise InputError(
            f"'{path}' has more than {MOST_PIXELS:,} pixels in {count} frames; scale it down"
        )


def write_film(
    frames: Sequence[Tensor], path: str | os.PathLike[str], seconds: float = 1 / 12
) -> Path:
    """Save frames as an animated WebP or GIF, or as numbered PNGs in a folder.

    Args:
        frames: images (1, 3, H, W) in [0, 1] of one size.
        path: ends in .webp or .gif; without a suffix it is a folder.
        seconds: how long each frame is shown.
    """
    path = Path(path)
    if not path.suffix and frames:
        if (path / f"frame_{len(frames):04d}.png").exists():
            raise InputError(f"'{path}' holds a longer film; name another folder, or delete it")
        for i, frame in enumerate(frames):
            save_image(frame, path / f"frame_{i:04d}.png")
        return path
    kinds = {".webp": "WebP", ".gif": "GIF"}
    if path.suffix and path.suffix.lower() not in kinds:
        raise InputError(unknown("film format", path.suffix, [*kinds, "a folder"]))
    write_atomically(path, _encode(frames, kinds.get(path.suffix.lower(), "WebP"), seconds))
    return path


def play(frames: Sequence[Tensor], alt: str, caption: str = "", seconds: float = 1 / 12) -> Shown:
    """A film for a notebook or a page, with alt text; it plays five times."""
    return show_webp(_encode(frames, "WebP", seconds, loop=5), alt, caption)


def _encode(frames: Sequence[Tensor], kind: str, seconds: float, loop: int = 0) -> bytes:
    if len(frames) == 0:
        raise InputError("a film has one frame or more")
    first, *rest = (to_pil(frame) for frame in frames)
    buffer = io.BytesIO()
    options = {"append_images": rest, "duration": round(1000 * seconds), "loop": loop}
    first.save(buffer, kind, save_all=True, quality=85, **options)
    return buffer.getvalue()
