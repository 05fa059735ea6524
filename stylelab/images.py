"""Read, resize, standardise, restore and save images."""

import contextlib
import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from stylelab.config import SMALLEST, check_size
from stylelab.errors import InputError, unknown
from stylelab.files import write_atomically

Source: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Tensor | Picture"

# Mean and standard deviation of ImageNet's RGB channels, the usual ones of torchvision.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MOST_PIXELS = 100_000_000  # a larger file is treated as a decompression bomb
SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WebP"}


def load_image(
    source: Source,
    size: tuple[int, int] | int | None = None,
    fit: Literal["crop", "stretch"] = "crop",
) -> Tensor:
    """Load an RGB image, rotated upright, with transparent parts over white.

    Args:
        source: a path, the bytes of a file, a PIL image, an array (H, W), (H, W, 1), (H, W, 3)
            or (H, W, 4) of uint8, uint16 or floats in [0, 1], or a tensor as returned from here.
        size: (height, width), or the longer side, in pixels; None keeps the image's own size.
        fit: how another aspect ratio is brought to (height, width): cropped or stretched.

    Returns:
        (1, 3, H, W) float32 in [0, 1].

    Raises:
        InputError: the source is no image, damaged or too large, or the size is not allowed.
    """
    return as_picture(source).load(size, fit)


class Picture:
    """A picture that is read and decoded once, however often its hash or its pixels are needed.

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
                self._content = Path(source).read_bytes()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, or of the pixels if the image comes from no file."""
        if isinstance(self._content, bytes):
            return hashlib.sha256(self._content).hexdigest()
        pixels = repr(self._image.size).encode() + self._image.tobytes()
        return hashlib.sha256(pixels).hexdigest()

    @cached_property
    def _image(self) -> Image.Image:
        return _flatten(_decode(self._content, self._name))

    def size_at(self, size: tuple[int, int] | int | None) -> tuple[int, int]:
        """The (height, width) in pixels that `load` returns for that size."""
        width, height = self._image.size
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
        image = self._image
        if size is not None:
            height, width = self.size_at(check_size(size))
            if fit not in ("crop", "stretch"):
                raise InputError(unknown("fit", fit, ["crop", "stretch"]))
            resize = ImageOps.fit if fit == "crop" else Image.Image.resize
            image = resize(image, (width, height), Image.Resampling.LANCZOS)
        pixels = torch.from_numpy(np.array(image, dtype=np.float32))  # (H, W, 3)
        return pixels.permute(2, 0, 1)[None].contiguous() / 255


FAULTS: dict[type[Exception], str] = {  # what can go wrong with a file, and what to do
    FileNotFoundError: "does not exist; check the path",
    IsADirectoryError: "is a folder; name an image in it",
    PermissionError: "may not be read; check its permissions",
    UnidentifiedImageError: "is not an image that Pillow can read; try PNG or JPEG",
    Image.DecompressionBombError: f"has more than {MOST_PIXELS:,} pixels; scale it down first",
    Exception: "is damaged or cut short; get it again",
}


@contextlib.contextmanager
def named_faults(name: str) -> Iterator[None]:
    """Turn any error while reading a file into an InputError of one line."""
    try:
        yield
    except Exception as error:
        fault = next(words for kind, words in FAULTS.items() if isinstance(error, kind))
        raise InputError(f"{name} {fault}") from None


def _decode(content: Source, name: str) -> Image.Image:
    if isinstance(content, Tensor):
        return to_pil(content)
    if isinstance(content, np.ndarray):
        return _from_array(content)
    if isinstance(content, Image.Image):
        return ImageOps.exif_transpose(content)
    if not isinstance(content, bytes):
        raise InputError(f"cannot load an image from {type(content).__name__}; give a path")
    with named_faults(name), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        Image.init()
        kinds = [kind for kind in Image.OPEN if kind != "EPS"]  # which starts Ghostscript
        with Image.open(io.BytesIO(content), formats=kinds) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            return ImageOps.exif_transpose(image)


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.size and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))):
        raise InputError(f"an array of shape {array.shape} is no image; use (H, W[, 1, 3 or 4])")
    if array.dtype == np.uint16:
        array = array / 65535
    if array.dtype == bool or np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):  # NaN fails too
            raise InputError("an array of floats must lie in [0, 1]; divide by 255 or clip it")
        array = (array * 255.0).round().astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"an array of {array.dtype} is no image; use uint8, uint16 or floats")
    return Image.fromarray(array)


def _flatten(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB: 16- and 32-bit greys to 8 bits, transparency over white."""
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, or floats
        grey = np.nan_to_num(np.asarray(image, dtype=np.float64))
        tops = {"F": (1, 255, 65535), "I": (255, 65535)}.get(image.mode, (65535,))
        top = next((top for top in tops if grey.max() <= top), grey.max())
        image = Image.fromarray((grey.clip(0) / top * 255).round().astype(np.uint8))
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="RGB") or image
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


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
    """A (1, 3, H, W) or (3, H, W) tensor in [0, 1] as an 8-bit PIL image."""
    image = image[0] if image.ndim == 4 and len(image) == 1 else image
    if image.ndim != 3 or len(image) != 3 or image.numel() == 0:
        raise InputError(f"a tensor of shape {tuple(image.shape)} is not one image (1, 3, H, W)")
    pixels = image.detach().float().cpu()
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
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(unknown("image format", path.suffix or path.name, SUFFIXES))
    chunks = PngInfo()  # other formats ignore it, as PNG ignores the quality
    chunks.add_text("Software", f"stylelab {version('stylelab')}")
    for key, value in (info or {}).items():
        chunks.add_text(key, json.dumps(value))
    buffer = io.BytesIO()
    to_pil(image).save(buffer, SUFFIXES[path.suffix.lower()], quality=95, pnginfo=chunks)
    write_atomically(path, buffer.getvalue())
    return path


def image_hash(source: Source) -> str:
    """SHA-256 of a file's bytes, or of the pixels if the image comes from no file."""
    return as_picture(source).sha256


def as_picture(source: Source) -> Picture:
    """Wrap a source as a `Picture`; a `Picture` is returned as it is."""
    return source if isinstance(source, Picture) else Picture(source)
