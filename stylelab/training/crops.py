"""Pictures to train on: found, decoded once, split by picture, and cropped at random."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import torch
from PIL import Image
from torch import Tensor

from stylelab.errors import InputError
from stylelab.files import visible_files
from stylelab.images import Picture
from stylelab.sample_pictures import find

Prepare: TypeAlias = Callable[[Path, Tensor], Tensor]
"""From a picture's path and its pixels, (3, h, w) uint8, to what is cropped, (C, h, w) uint8."""


@dataclass(frozen=True)
class Photo:
    """A picture of a set."""

    path: Path
    sha256: str
    pixels: Tensor | None
    """(C, h, w) uint8; None where the memory for the set was used up, and it is decoded anew."""
    prepare: Prepare | None = None


def find_pictures(sources: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The paths of all pictures that are named, or lie in folders that are named, at any depth.

    Hidden files in folders are left out.

    Raises:
        InputError: a folder holds no picture, or a path or sample does not exist.
    """
    Image.init()
    found: list[Path] = []
    for source in sources:
        if not Path(source).is_dir():
            found.append(find(os.fspath(source)))
            continue
        files = visible_files(Path(source), deep=True)
        inside = [p for p in files if Image.EXTENSION.get(p.suffix.lower()) in Image.OPEN]
        if not inside:
            raise InputError(f"'{source}' holds no pictures; name a folder of photographs")
        found += inside
    return list(dict.fromkeys(found))


def read_set(
    paths: Sequence[Path],
    side: int,
    crop: int,
    memory_mb: float,
    prepare: Prepare | None = None,
) -> list[Photo]:
    """Decode pictures, scaled to ``side`` pixels on their shorter side.

    A picture that cannot be read, or is smaller than the crop, is left out with a warning; so is
    one that is there twice.

    Args:
        memory_mb: how many MB of pixels are kept; pictures beyond it are decoded each time.
        prepare: what becomes of each picture before it is cropped.

    Raises:
        InputError: no picture is left.
    """
    photos: dict[str, Photo] = {}
    left = memory_mb * 1e6
    with ThreadPoolExecutor() as pool:
        read = pool.map(lambda path: _read(path, side, crop, prepare), paths)
        for path, found in zip(paths, read, strict=True):
            if isinstance(found, str):
                warnings.warn(f"left out: {found}", stacklevel=2)
            elif found[0] not in photos:
                sha256, pixels = found
                left -= pixels.numel()
                photos[sha256] = Photo(path, sha256, pixels if left >= 0 else None, prepare)
    if not photos:
        raise InputError(f"none of {len(paths)} pictures can be used; name other ones")
    return list(photos.values())


def _read(path: Path, side: int, crop: int, prepare: Prepare | None) -> tuple[str, Tensor] | str:
    """The hash and pixels of a picture, or why it cannot be used."""
    try:
        picture = Picture(path)
        height, width = picture.size_at(None)
        if min(height, width) < crop:
            return f"'{path}' is {width} wide and {height} high, smaller than a crop of {crop}"
        scale = side / min(height, width)
        image = picture.load((round(height * scale), round(width * scale)))
        pixels = (image[0] * 255).round().to(torch.uint8)
        return picture.sha256, pixels if prepare is None else prepare(path, pixels)
    except InputError as error:
        return str(error)


def split(
    photos: Sequence[Photo], share: float, seed: int, place: Callable[[Path], str] | None = None
) -> tuple[list[Photo], list[Photo]]:
    """Pictures to train on and pictures held out, by a draw from the hash of each.

    Args:
        place: what a picture shows, from its path; pictures of one place stay together.

    Raises:
        InputError: there are fewer than two.
    """
    if len(photos) < 2:
        raise InputError("one picture cannot be split into trained and held out; give two or more")

    def group(photo: Photo) -> str:
        return photo.sha256 if place is None else place(photo.path)

    ranked = sorted(photos, key=lambda p: hashlib.sha256(f"{seed} {group(p)}".encode()).digest())
    count = min(len(photos) - 1, max(1, round(share * len(photos))))
    while count < len(photos) and group(ranked[count]) == group(ranked[count - 1]):
        count += 1
    if count == len(photos):
        raise InputError("too few places to hold one out; give pictures of more, or hold out less")
    return ranked[count:], ranked[:count]


class Crops:
    """Batches of random crops, half of them mirrored, of pictures that other threads decode ahead.

    Those threads do nothing else: a thread that runs parallel operations of PyTorch has a pool of
    workers of its own, and with more workers than cores those of the training wait for each other.
    A batch depends on the seed and its number alone: so a training that is resumed, or that is read
    by more threads, sees the same ones. Every picture is used once before any is used again.

    Args:
        photos: from `read_set`, which was given the same ``side`` and ``crop``.
        crop, batch: side of the square crops in pixels, and their number.
        readers: threads, each of which decodes the pictures of a batch ahead; 0 decodes them when
            they are asked for.
    """

    def __init__(
        self, photos: Sequence[Photo], side: int, crop: int, batch: int, seed: int, readers: int = 2
    ) -> None:
        self.photos, self.side, self.crop, self.count = photos, side, crop, batch
        self.seed, self.readers = seed, readers
        self._pool = ThreadPoolExecutor(readers) if readers else None
        self._ahead: dict[int, Future[list[Tensor]]] = {}
        self._order = lru_cache(maxsize=4)(self._shuffle)

    def _shuffle(self, epoch: int) -> list[int]:
        generator = seeded(self.seed, "order", epoch)
        return [int(i) for i in torch.randperm(len(self.photos), generator=generator)]

    def batch(self, number: int) -> Tensor:
        """The batch of that number, (batch, C, crop, crop) in [0, 1]."""
        generator = seeded(self.seed, "crops", number)
        crops = [random_crop(pixels, self.crop, generator) for pixels in self._decoded(number)]
        return torch.stack(crops).float() / 255

    def _decoded(self, number: int) -> list[Tensor]:
        if self._pool is None:
            return self._decode(number)
        for n in range(number, number + self.readers + 1):
            if n not in self._ahead:
                self._ahead[n] = self._pool.submit(self._decode, n)
        for n in [n for n in self._ahead if not number <= n <= number + self.readers]:
            self._ahead.pop(n).cancel()
        return self._ahead.pop(number).result()

    def _decode(self, number: int) -> list[Tensor]:
        photos = (self.photos[i] for i in self._indices(number))
        return [pixels_of(photo, self.side, self.crop) for photo in photos]

    def _indices(self, number: int) -> Iterator[int]:
        for k in range(number * self.count, (number + 1) * self.count):
            yield self._order(k // len(self.photos))[k % len(self.photos)]


def pixels_of(photo: Photo, side: int, crop: int) -> Tensor:
    """(C, h, w) uint8, decoded anew where they are not kept.

    Raises:
        InputError: the file is not any more what `read_set` read.
    """
    if photo.pixels is not None:
        return photo.pixels
    found = _read(photo.path, side, crop, photo.prepare)
    if isinstance(found, str) or found[0] != photo.sha256:
        raise InputError(f"'{photo.path}' changed during the training; start it again")
    return found[1]


def random_crop(image: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A square crop of an image (..., H, W), mirrored half of the time: (..., side, side)."""
    height, width = (n - side + 1 for n in image.shape[-2:])
    y, x, flip = (int(torch.randint(n, (), generator=generator)) for n in (height, width, 2))
    crop = image[..., y : y + side, x : x + side]
    return crop.flip(-1) if flip else crop


def seeded(seed: int, purpose: str, number: int) -> torch.Generator:
    """A generator of random numbers for one purpose and one step."""
    digest = hashlib.sha256(f"{seed} {purpose} {number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
