"""Frames of films: read, written, played, and collected as they are painted."""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import ImageSequence
from torch import Tensor

from stylelab.decoding import MOST_PIXELS, named_faults, opened
from stylelab.errors import InputError, unknown
from stylelab.files import read_file, visible_files, write_atomically
from stylelab.images import (
    SOFTWARE,
    SUFFIXES,
    Picture,
    check_own,
    load_image,
    save_image,
    software,
    to_pil,
)
from stylelab.plots import Shown, show_webp, size_name

MOST_FRAMES = 1000
LONGEST = 60.0  # seconds that a frame is shown


class FilmStopped(InputError):
    """What ended a film after its first frame; ``frames`` are those painted before."""

    def __init__(self, message: object = "", frames: Iterable[Tensor] = ()) -> None:
        super().__init__(message)
        self.frames = list(frames)


def collect(frames: Iterator[Tensor]) -> list[Tensor]:
    """Frames as they are painted, in a list; what is done is not lost.

    After Ctrl-C it returns those done so far.

    Raises:
        FilmStopped: one after the first failed; the error has those before it.
    """
    painted: list[Tensor] = []
    try:
        for frame in frames:
            painted.append(frame)
    except KeyboardInterrupt:
        if not painted:
            raise
    except Exception as error:
        if not painted:
            raise
        words = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        kept = f"the {len(painted)} frames before it are this error's 'frames'"
        raise FilmStopped(f"frame {len(painted) + 1}: {words}; {kept}", painted) from error
    return painted


def check_one_size(frames: Sequence[Tensor]) -> None:
    """Raise InputError unless all frames (1, 3, H, W) have the size of the first one."""
    for i, frame in enumerate(frames, 1):
        if frame.shape[-2:] != frames[0].shape[-2:]:
            raise InputError(
                f"frame {i} is {size_name(frame)}, the first one {size_name(frames[0])}; a film "
                "has one size, (height, width)"
            )


def read_frames(source: str | os.PathLike[str]) -> list[Tensor]:
    """The frames of an animated GIF, WebP or PNG, or of a folder of pictures, sorted by name."""
    path = Path(source)
    if path.is_dir():
        kinds = {*SUFFIXES, ".gif"}
        names = sorted(p for p in visible_files(path) if p.suffix.lower() in kinds)
        if not names:
            raise InputError(f"'{path}' holds no pictures; name a folder of frames")
        frames, pixels = [], 0
        for name in names:
            picture = Picture(name)
            height, width = picture.size_at(None)
            _check_length(path, len(names), pixels := pixels + height * width)
            frames.append(picture.load())
        return frames
    with named_faults(f"'{path}'"):
        content = read_file(path)
    with opened(content, f"'{path}'") as image:
        count = getattr(image, "n_frames", 1)
        _check_length(path, count, count * image.width * image.height)
        return [load_image(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def _check_length(path: Path, count: int, pixels: int) -> None:
    if count > MOST_FRAMES:
        raise InputError(f"'{path}' has {count} frames, and {MOST_FRAMES} are the most; cut it")
    if pixels > MOST_PIXELS:
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

    Raises:
        InputError: frames of several sizes or with NaN, another format, or a folder with a longer
            film or with frames that the kit did not write.
    """
    path = Path(path)
    check_one_size(frames)
    for frame in frames:  # all of them before the first one is written
        to_pil(frame)
    if not path.suffix and frames:
        if (path / f"frame_{len(frames):04d}.png").exists():
            raise InputError(f"'{path}' holds a longer film; name another folder, or delete it")
        names = [path / f"frame_{i:04d}.png" for i in range(len(frames))]
        for name in names:
            check_own(name)
        for frame, name in zip(frames, names, strict=True):
            save_image(frame, name)
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
    if not 0.001 <= seconds <= LONGEST:
        raise InputError(f"seconds={seconds:g} should be from 0.001 to {LONGEST:g} for each frame")
    first, *rest = (to_pil(frame) for frame in frames)
    buffer = io.BytesIO()
    options = {"append_images": rest, "duration": round(1000 * seconds), "loop": loop}
    marks: dict[str, dict[str, Any]] = {
        "WebP": {"exif": software()},
        "GIF": {"comment": SOFTWARE.encode()},
    }
    first.save(buffer, kind, save_all=True, quality=85, **options, **marks[kind])
    return buffer.getvalue()
