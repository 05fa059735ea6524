"""The game of faces: it reads faces, draws them again, draws new ones, and children of two."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylelab.gans.autoencoder import Autoencoder
from stylelab.gans.blocks import Game, spread, tiled
from stylelab.gans.discriminators import PatchGAN
from stylelab.gans.features import (
    EYES,
    POINTS,
    SIZE,
    assemble,
    check_shares,
    combine,
    masks,
    on_plain,
    to_frame,
    to_picture,
    to_texture,
)
from stylelab.maths.resizing import resize
from stylelab.maths.warping import moved, similarity
from stylelab.networks.blocks import Batch, check_image, mixed

DRAWN = 0.8  # deviation of the codes that are drawn: the rarest faces look least like faces
PRIOR = 1e-2  # weight of a fitted shape's distance from the mean


@dataclass(frozen=True)
class Face:
    """The codes of faces, about N(0, 1)."""

    texture: Tensor
    """(B, codes)."""
    shape: Tensor
    """(B, shapes)."""


class Faces(Game):
    """Reads faces, draws them, and draws children of two.

    Called with images (B, 3, H, W), it takes them for textures, and gives back what it knows of
    them.
    """

    undecided = 2 * log(2) + 0.5

    def __init__(self, codes: int, shapes: int) -> None:
        super().__init__()
        self.generators = Autoencoder(codes, shapes)
        widths = (codes, 256, 256, 1)
        parts: list[nn.Module] = []
        for a, b in pairwise(widths):
            parts += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        self.discriminators = nn.ModuleDict(
            {"codes": nn.Sequential(*parts[:-1]), "textures": PatchGAN(width=24)}
        )

    def encode(self, texture: Tensor) -> Tensor:
        """Codes (B, codes) of textures (B, 4, 128, 128), of which the last says what is known."""
        known, mean = texture[:, 3:], self.generators.decoder.mean.detach()
        return cast(Tensor, self.generators.encoder(texture[:, :3] * known + mean * (1 - known)))

    def decode(self, code: Tensor) -> Tensor:
        """Textures (B, 3, 128, 128), about [0, 1], of codes (B, codes)."""
        return cast(Tensor, self.generators.decoder(code))

    def read(self, image: Tensor, landmarks: Tensor) -> Face:
        """The codes of a face.

        Args:
            image: (1, 3, H, W) in [0, 1].
            landmarks: its landmarks in pixels, (189, 2), as `stylelab.gans.features` has them.

        Raises:
            InputError: the landmarks have another shape, are not finite, or the pupils are one.
        """
        own = self.generators
        image, landmarks = image.to(own.mean), landmarks.to(own.mean)
        shape = to_frame(landmarks)
        code = (shape - own.mean).flatten() @ own.basis.mT / own.basis.square().sum(1)
        texture = to_texture(image, landmarks[:2], shape, own.mean)
        return Face(self.encode(texture), code[None])

    def landmarks(self, face: Face) -> Tensor:
        """The landmarks of faces in their pictures of 128x128, (B, 189, 2)."""
        return self._points(face.shape)

    def _points(self, code: Tensor) -> Tensor:
        return self.generators.mean + (code @ self.generators.basis).view(-1, POINTS, 2)

    def picture(self, face: Face) -> Tensor:
        """Faces as the network knows them, (B, 3, 128, 128) in [0, 1]."""
        return self._draw(self.decode(face.texture), self.landmarks(face))

    def _draw(self, texture: Tensor, landmarks: Tensor) -> Tensor:
        mean = self.generators.mean
        texture = on_plain(F.pad(texture.clamp(0, 1), (0, 0, 0, 0, 0, 1)), mean)[:, :3]
        return to_picture(texture, landmarks, mean)

    def child(
        self, first: Face, second: Face, shares: Mapping[str, float] | None = None
    ) -> tuple[Tensor, Tensor]:
        """A child's picture, (B, 3, 128, 128) in [0, 1], and its landmarks, (B, 189, 2).

        Args:
            shares: the second parent's share in each feature: skin, head, eyes, brows, nose and
                mouth; 0.5, its default, averages landmarks and codes.

        Raises:
            InputError: an unknown feature, or a share outside [0, 1].
        """
        given = check_shares(shares or {})
        textures = {
            share: self.decode((1 - share) * first.texture + share * second.texture)
            for share in dict.fromkeys(given.values())
        }
        others = {k: textures[v] for k, v in given.items() if v != given["skin"]}
        texture = assemble(textures[given["skin"]], others, masks(self.generators.mean.cpu()))
        mean = self.generators.mean
        landmarks = combine(self.landmarks(first), self.landmarks(second), given, mean)
        return self._draw(texture, landmarks), landmarks

    def sample(self, count: int, generator: torch.Generator | None = None) -> Face:
        """Faces of nobody; without a generator always the same ones."""
        generator, own = generator or torch.Generator().manual_seed(0), self.generators
        length = own.encoder.last.out_features
        sizes = (count, length), (count, len(own.basis))
        codes = [DRAWN * torch.randn(size, generator=generator).to(own.mean) for size in sizes]
        return Face(*codes)

    @torch.enable_grad()
    def fit(self, image: Tensor, eyes: Tensor, steps: int = 30) -> Tensor:
        """Landmarks of a face of which only the pupils are known, (189, 2) in pixels.

        Moves the shape's code until the network, which knows faces, can draw the texture again
        (as active appearance models do: Cootes, Edwards and Taylor 2001).

        Args:
            image: (1, 3, H, W) in [0, 1].
            eyes: the pupils, (2, 2), left one in the picture first.

        Raises:
            InputError: the pupils are one.
        """
        mean = self.generators.mean
        image, eyes = image.to(mean), eyes.to(mean)
        similarity(eyes, EYES)
        code = mean.new_zeros(1, len(self.generators.basis)).requires_grad_()
        optimizer = torch.optim.Adam([code], 0.1)
        for _ in range(steps):
            found = to_texture(image, eyes, self._points(code)[0], mean)
            error = (self.decode(self.encode(found)) - found[:, :3]).abs() * found[:, 3:]
            loss = error.mean() + PRIOR * code.square().mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return moved(similarity(EYES.to(mean), eyes), self._points(code)[0].detach())

    def forward(self, image: Tensor, style: None = None, strength: float = 1.0) -> Tensor:
        check_image(image)
        small = resize(image, SIZE)
        found = self.decode(self.encode(F.pad(small, (0, 0, 0, 0, 0, 1), value=1.0)))
        found = F.interpolate(found, image.shape[2:], mode="bicubic").clamp(0, 1)
        return mixed(image, found, strength)

    def judge(self, batch: Batch) -> dict[str, float]:
        real, known = batch.contents[:, :3], batch.contents[:, 3:]
        code = self.encode(batch.contents)
        found = self.decode(code)
        error = ((found - real).abs() * known).sum() / known.sum() / 3
        apart = spread(found, real)
        return {"total": float(error), "codes": float(code.std()), "spread": apart}

    def sheet(self, batch: Batch) -> Tensor:
        """Rows: held-out textures, the same again from their codes, and textures of nobody."""
        drawn = self.sample(len(batch.contents), batch.generator).texture
        codes = self.encode(batch.contents), drawn
        rows = [batch.contents[:, :3], *map(self.decode, codes)]
        return tiled(torch.stack(rows)).clamp(0, 1)
