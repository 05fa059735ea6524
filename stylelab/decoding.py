"""Pictures of any kind, from files, arrays and tensors, as PIL images in 8 bits."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from stylelab.errors import InputError

MOST_PIXELS = 100_000_000  # a larger file is treated as a decompression bomb
HALF = 0.5 / 255  # what rounding to 8 bits brings back into [0, 1]
STRIP = 1024  # rows that are laid over white at a time

FAULTS: dict[type[Exception], str] = {  # what can go wrong with a file, and what to do
    FileNotFoundError: "does not exist; check the path",
    IsADirectoryError: "is a folder; name an image in it",
    PermissionError: "may not be read; check its permissions",
    UnidentifiedImageError: "is not an image that Pillow can read; try PNG or JPEG",
    Image.DecompressionBombError: f"has more than {MOST_PIXELS:,} pixels; scale it down first",
    MemoryError: "does not fit into memory; scale it down first",
    Exception: "is damaged or cut short; get it again",
}


@contextlib.contextmanager
def named_faults(name: str) -> Iterator[None]:
    """Turn any error while reading a file into an InputError of one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        fault = next(words for kind, words in FAULTS.items() if isinstance(error, kind))
        if fault == FAULTS[Exception] and isinstance(error, OSError) and error.strerror:
            fault = f"cannot be read ({error.strerror}); name another file"
        raise InputError(f"{name} {fault}") from None


@contextlib.contextmanager
def opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """The bytes of a picture file as a lazy PIL image; any fault within is an InputError."""
    with named_faults(name), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        Image.init()
        kinds = [kind for kind in Image.OPEN if kind != "EPS"]  # which starts Ghostscript
        with Image.open(io.BytesIO(content), formats=kinds) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            yield image


def decode(content: Any, name: str, factor: int = 1) -> Image.Image:
    """A picture in any mode, upright: of the bytes of a JPEG file that factor less, a power of two.

    Raises:
        InputError: the bytes, PIL image, array or tensor is no picture, or another kind of object.
    """
    if isinstance(content, Tensor):
        return _from_tensor(content)
    if isinstance(content, np.ndarray):
        return _from_array(content)
    if isinstance(content, Image.Image):
        try:
            return ImageOps.exif_transpose(content)
        except Exception as error:  # it is lazy, and of a file that is closed or cut short
            raise InputError(f"{name} cannot be read ({error}); open it again") from None
    if not isinstance(content, bytes):
        raise InputError(f"cannot load an image from {type(content).__name__}; give a path")
    with opened(content, name) as image:
        if factor > 1:
            image.draft(None, (image.width // factor, image.height // factor))
        ImageOps.exif_transpose(image, in_place=True)
        image.load()  # until here it is lazy, and closed with the file
        return image


def one_image(tensor: Tensor) -> Tensor:
    """A tensor (1, 3, H, W) or (3, H, W) as (3, H, W); InputError if it is something else."""
    image = tensor[0] if tensor.ndim == 4 and len(tensor) == 1 else tensor
    if image.ndim != 3 or len(image) != 3 or image.numel() == 0:
        raise InputError(f"a tensor of shape {tuple(tensor.shape)} is not one image (1, 3, H, W)")
    if tensor.is_meta or tensor.layout != torch.strided:
        raise InputError(f"a tensor of {tensor.layout} on {tensor.device} holds no pixels")
    return image.detach().cpu()


def _from_tensor(tensor: Tensor) -> Image.Image:
    image = one_image(tensor).permute(1, 2, 0)  # (H, W, 3)
    return _from_array((image.float() if image.is_floating_point() else image).numpy())


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Floats in [0, 1], up to what rounding mends, in 8 bits."""
    low, high = values.min(), values.max()
    if not (low >= -HALF and high <= 1 + HALF):  # NaN fails too
        found = f"not from {low:.4g} to {high:.4g}"
        raise InputError(f"floats must lie in [0, 1], {found}; divide by 255 or clip them")
    return (values.clip(0, 1) * 255.0).round().astype(np.uint8)


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.size and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))):
        raise InputError(f"an array of shape {array.shape} is no image; use (H, W[, 1, 3 or 4])")
    if array.dtype == np.uint16:
        array = array / 65535
    if array.dtype == bool or np.issubdtype(array.dtype, np.floating):
        array = _to_bytes(array.astype(float) if array.dtype == bool else array)
    if array.dtype != np.uint8:
        raise InputError(f"an array of {array.dtype} is no image; use uint8, uint16 or floats")
    return Image.fromarray(array)


def flatten(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB: 16- and 32-bit greys to 8 bits, transparency over white."""
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, or floats
        grey = np.asarray(image, dtype=np.float64)
        high = grey.max()
        if image.mode == "F":  # in [0, 1], or, as Pillow converts, in 0 ... 255
            top = 255 if 128 <= high < 256 else 1
        else:
            tops = (255, 65535) if image.mode == "I" else (65535,)
            top = next((top for top in tops if high <= top), high)
        image = Image.fromarray(_to_bytes(grey / top))
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="RGB") or image
    if image.has_transparency_data:
        found = Image.new("RGB", image.size)
        for top in range(0, image.height, STRIP):  # at once, it would take four copies
            rows = (0, top, image.width, min(top + STRIP, image.height))
            part = image.crop(rows).convert("RGBA")
            white = Image.new("RGBA", part.size, "white")
            found.paste(Image.alpha_composite(white, part).convert("RGB"), rows)
        return found
    return image if image.mode == "RGB" else image.convert("RGB")
