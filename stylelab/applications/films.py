"""Films: each frame starts from the last one, warped to it (Ruder, Dosovitskiy and Brox 2016)."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from stylelab.applications.frames import check_one_size, collect
from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.images import Source, load_image, standardize
from stylelab.maths.flow import (
    check_flow,
    flow_module,
    optical_flow,
    positions,
    sample_at,
    temporal_loss,
    visible,
    warp,
)
from stylelab.networks.blocks import Network
from stylelab.presets import PRESETS
from stylelab.training.painting import paint
from stylelab.training.transfer import ExtraTerms, Transfer

LATER_RATE = 1 / 3  # of the learning rate, in frames that start almost done


def film(
    frames: Sequence[Source],
    style: Any,
    config: Config | Network = PRESETS["paper"],
    later_steps: int | None = None,
    temporal_weight: float = 300.0,
    flows: Sequence[Tensor] | str | None = None,
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
            size; by default they are estimated. "dis" does it much faster (extra "flow"), see
            `optical_flow`.
        blends: shares of several styles, for each frame, if they change; see `transition`.
        on_frame: called after each frame with its number and its `Transfer`.

    Returns:
        A picture (1, 3, H, W) in [0, 1] for each frame; after Ctrl-C, for those done so far.

    Raises:
        InputError: bad frames, flows or settings.
        FilmStopped: a frame after the first one failed; the error has those before it.
    """
    settings = later_steps, temporal_weight, flows, blends, on_frame
    return collect(film_frames(frames, style, config, *settings))


def film_frames(
    frames: Sequence[Source],
    style: Any,
    config: Config | Network,
    later_steps: int | None = None,
    temporal_weight: float = 300.0,
    flows: Sequence[Tensor] | str | None = None,
    blends: Sequence[Sequence[float]] = (),
    on_frame: Callable[[int, Transfer], None] | None = None,
) -> Iterator[Tensor]:
    """What `film` collects, as it is painted."""
    if isinstance(frames, (str, os.PathLike)):
        raise InputError(f"give the frames of a film: film(read_frames('{frames}'), ...)")
    if len(frames) == 0:
        raise InputError("there are no frames; give one or more")
    if isinstance(config, Network):
        yield from (paint(config, frame, style) for frame in frames)
        return
    if config.scales > 1:
        raise InputError("a film takes scales=1: a later frame starts from the one before it")
    method = flows if isinstance(flows, str) else "tvl1"
    flow_module(method)  # before the first frame, if it is missing
    if isinstance(flows, str):
        flows = None
    if flows is not None and len(flows) != len(frames) - 1:
        raise InputError(f"{len(frames)} frames have {len(frames) - 1} flows, not {len(flows)}")
    if blends and len(blends) != len(frames):
        raise InputError(f"{len(frames)} frames have as many blends, not {len(blends)}")
    if not temporal_weight >= 0:
        raise InputError("temporal_weight should be 0 or above")
    pictures = [load_image(frame, config.size, config.fit) for frame in frames]
    check_one_size(pictures)
    for flow in flows or ():
        check_flow(flow, (pictures[0].shape[2], pictures[0].shape[3]))
    later = replace(
        config,
        steps=max(1, config.steps // 2) if later_steps is None else later_steps,
        learning_rate=LATER_RATE * config.learning_rate,
    )
    last = None
    for i, picture in enumerate(pictures):
        start: Tensor | None = None
        extra: ExtraTerms = {}
        if last is not None:
            before = pictures[i - 1]
            flow = optical_flow(picture, before, method) if flows is None else flows[i - 1]
            seen = visible(flow, optical_flow(before, picture, method) if flows is None else None)
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
        yield transfer.image
        if on_frame is not None:
            on_frame(i, transfer)


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
        if not bool(((places >= 0) & (places <= limit)).all()):  # NaN fails, too
            raise InputError("the camera leaves the picture; move it less, or show less")
        clip.append(sample_at(small, *places[0]))
        if i:
            before, zoomed = views[i - 1]
            flows.append((places - before) / zoomed - offset)
    return clip, flows
