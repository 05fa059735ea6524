"""A film of a transfer on its way, for ``stylize(record=...)``."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.errors import InputError
from stylelab.files import check_writable, write_atomically
from stylelab.video import SECONDS, check_kind, check_own_film, encode_film

OnStep = Callable[[Any], None] | None


@contextmanager
def recorded(
    path: str | os.PathLike[str] | None,
    every: int,
    on_step: OnStep = None,
    inputs: Iterable[Path] = (),
) -> Iterator[OnStep]:
    """An ``on_step`` that films a `Transfer` and calls the given one, too.

    The film has the picture after the first step, after each step that ``every`` divides, and
    after the last, all at the size of the last scale. It is written when the block ends, however
    it ends; what cannot be written then is a warning, because the run's result matters more.

    Args:
        path: ends in .gif, .webp or .mp4 (which needs the extra "video"); None records nothing.
        every: steps from one frame to the next.
        on_step: what else is called after each step.
        inputs: files that are read, none of which may be ``path``.

    Raises:
        InputError: at once, another format, a place that cannot be written or holds somebody
            else's file, or ``every`` is below 1.
    """
    if path is None:
        yield on_step
        return
    if every < 1:
        raise InputError(f"record_every={every} should be 1 or more steps")
    path = Path(path)
    frames: list[Tensor] = []
    check_kind(path)
    check_writable(path, inputs)
    check_own_film(path)

    def watch(transfer: Any) -> None:
        if not frames or transfer.steps_done % every == 0 or transfer.done:
            frames.append(_frame(transfer))
        if on_step is not None:
            on_step(transfer)

    try:
        yield watch
    finally:
        try:
            if frames:
                write_atomically(path, encode_film(frames, path.suffix, SECONDS))
        except InputError as fault:
            warnings.warn(f"the film is lost: {fault}", stacklevel=2)
    if not frames:
        warnings.warn(f"no step was made, so '{path}' is not recorded", stacklevel=2)


def _frame(transfer: Any) -> Tensor:
    """The picture so far in 8 bits, a quarter of the memory, at the size of the last scale."""
    image: Tensor = transfer.image
    size = transfer.sizes[-1]
    if image.shape[2:] != size:
        image = F.interpolate(image, size, mode="bilinear")
    return image.mul(255).round().to(torch.uint8)
