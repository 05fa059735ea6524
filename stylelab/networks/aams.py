"""Any style in strokes of several sizes, by attention (after Yao, Ren, Xie, Liu, Liu, Wang 2019).

An autoencoder of photographs learns, beside its decoder, an attention that is sparse: it stays
where it helps to reconstruct. When the network paints, features are whitened and swapped for
patches of the style at three scales; where there is more attention, strokes are finer. Then they
are given the style's covariance. The decoder is given means and deviations of shallower layers:
in training the photograph's own, in painting the style's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.cluster.vq import kmeans2
from torch import Tensor

from stylelab.config import checked
from stylelab.images import standardize
from stylelab.losses import total_variation
from stylelab.maths.patches import style_swap
from stylelab.maths.resizing import resize
from stylelab.maths.statistics import Spectrum, moments, spectrum, wct, whiten
from stylelab.networks.blocks import Batch, Network, Pictures, check_image
from stylelab.networks.decoders import (
    Attention,
    Decoder,
    StyleMemory,
    inner,
    squared_error,
)
from stylelab.objectives import Terms, read_layers
from stylelab.recipes import Recipe
from stylelab.vgg.network import MIRRORED, VGG19

STYLES = "any"
LAYERS = ("relu3_1", "relu2_1", "relu1_1")  # the first is transformed
LEAST = 24  # pixels a side: the smallest scale of a style has to hold a patch of its features
SCALES = (1.0, 0.5**0.5, 0.5)  # of the style whose patches are swapped in, coarse to fine
PATCH, COARSE = 3, 2  # a side: means of a patch, and positions (of 4x4 pixels) of a mean
MEANS = 75  # about so many on a shorter side, at most: each patch is compared with each
SHARPNESS = 50.0  # of the choice among strokes
RECIPE: dict[str, Any] = {
    "steps": 1500,
    "crop": 96,
    "learning_rate": 2e-3,
    "style_weight": 0.0,
    "tv_weight": 0.1,
}
PIXELS, SPARSE = 50.0, 0.02  # weights of the squared error in [0, 1] and of the attention


@checked
class Options:
    """None: features are relu3_1, and there are four sizes of strokes."""


class Style(NamedTuple):
    """What is needed of a style's picture."""

    white: Tensor
    """Its whitened features, (1, C, h, w), with what attention adds."""
    spectrum: Spectrum
    """Of these before they were whitened."""
    moments: list[Tensor]
    """See `read_moments`."""


class AAMS(Network):
    """Calling it takes ``style`` as pairs of pictures and shares; strength mixes features."""

    kind = STYLES

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VGG19(LAYERS, padding="reflect")
        self.attention = Attention(256, 32)
        self.decoder = Decoder(LAYERS[0])
        self.styles: StyleMemory[Style] = StyleMemory()

    def train(self, mode: bool = True) -> "AAMS":
        self.styles.kept.clear()  # attention may have learnt since
        return super().train(mode)

    def encode(self, image: Tensor) -> dict[str, Tensor]:
        """Features of the three layers, (B, C, h, w) each, in float32."""
        check_image(image, max(LEAST, MIRRORED + 1))
        found = self.encoder(standardize(image))
        return {layer: found[layer].float() for layer in LAYERS}

    def attend(self, features: Tensor) -> Tensor:
        """What is added to features (B, C, H, W) by their attention to themselves."""
        found: Tensor = self.attention(features, features)
        return found

    def read(self, picture: Tensor) -> Style:
        """A style's picture, (1, 3, h, w)."""
        found = self.encode(picture)
        deep = found[LAYERS[0]] + self.attend(found[LAYERS[0]])
        own = spectrum(deep)
        return Style(whiten(deep, own), own, read_moments(found))

    def decode(self, features: Tensor, like: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """The image of features, cut to a size; ``like``: see `Decoder`. Not clipped."""
        found: Tensor = self.decoder(features, like)
        return found[:, :, : size[0], : size[1]]

    def transform(self, content: Tensor, style: Style, salience: Tensor) -> Tensor:
        """Features (1, C, H, W) in strokes of the style, and with its covariance."""
        plain, white = whiten(content), style.white
        least = min(*content.shape[2:], *white.shape[2:])
        coarse = min(max(COARSE, least // MEANS), least // PATCH)
        strokes = []
        for scale in SCALES:
            size = [max(coarse * PATCH, round(side * scale)) for side in white.shape[2:]]
            scaled = resize(white, size)
            strokes.append(style_swap(plain, scaled, 1, PATCH, coarse))
        # Where there is most attention, the content's own lines remain.
        return wct(fuse([*strokes, plain], salience), style.spectrum)

    def forward(self, image: Tensor, style: Pictures, strength: float = 1.0) -> Tensor:
        own = self.encode(image)
        added = self.attend(own[LAYERS[0]])
        content, where = own[LAYERS[0]] + added, salience(added)
        deep, moments_of = torch.zeros_like(content), []
        for picture, share in style:
            if self.training:  # attention learns
                found = self.read(picture)
            else:
                found = self.styles.read(self.encoder, picture, self.read)
            pairs = zip(content[:, None], where[:, None], strict=True)
            deep += share * torch.cat([self.transform(f, found, s) for f, s in pairs])
            moments_of.append([share * of for of in found.moments])
        like = [torch.stack(of).sum(0) for of in zip(*moments_of, strict=True)]
        if strength != 1:
            deep = content.lerp(deep, strength)
            pairs = zip(read_moments(own), like, strict=True)
            like = [a.lerp(b, strength) for a, b in pairs]
        return self.decode(deep, like, image.shape[2:]).clamp(0, 1)


def salience(added: Tensor) -> Tensor:
    """How strong attention (B, C, H, W) is at each position, smoothed: (B, 1, H, W), 0 to 1."""
    strength = added.abs().mean(1, keepdim=True)
    smooth = F.avg_pool2d(F.pad(strength, (2, 2, 2, 2), "replicate"), 5, 1)
    low, high = (f(smooth, (2, 3), keepdim=True) for f in (torch.amin, torch.amax))
    return (smooth - low) / (high - low).clamp_min(1e-6)


def read_moments(features: Mapping[str, Tensor]) -> list[Tensor]:
    """For each layer the means and deviations of its channels, (2, B, C, 1, 1)."""
    return [torch.stack(moments(f)) for f in features.values()]


def fuse(strokes: Sequence[Tensor], salience: Tensor) -> Tensor:
    """The mean of strokes (1, C, H, W), coarse to fine, weighted by `shares` at each position."""
    weights = shares(salience, len(strokes))
    return torch.stack([w * s for w, s in zip(weights, strokes, strict=True)]).sum(0)


def shares(salience: Tensor, count: int) -> Tensor:
    """Shares of strokes, coarse to fine, by salience (1, 1, H, W): (count, 1, 1, H, W), sum one.

    Salience is clustered by k-means; a stroke's share falls with the squared distance from its
    cluster's centre.
    """
    values = salience.flatten().cpu().double().numpy()
    first = np.quantile(values, (np.arange(count) + 0.5) / count)
    centres = np.sort(kmeans2(values, first, minit="matrix", missing="warn")[0])
    distance = salience - torch.from_numpy(centres).to(salience).view(-1, 1, 1, 1, 1)
    return (-SHARPNESS * distance.square()).softmax(0)


def build(options: Options, names: Sequence[str]) -> AAMS:
    return AAMS()


def layers(recipe: Recipe) -> tuple[str, ...]:
    return LAYERS


def loss_weights(recipe: Recipe) -> dict[str, float]:
    content = recipe.content_weight
    own = {"features": content, "pixels": PIXELS * content, "attention": SPARSE * content}
    return {**own, "tv": recipe.tv_weight}


def objective(
    network: AAMS, styles: Sequence[Tensor], model: VGG19, recipe: Recipe
) -> Callable[[Batch], Terms]:
    def terms(batch: Batch) -> Terms:
        targets = read_layers(model, standardize(batch.contents), LAYERS)
        deep = targets[LAYERS[0]]
        added = network.attend(deep)
        image = network.decode(deep + added, read_moments(targets), batch.contents.shape[2:])
        found = model(standardize(image))
        return {
            **{f"features/{k}": squared_error(found[k], v).mean() for k, v in targets.items()},
            "pixels": inner(image - batch.contents).square().mean(),
            "attention": added.abs().mean(),
            "tv": total_variation(standardize(image)),
        }

    return terms
