"""Read, resize, standardise, restore and save images."""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from stylelab.config import SMALLEST, check_size
from stylelab.decoding import decode, flatten, named_faults, one_image, opened
from stylelab.errors import InputError, unknown
from stylelab.files import read_file, write_atomically

Source: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Tensor | Picture"

# Mean and standard deviation of ImageNet's RGB channels, the usual ones of torchvision.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FINER = 2  # a JPEG file is decoded at this multiple of the size that is needed, or finer
SOFTWARE = f"stylelab {version('stylelab')}"  # the mark of pictures and films that are written
SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WebP"}


def load_image(
    source: Source,
    size: tuple[int, int] | int | None = None,
    fit: Literal["crop", "stretch"] = "crop",
) -> Tensor:
    """Load an RGB image, rotated upright, with transparent parts over white.

    Args:
        source: a path, the bytes of a file, a PIL image, an array (H, W), (H, W, 1), (H, W, 3)
            or (H, W, 4) of uint8, uint16 or floats in [0, 1], or a tensor (1, 3, H, W) or
            (3, H, W) of uint8 or floats in [0, 1].
        size: (height, width), or the longer side, in pixels; None keeps the image's own size.
        fit: how another aspect ratio is brought to (height, width): cropped or stretched.

    Returns:
        (1, 3, H, W) float32 in [0, 1].

    Raises:
        InputError: the source is no image, damaged, too large or under 16 pixels a side, or the
            size is not allowed.
    """
    return as_picture(source).load(size, fit)


class Picture:
    """A picture that is read once, however often its hash or its pixels are needed.

    It is decoded once, too, but for a JPEG file, of which less is decoded for smaller sizes.

    Args:
        source: anything that `load_image` takes.

    Raises:
        InputError: the file cannot be read, or, once its pixels are needed, is no image.
    """

    def __init__(self, source: Source) -> None:
        self._content, self._name = source, "this image"
        if isinstance(source, (str, os.PathLike)):
            self._name = f"'{os.fspath(source)}'"
            with named_faults(self._name):
                self._content = read_file(source)
        self._decoded: dict[int, Image.Image] = {}

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, or of the pixels if the image comes from no file."""
        if isinstance(self._content, bytes):
            return hashlib.sha256(self._content).hexdigest()
        image = self._image(1)
        return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()

    @cached_property
    def _size(self) -> tuple[int, int]:
        """Width and height, upright."""
        size = None
        if isinstance(self._content, bytes):
            with opened(self._content, self._name) as image:
                if image.format in ("JPEG", "MPO"):  # of others, EXIF may stand at the end
                    turned = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
                    size = image.size[::-1] if turned else image.size
        width, height = size or self._image(1).size
        if min(width, height) < SMALLEST:
            raise InputError(
                f"{self._name} is {width} wide and {height} high, and an image has {SMALLEST} "
                "pixels a side or more; give a larger one"
            )
        return width, height

    def _image(self, factor: int) -> Image.Image:
        """The picture in RGB, upright; a JPEG file at an eighth, a quarter or half of its size."""
        if not isinstance(self._content, bytes) or not self._content.startswith(b"\xff\xd8\xff"):
            factor = 1
        if factor not in self._decoded:
            self._decoded[factor] = flatten(decode(self._content, self._name, factor))
        return self._decoded[factor]

    def size_at(self, size: tuple[int, int] | int | None) -> tuple[int, int]:
        """The (height, width) in pixels that `load` returns for that size."""
        width, height = self._size
        if not isinstance(size, int):
            return size or (height, width)
        scale = size / max(width, height)
        sides = round(height * scale), round(width * scale)
        if min(sides) < SMALLEST:
            raise InputError(
                f"an image {width} wide and {height} high has a shorter side under {SMALLEST} "
                "pixels at that size; crop it or make it larger"
            )
        return sides

    def load(
        self, size: tuple[int, int] | int | None = None, fit: Literal["crop", "stretch"] = "crop"
    ) -> Tensor:
        """The pixels, (1, 3, H, W) float32 in [0, 1]; ``size`` and ``fit`` as for `load_image`."""
        height, width = self.size_at(None if size is None else check_size(size))
        own_width, own_height = self._size
        finer = min(own_width / width, own_height / height) / FINER
        image = self._image(next((f for f in (8, 4, 2) if f <= finer), 1))
        if size is not None:
            if fit not in ("crop", "stretch"):
                raise InputError(unknown("fit", fit, ["crop", "stretch"]))
            resize = ImageOps.fit if fit == "crop" else Image.Image.resize
            image = resize(image, (width, height), Image.Resampling.LANCZOS)
        pixels = torch.from_numpy(np.array(image))  # (H, W, 3) uint8
        return pixels.permute(2, 0, 1)[None].contiguous().float().div_(255)


def _statistics(image: Tensor) -> tuple[Tensor, Tensor]:
    mean, std = image.new_tensor([IMAGENET_MEAN, IMAGENET_STD])[:, :, None, None]  # (3, 1, 1) each
    return mean, std


def standardize(image: Tensor) -> Tensor:
    """Subtract ImageNet's mean from each channel, divide by its deviation.

    (B, 3, H, W) in [0, 1] to the same shape, about -2.1 to 2.7.
    """
    mean, std = _statistics(image)
    return (image - mean) / std


standardise = standardize  # its name before 0.2


def restore(image: Tensor, clip: bool = True) -> Tensor:
    """Undo `standardize` and, unless ``clip`` is false, clip to [0, 1]; (B, 3, H, W)."""
    mean, std = _statistics(image)
    image = image * std + mean
    return image.clamp(0, 1) if clip else image


def quantize(image: Tensor) -> Tensor:
    """The values that a file of 8 bits holds: clipped to [0, 1] and rounded to steps of 1/255."""
    return image.clamp(0, 1).mul(255).round() / 255


def to_pil(image: Tensor) -> Image.Image:
    """A (1, 3, H, W) or (3, H, W) tensor in [0, 1], or of uint8, as an 8-bit PIL image."""
    pixels = one_image(image).float() / (255 if image.dtype == torch.uint8 else 1)
    if not pixels.isfinite().all():
        raise InputError("the image holds NaN or infinite values; lower the learning rate")
    bytes_ = quantize(pixels).mul(255).round().to(torch.uint8)
    return Image.fromarray(bytes_.permute(1, 2, 0).contiguous().numpy())


def save_image(
    image: Tensor, path: str | os.PathLike[str], info: Mapping[str, Any] | None = None
) -> Path:
    """Save a (1, 3, H, W) image in [0, 1] as PNG, JPEG or WebP; never half a file.

    A PNG's text chunks also hold the kit's version and each entry of ``info`` as JSON. Raises
    InputError for another format, a wrong shape, NaN, or a place that cannot be written.
    """
    write_atomically(path := Path(path), encode_image(image, path.suffix or path.name, info))
    return path


def encode_image(image: Tensor, suffix: str, info: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a file with that suffix; see `save_image`."""
    if suffix.lower() not in SUFFIXES:
        raise InputError(unknown("image format", suffix, SUFFIXES))
    chunks = PngInfo()  # other formats ignore it, as PNG ignores the quality
    chunks.add_text("Software", SOFTWARE)
    for key, value in (info or {}).items():
        chunks.add_text(key, json.dumps(value))
    buffer = io.BytesIO()
    to_pil(image).save(buffer, SUFFIXES[suffix.lower()], quality=95, pnginfo=chunks)
    return buffer.getvalue()


def software() -> Image.Exif:
    """The kit's mark for formats that have EXIF instead of text."""
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = SOFTWARE
    return exif


def check_own(path: Path) -> None:
    """Raise InputError if there is a file, but no picture or film that the kit wrote."""
    if not path.exists():
        return
    mark = ""
    with contextlib.suppress(InputError, OSError), opened(read_file(path), "it") as image:
        mark = image.info.get("Software") or image.getexif().get(ExifTags.Base.Software, "")
    if not str(mark).startswith("stylelab"):
        raise InputError(
            f"'{path}' is not of stylelab and would be overwritten; name another place"
        )


def image_hash(source: Source) -> str:
    """SHA-256 of a file's bytes, or of the pixels if the image comes from no file."""
    return as_picture(source).sha256


def as_picture(source: Source) -> Picture:
    """Wrap a source as a `Picture`; a `Picture` is returned as it is."""
    return source if isinstance(source, Picture) else Picture(source)
