"""The pictures of a training: trained on, held out, and shown in its sheet."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylelab.errors import InputError
from stylelab.gans.blocks import all_paintings
from stylelab.gans.blocks import photographs as kit
from stylelab.maths.resizing import resize
from stylelab.networks.blocks import Batch
from stylelab.recipes import Recipe, trainable
from stylelab.registry import GANS
from stylelab.sample_pictures import data_folder, sample
from stylelab.training.crops import (
    Crops,
    Photo,
    Prepare,
    find_pictures,
    pixels_of,
    read_set,
    seeded,
    split,
)

SHOWN = 4  # held-out pictures in the sheet
# Paintings for networks that take any; the other samples stay unseen.
PAINTINGS = ("harvest_at_la_crau", "langlois_bridge", "church_at_auvers")

Names = str | os.PathLike[str]


class Sets:
    """Pictures of a training, in batches.

    What a network is given as styles depends on its module: "one" and "many" read the pictures at
    the start; "any" gets crops of them, and is judged on those that it saw, too; of a "set", the
    GANs' second domain, some are held out as well; "none" has no styles.

    Args:
        r: the recipe.
        style, contents, readers, memory_mb: as for `stylelab.training.trainer.Training`.
    """

    def __init__(
        self,
        r: Recipe,
        style: Names | Sequence[Names],
        contents: Names | Sequence[Names],
        readers: int,
        memory_mb: float,
    ) -> None:
        module = trainable(r.network).load(r.network)
        self.config, self.kind = r, module.STYLES
        prepare: Prepare | None = getattr(module, "prepare", None)
        place = getattr(module, "place", None)
        paths = pictures_of(r, style, contents)
        photos = read_set(paths[0], r.side, r.crop, memory_mb, prepare)
        self.trained, self.unseen = split(photos, r.held_out, r.seed, place)
        styles = read_set(paths[1], r.style_side, r.crop, memory_mb) if paths[1] else []
        if self.kind == "one" and len(styles) > 1:
            raise InputError(f"network '{r.network}' learns one style, not {len(styles)}; name one")
        self.styles, shown = styles, styles
        self.names = [name.rpartition(".")[0] for name in short_names(styles)]
        self.pictures = {
            "trained": hashes(self.trained),
            "held_out": hashes(self.unseen),
            "styles": hashes(styles),
        }
        self.identity = {"content_sha256": _joined(photos), "style_sha256": _joined(styles)}
        if self.kind == "set":
            styles, shown = split(styles, r.held_out, r.seed)
            self.pictures |= {"styles": hashes(styles), "held_out_styles": hashes(shown)}
        few = max(16 if r.network in GANS else 4, r.batch)  # sets are judged, not single pictures
        self._crops = {
            "contents": Crops(self.trained, r.side, r.crop, r.batch, r.seed, readers),
            "unseen": Crops(self.unseen, r.side, r.crop, few, r.seed, 0),
        }
        if self.kind in ("any", "set"):
            seed = r.seed + 1  # so that pictures of both sets meet in another order
            self._crops["styles"] = Crops(styles, r.style_side, r.crop, r.batch, seed, readers)
            self._crops["unseen styles"] = Crops(shown, r.style_side, r.crop, few, seed, 0)
        count = min(SHOWN, len(self.unseen))
        self.shown = [square(image_of(p, r.side, r.crop), r.side) for p in self.unseen[:count]]
        """Held-out photographs, (1, C, side, side)."""
        self.around = []
        """For each of them, where styles are crops, a style picture."""
        if self.kind in ("any", "set"):
            self.around = [
                image_of(shown[i % len(shown)], r.style_side, r.crop) for i in range(count)
            ]

    def learnt_styles(self) -> list[Tensor]:
        """The style pictures that are read at the start, (1, 3, h, w) each."""
        known = self.styles if self.kind in ("one", "many") else []
        return [image_of(photo, self.config.style_side, self.config.crop) for photo in known]

    def batch(self, number: int, progress: float, device: torch.device) -> Batch:
        """The crops of a step."""
        return self._batch(("contents", "styles"), number, progress, device)

    def held_out(self, device: torch.device) -> Batch:
        """Crops of held-out pictures, always the same ones."""
        return self._batch(("unseen", "unseen styles"), 0, 1.0, device)

    def _batch(
        self, sets: tuple[str, str], number: int, progress: float, device: torch.device
    ) -> Batch:
        contents, styles = (
            self._crops[name].batch(number).to(device) if name in self._crops else torch.empty(0)
            for name in sets
        )
        return Batch(contents, styles, progress, seeded(self.config.seed, sets[0], number))

    def sheet(self, device: torch.device) -> Batch:
        """The squares that a GAN's sheet shows."""
        side = self.config.side
        styles = [square(image, side) for image in self.around]
        return Batch(
            torch.cat(self.shown).to(device),
            torch.cat(styles).to(device) if styles else torch.empty(0),
            1.0,
            seeded(self.config.seed, "sheet", 0),
        )


def pictures_of(
    settings: Recipe, style: Names | Sequence[Names], contents: Names | Sequence[Names]
) -> tuple[list[Path], list[Path]]:
    """The paths of the photographs and of the style pictures of a training; see `Training`."""
    module: Any = trainable(settings.network).load(settings.network)
    names, paintings = (
        [given] if isinstance(given, (str, os.PathLike)) else list(given)
        for given in (contents, style)
    )
    if not paintings and module.STYLES == "any":
        paintings = [data_folder() / "training" / "paintings", *map(sample, PAINTINGS)]
    elif not paintings and module.STYLES == "set":
        paintings = [*all_paintings()]  # it holds some out itself
    usual: Any = getattr(module, "DATA", kit)()
    if not names and not usual:
        raise InputError(f"'{settings.network}' has no pictures of its own; name a folder of them")
    if module.STYLES == "none" and paintings:
        raise InputError(f"'{settings.network}' takes no style; leave it out")
    if module.STYLES != "none" and not paintings:
        raise InputError(f"network '{settings.network}' learns a style; name a picture of it")
    return find_pictures(names or usual), find_pictures(paintings)


def hashes(photos: Sequence[Photo]) -> dict[str, str]:
    """The SHA-256 of each picture, by its short name."""
    return dict(zip(short_names(photos), (photo.sha256 for photo in photos), strict=True))


def short_names(photos: Sequence[Photo]) -> list[str]:
    """The file name of each picture, with as many of its folders as make all of them different."""
    depth, names = 1, [photo.path.name for photo in photos]
    while len(set(names)) < len({photo.path for photo in photos}):
        depth += 1
        names = ["/".join(photo.path.parts[-depth:]) for photo in photos]
    return names


def _joined(photos: Sequence[Photo]) -> str:
    found = sorted(photo.sha256 for photo in photos)
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def image_of(photo: Photo, side: int, crop: int) -> Tensor:
    """(1, C, h, w) in [0, 1]."""
    return pixels_of(photo, side, crop)[None].float() / 255


def square(image: Tensor, side: int) -> Tensor:
    """The middle of an image, (1, C, side, side)."""
    short = min(image.shape[2:])
    y, x = ((n - short) // 2 for n in image.shape[2:])
    found = image[:, :, y : y + short, x : x + short]
    if short == side:
        return found
    return resize(found, (side, side))
