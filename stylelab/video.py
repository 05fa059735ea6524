"""Films as files: animated WebP and GIF by Pillow, MP4 by PyAV (extra "video")."""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from stylelab.errors import InputError, unknown
from stylelab.files import read_file
from stylelab.images import SOFTWARE, check_own, software, to_pil

KINDS = {".webp": "WebP", ".gif": "GIF", ".mp4": "MP4"}  # that are written
VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")  # that PyAV reads
SECONDS = 1 / 12  # that each frame is shown, if nothing else is said
LONGEST = 60.0


def check_kind(path: Path) -> None:
    """Raise InputError unless a film can be written to a file with that suffix."""
    if path.suffix.lower() not in KINDS:
        raise InputError(unknown("film format", path.suffix, KINDS))
    if path.suffix.lower() == ".mp4":
        _pyav()


def _pyav() -> Any:
    try:
        return import_module("av")
    except ImportError:
        raise InputError(
            "videos need PyAV; run: pip install 'stylelab[video]', or use .webp or .gif"
        ) from None


def encode_film(frames: Sequence[Tensor], suffix: str, seconds: float, loop: int = 0) -> bytes:
    """The bytes of a film of frames (1, 3, H, W) in [0, 1], each shown for so many seconds.

    An MP4 has an even height and width: an odd one is repeated along its last edge.
    """
    if len(frames) == 0:
        raise InputError("a film has one frame or more")
    if not 0.001 <= seconds <= LONGEST:
        raise InputError(f"seconds={seconds:g} should be from 0.001 to {LONGEST:g} for each frame")
    kind, buffer = KINDS[suffix.lower()], io.BytesIO()
    if kind == "MP4":
        _encode_mp4(frames, buffer, seconds)
        return buffer.getvalue()
    first, *rest = (to_pil(frame) for frame in frames)
    options = {"append_images": rest, "duration": round(1000 * seconds), "loop": loop}
    marks: dict[str, dict[str, Any]] = {
        "WebP": {"exif": software()},
        "GIF": {"comment": SOFTWARE.encode()},
    }
    first.save(buffer, kind, save_all=True, quality=85, **options, **marks[kind])
    return buffer.getvalue()


def _encode_mp4(frames: Sequence[Tensor], buffer: io.BytesIO, seconds: float) -> None:
    av = _pyav()
    height, width = frames[0].shape[-2:]
    with av.open(buffer, "w", format="mp4") as film:
        film.metadata["comment"] = SOFTWARE
        rate = 1 / Fraction(seconds).limit_denominator(1000)
        stream = film.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height = width + width % 2, height + height % 2
        # Every player shows 4:2:0, in which colours have half the resolution.
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        for frame in frames:
            pixels = np.pad(
                np.asarray(to_pil(frame)), ((0, height % 2), (0, width % 2), (0, 0)), "edge"
            )
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        film.mux(stream.encode(None))


def is_video(path: Path) -> bool:
    """Whether a film's name is that of one which PyAV reads."""
    return path.suffix.lower() in VIDEOS


def video_frames(content: bytes, name: str) -> Iterator[Image.Image]:
    """The frames of a video, one by one, upright; its sound is left out.

    Raises:
        InputError: the bytes are no video, or damaged, or PyAV is missing.
    """
    av = _pyav()
    try:
        with av.open(io.BytesIO(content)) as film:
            for frame in film.decode(film.streams.video[0]):
                pixels = frame.to_ndarray(format="rgb24")
                yield Image.fromarray(np.rot90(pixels, round(frame.rotation / 90)).copy())
    except (av.FFmpegError, IndexError) as error:
        words = getattr(error, "strerror", None) or "nothing to see in it"
        raise InputError(f"{name} is no video, or damaged ({words}); give another") from None


def video_seconds(content: bytes) -> float:
    """How long a video shows each frame, on average."""
    with _pyav().open(io.BytesIO(content)) as film:
        return float(1 / (film.streams.video[0].average_rate or 12))


def check_own_film(path: Path) -> None:
    """`check_own`, also for MP4, whose mark is a comment in the file."""
    if path.suffix.lower() != ".mp4" or not path.exists():
        check_own(path)
    elif not path.is_file() or SOFTWARE.split()[0].encode() not in read_file(path):
        raise InputError(
            f"'{path}' is not of stylelab and would be overwritten; name another place"
        )
