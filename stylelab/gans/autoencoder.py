"""An autoencoder of textures of faces that begins as their principal components."""

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylelab.gans.features import POINTS, SIDE
from stylelab.networks.blocks import Casting, convolution

SMALL = 32  # side at which principal components are taken
WIDTHS, PLACES = (48, 48, 48, 32, 16), (48, 48, 8)


class Encoder(Casting):
    """From textures (B, 3, 128, 128) to codes: principal components, corrected by convolutions."""

    def __init__(self, codes: int) -> None:
        super().__init__()
        widths = (3, 16, 32, 48, 48, 48)
        self.components = nn.Linear(3 * SMALL**2, codes)
        self.layers = nn.ModuleList(convolution(a, b, 3, 2) for a, b in pairwise(widths))
        self.last = nn.Linear(widths[-1] * 16, codes)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # components cancel: all digits count
            code = self.components(F.avg_pool2d(x, SIDE // SMALL).flatten(1))
        x = 4 * x - 2
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return cast(Tensor, code + self.last(x.flatten(1)).float())


class Decoder(Casting):
    """From codes to textures: the mean, principal components, and what convolutions add.

    In each stage the code scales and shifts channels (FiLM: Perez et al. 2018), and some channels
    are given what they should hold at each place: all faces have their features at the same ones.
    """

    mean: Tensor

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.components = nn.Linear(codes, 3 * SMALL**2, bias=False)
        self.first = nn.Linear(codes, WIDTHS[0] * 64)
        pairs = [*pairwise(WIDTHS)]
        self.grow = nn.ModuleList(
            convolution(a + 3 * (i == 2), b) for i, (a, b) in enumerate(pairs)
        )
        self.same = nn.ModuleList(convolution(b, b) for _, b in pairs)
        self.film = nn.ModuleList(nn.Linear(codes, 2 * b) for _, b in pairs)
        self.places = nn.ParameterList(
            0.1 * torch.randn(1, c, 16 * 2**i, 16 * 2**i) for i, c in enumerate(PLACES)
        )
        self.last = convolution(WIDTHS[-1], 3)
        with torch.no_grad():
            for film in self.film:
                cast(Tensor, film.weight).mul_(0.3)
                cast(Tensor, film.bias).zero_()
            self.last.weight.mul_(0.1)
        self.mean = nn.Parameter(torch.full((1, 3, SIDE, SIDE), 0.5))
        self.to(memory_format=torch.channels_last)

    def forward(self, code: Tensor) -> Tensor:
        base = self.components(code).view(-1, 3, SMALL, SMALL)
        x = self.first(code).view(-1, WIDTHS[0], 8, 8)
        for i, (grow, same, film) in enumerate(zip(self.grow, self.same, self.film, strict=True)):
            x = torch.cat([x, 3 * base], 1) if i == 2 else x
            x = grow(F.interpolate(x, scale_factor=2.0, mode="bilinear"))
            scale, shift = film(code)[:, :, None, None].chunk(2, 1)
            x = x * (1 + scale) + shift
            if i < len(PLACES):
                x = x + F.pad(self.places[i], (0, 0, 0, 0, 0, x.shape[1] - PLACES[i]))
            x = F.leaky_relu(x, 0.2)
            x = x + F.leaky_relu(same(x), 0.2)
        large = F.interpolate(base.float(), (SIDE, SIDE), mode="bicubic")
        return cast(Tensor, self.last(x).float() + self.mean + large)


class Autoencoder(Casting):
    """What is shipped: codes to and from textures, and the principal components of shapes."""

    mean: Tensor
    basis: Tensor

    def __init__(self, codes: int, shapes: int) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(codes), Decoder(codes)
        self.register_buffer("mean", torch.rand(POINTS, 2) * SIDE)
        self.register_buffer("basis", torch.ones(shapes, 2 * POINTS))

    @torch.no_grad()
    def begin_shapes(self, shapes: Tensor, mean: Tensor) -> None:
        """Take principal components of landmarks (N, 189, 2) around a mean (189, 2)."""
        count, length = len(self.basis), len(shapes)
        self.mean.copy_(mean)
        _, deviations, axes = torch.linalg.svd((shapes - self.mean).flatten(1), full_matrices=False)
        self.basis.zero_()
        found = deviations[:count, None] / length**0.5 * axes[:count]
        self.basis[: len(found)] = found

    @torch.no_grad()
    def begin_textures(self, textures: Tensor, weights: Tensor) -> None:
        """Take the mean of textures (N, 4, 128, 128), where they are known, and their components.

        Args:
            weights: how much each pixel counts, (128, 128), above 0.
        """
        known = textures[:, 3:] + 0.01  # repeated edges, where a pixel is known of no face
        mean = (textures[:, :3] * known).sum(0) / known.sum(0)
        self.decoder.mean.copy_(mean[None])
        part = SIDE // SMALL
        differences = F.avg_pool2d((textures[:, :3] - mean) * textures[:, 3:], part)
        scale = F.avg_pool2d(weights[None, None], part).expand(1, 3, -1, -1).flatten()  # (3072,)
        _, deviations, axes = torch.linalg.svd(differences.flatten(1) * scale, full_matrices=False)
        count = self.encoder.last.out_features
        axes, deviations = axes[:count], deviations[:count, None] / len(textures) ** 0.5
        self.encoder.components.weight.copy_(axes / deviations * scale)
        middle = self.encoder.components.weight @ F.avg_pool2d(mean, part).flatten()
        self.encoder.components.bias.copy_(-middle)
        self.decoder.components.weight.copy_((axes * deviations / scale).mT)
