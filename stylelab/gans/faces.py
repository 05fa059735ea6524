"""The child of two faces: an adversarial autoencoder of faces (Makhzani et al. 2015), for fun.

A face is a shape, its landmarks, and a texture, its picture warped to the mean landmarks. Both
have codes whose values are about N(0, 1): shapes by principal components, textures by a network
that begins as principal components and whose codes a discriminator compares with draws from
N(0, 1). A second discriminator sees the textures, those of mixed codes, too, so that children are
as sharp as their parents. As a hundred faces are few, half of what the network sees is put together
from the features of several.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor

from stylelab.config import checked
from stylelab.errors import InputError
from stylelab.gans.blocks import cross_entropy, least_squares
from stylelab.gans.blocks import optimizer as optimizer
from stylelab.gans.features import (
    POINTS,
    SIDE,
    masks,
    mingled,
    mirror,
    mirror_pairs,
    to_frame,
    to_texture,
)
from stylelab.gans.heredity import Faces
from stylelab.networks.blocks import Batch
from stylelab.objectives import Terms
from stylelab.recipes import Recipe

STYLES = "none"
LANDMARKS = "landmarks.json"  # beside the pictures: for each file name, 189 of (down, across)
RECIPE: dict[str, Any] = {
    "steps": 1600,
    "batch": 8,
    "crop": SIDE,
    "side": SIDE,
    "learning_rate": 1e-3,
    "held_out": 0.15,
    "precision": "float32",
}
HEAD = 0.5  # of the weight of a face's pixels, that of hair and background
GUESSED = 0.05  # that of pixels outside of a picture, where its edge is repeated
NOISE, JITTER = 0.1, 0.06  # added to codes, and multiplied to colours, while training
CALM = (0.15, 0.3)  # of a training, between which the discriminator of textures comes in


@checked
class Options:
    codes: Annotated[int, Field(ge=2, le=256)] = 48
    """Length of a texture's code."""
    shapes: Annotated[int, Field(ge=1, le=80)] = 24
    """Length of a shape's code."""


def DATA() -> list[Path]:
    return []  # pictures of persons are not shipped


def build(options: Options, names: Sequence[str]) -> Faces:
    return Faces(options.codes, options.shapes)


def loss_weights(recipe: Recipe) -> dict[str, float]:
    return {"pixels": 1.0, "edges": 1.0, "codes": 0.02, "textures": 0.03, "real": 1.0, "made": 1.0}


@lru_cache(maxsize=4)
def read_landmarks(folder: Path) -> dict[str, Tensor]:
    """Landmarks (189, 2) of the pictures in a folder, by file name, in pixels of the files.

    Raises:
        InputError: the file of landmarks is missing or damaged, or one face has too few.
    """
    path = folder / LANDMARKS
    try:
        found = {name: torch.tensor(v).float() for name, v in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = type(error).__name__
        raise InputError(f"'{path}' cannot be read ({reason}); put landmarks there") from None
    for name, landmarks in found.items():
        if landmarks.shape != (POINTS, 2):
            raise InputError(f"'{path}': '{name}' should have {POINTS} landmarks (down, across)")
    return found


@lru_cache(maxsize=4)
def mean_shape(folder: Path) -> Tensor:
    """The mean landmarks of a folder's faces and of their mirrored pictures, in the frame."""
    mean = torch.stack([*map(to_frame, read_landmarks(folder).values())]).mean(0)
    return (mean + mirror(mean, mirror_pairs(mean))) / 2


def prepare(path: Path, pixels: Tensor) -> Tensor:
    """A face's texture and where it is known, (4, 128, 128) uint8, from pixels (3, h, w)."""
    known = read_landmarks(path.parent)
    if path.name not in known:
        raise InputError(f"'{path}' has no landmarks in '{LANDMARKS}'; add them, or remove it")
    with Image.open(path) as file:
        landmarks = known[path.name] * (pixels.shape[1] / file.height)
    mean = mean_shape(path.parent)
    found = to_texture(pixels[None] / 255, landmarks[:2], to_frame(landmarks), mean)
    return (found[0] * 255).round().to(torch.uint8)


def begin(game: Faces, pictures: Sequence[tuple[Path, Tensor]]) -> None:
    """Take means and principal components of the faces that are trained on.

    Args:
        pictures: their paths, all in one folder, and what `prepare` made of them.

    Raises:
        InputError: they lie in several folders, so that their textures have different means.
    """
    if len(folders := {path.parent for path, _ in pictures}) > 1:
        raise InputError(f"faces lie in {len(folders)} folders; put all of them into one")
    known = read_landmarks(folder := folders.pop())
    mean = mean_shape(folder)
    shapes = torch.stack([to_frame(known[path.name]) for path, _ in pictures])
    game.generators.begin_shapes(torch.cat([shapes, mirror(shapes, mirror_pairs(mean))]), mean)
    textures = torch.stack([pixels for _, pixels in pictures]).float() / 255
    where, generator = masks(mean), torch.Generator().manual_seed(0)
    both = torch.cat([textures, textures.flip(3)])
    more = [mingled(both, where, generator) for _ in range(5)]
    game.generators.begin_textures(torch.cat([both, *more]), 1 - (1 - HEAD) * where["head"])


def players(game: Faces, recipe: Recipe) -> dict[str, Callable[[Batch], Terms]]:
    where = masks(game.generators.mean.cpu())
    features = torch.stack([mask for name, mask in where.items() if name != "head"])
    weights = 1 - (1 - HEAD) * where["head"] + features.sum(0)  # features count twice
    made: dict[str, Tensor] = {}

    def generators(batch: Batch) -> Terms:
        given = batch.contents

        def noise(*size: int) -> Tensor:
            return torch.randn(size, generator=batch.generator).to(given)

        half = len(given) // 2
        given = torch.cat([mingled(given, where, batch.generator)[:half], given[half:]])
        light = 1 + JITTER * noise(len(given), 1, 1, 1)
        real, known = (given[:, :3] * light).clamp(0, 1), given[:, 3:]
        code = game.encode(torch.cat([real, known], 1))
        near = code + NOISE * noise(*code.shape)
        share = torch.rand(len(code), 1, generator=batch.generator).to(code)
        # Of unit variance again, as codes are that are drawn.
        child = (share * near + (1 - share) * near.roll(1, 0)) / (
            share**2 + (1 - share) ** 2
        ).sqrt()
        found, children = game.decode(near), game.decode(child[:half])
        made["code"], made["drawn"] = code, noise(*code.shape)
        made["real"] = real * known
        made["made"] = torch.cat([found * known, children * known[:half]]).clamp(0, 1)
        begun = min(1.0, max(0.0, (batch.progress - CALM[0]) / (CALM[1] - CALM[0])))
        judge = game.discriminators
        return {
            **differences(found, real, weights.to(real) * known.clamp_min(GUESSED)),
            "codes": cross_entropy(judge["codes"](code), True),
            "textures": begun * least_squares(judge["textures"](made["made"]), True),
        }

    def discriminators(batch: Batch) -> Terms:
        codes, textures = game.discriminators["codes"], game.discriminators["textures"]
        return {
            "real/codes": cross_entropy(codes(made["drawn"]), True),
            "made/codes": cross_entropy(codes(made["code"].detach()), False),
            "real/textures": least_squares(textures(made["real"]), True),
            "made/textures": least_squares(textures(made["made"].detach()), False),
        }

    return {"generators": generators, "discriminators": discriminators}


def differences(found: Tensor, real: Tensor, weights: Tensor) -> Terms:
    """Weighted mean absolute differences of textures at four sizes, and of their edges."""
    total = weights.mean()
    terms: Terms = {}
    for k in range(4):
        gap = F.avg_pool2d((found - real) * weights, 2**k).abs().mean() / total
        terms[f"pixels/{SIDE // 2**k}"] = gap
    for name, axis in (("down", 2), ("across", 3)):
        steps = ((found - real).diff(dim=axis)).abs() * weights.narrow(axis, 1, SIDE - 1)
        terms[f"edges/{name}"] = steps.mean() / total
    return terms
