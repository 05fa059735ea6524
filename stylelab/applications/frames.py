"""Frames of films: read, written, played, and collected as they are painted."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import ImageSequence
from torch import Tensor

from stylelab.decoding import MOST_PIXELS, named_faults, opened
from stylelab.errors import InputError
from stylelab.files import read_file, visible_files, write_atomically
from stylelab.images import (
    SUFFIXES,
    Picture,
    check_own,
    load_image,
    save_image,
    to_pil,
)
from stylelab.plots import Shown, show_webp, size_name
from stylelab.video import (
    LONGEST,
    SECONDS,
    check_kind,
    encode_film,
    is_video,
    video_frames,
    video_seconds,
)

MOST_FRAMES = 1000


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
    """The frames of an animated GIF, WebP or PNG, of a video (extra "video"), or of a folder.

    A folder's pictures are sorted by name; a video's sound is left out.
    """
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
    if is_video(path):
        frames, pixels = [], 0
        for image in video_frames(content, f"'{path}'"):
            _check_length(path, len(frames) + 1, pixels := pixels + image.width * image.height)
            frames.append(load_image(image))
        return frames
    with opened(content, f"'{path}'") as image:
        count = getattr(image, "n_frames", 1)
        _check_length(path, count, count * image.width * image.height)
        return [load_image(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def frame_seconds(source: str | os.PathLike[str]) -> float:
    """How long a film shows each frame, on average; 1/12 where its file does not say."""
    path = Path(source)
    content = read_file(path)
    if is_video(path):
        return video_seconds(content)
    with opened(content, f"'{path}'") as image:
        shown = [frame.info.get("duration", 0) for frame in ImageSequence.Iterator(image)]
    mean = sum(shown) / len(shown) / 1000
    return min(mean, LONGEST) if mean >= 0.001 else SECONDS


def _check_length(path: Path, count: int, pixels: int) -> None:
    if count > MOST_FRAMES:
        raise InputError(f"'{path}' has {count} frames, and {MOST_FRAMES} are the most; cut it")
    if pixels > MOST_PIXELS:
        raise InputError(
            f"'{path}' has more than {MOST_PIXELS:,} pixels in {count} frames; scale it down"
        )


def write_film(
    frames: Sequence[Tensor], path: str | os.PathLike[str], seconds: float = SECONDS
) -> Path:
    """Save frames as an animated WebP or GIF, as MP4, or as numbered PNGs in a folder.

    Args:
        frames: images (1, 3, H, W) in [0, 1] of one size.
        path: ends in .webp, .gif or .mp4 (extra "video"); without a suffix it is a folder.
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
    if path.suffix:
        check_kind(path)
    write_atomically(path, encode_film(frames, path.suffix or ".webp", seconds))
    return path


def play(frames: Sequence[Tensor], alt: str, caption: str = "", seconds: float = SECONDS) -> Shown:
    """A film for a notebook or a page, with alt text; it plays five times."""
    return show_webp(encode_film(frames, ".webp", seconds, loop=5), alt, caption)
