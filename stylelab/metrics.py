"""Metrics of a stylised picture that do not depend on the loss weights.

Every metric takes images (1, 3, H, W) in [0, 1] on the CPU and returns a float.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.images import standardize
from stylelab.losses import gram_matrix
from stylelab.maths.distances import similarity_divergence, spread
from stylelab.maths.lab import to_lab
from stylelab.maths.resizing import resize
from stylelab.maths.statistics import Cloud, divergence, transport
from stylelab.vgg.network import VGG19

LUMINANCE = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709, applied to gamma-encoded values
CONTENT_LAYER = "relu4_2"
STRUCTURE_LAYER = "relu3_1"
PLACES = 2048  # of the structure layer, of which all pairs are compared
PRINCIPAL = (32, 48, 128, 256, 256)  # components of each style layer, after Yeh et al.
SAME = 1e-6  # the least divergence that counts: float32 has no finer one
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
METRICS = (  # what `measure` returns
    "content_distance", "style_distance", "ssim", "colour_distance", "detail_energy", "grain",
    "structure_distance", "transport_distance", "effectiveness",
)  # fmt: skip
HIGHER_IS_BETTER = ("ssim", "detail_energy", "effectiveness")
"""Of the others, less is better."""


def measure(
    image: Tensor, content: Tensor, *styles: Tensor, shares: Sequence[float] = ()
) -> dict[str, float]:
    """All metrics of a stylised image, by name; each is explained at its function.

    The distances of several styles are averaged by their shares, which sum to one.
    """
    shares = shares or [1 / len(styles)] * len(styles)

    def mean(distance: Callable[[Tensor, Tensor], float]) -> float:
        pairs = zip(shares, styles, strict=True)
        return sum(share * distance(image, style) for share, style in pairs if share)

    return {
        "content_distance": content_distance(image, content),
        "style_distance": mean(style_distance),
        "ssim": ssim(image, content),
        "colour_distance": mean(colour_distance),
        "detail_energy": detail_energy(image),
        "grain": mean(grain),
        "structure_distance": structure_distance(image, content),
        "transport_distance": mean(transport_distance),
        "effectiveness": mean(effectiveness),
    }


def content_distance(image: Tensor, content: Tensor) -> float:
    """Relative distance of the features of relu4_2, from 0 (the same features) upwards.

    ||F(image) - F(content)|| / ||F(content)||, Frobenius norms, after Gatys et al. 2016.
    """
    of_image, reference = _read(image).content, _read(content).content
    return float((of_image - reference).norm() / reference.norm())


def style_distance(image: Tensor, style: Tensor) -> float:
    """Mean relative distance of the Gram matrices of five layers, from 0 (the same) upwards.

    The mean over relu1_1 ... relu5_1 of ||G(image) - G(style)|| / ||G(style)||, Frobenius norms.
    """
    pairs = zip(_read(image).grams, _read(style).grams, strict=True)
    return sum(float((a - b).norm() / b.norm()) for a, b in pairs) / len(STYLE_LAYERS)


def structure_distance(image: Tensor, content: Tensor) -> float:
    """How differently the places of two pictures resemble each other, from 0 (the same) upwards.

    After the CFSD of Chung et al. 2024 (StyleID): at relu3_1, the Kullback-Leibler divergence of
    softmax(F F^T) of the image from that of the content, a mean over places. They divide F F^T by
    C^2; here, on the scale of the packaged network, by C, for with C^2 the softmax is flat.
    """
    return float(similarity_divergence(_read(image).places, _read(content).places))


def transport_distances(image: Tensor, style: Tensor) -> dict[str, float]:
    """Wasserstein-2 distance of the features of each of five layers, as Gaussians, 0 upwards.

    Squared, and over what it costs to move the style's features to zero; see `transport`.
    """
    return {
        name: transport(a, b)
        for name, a, b in zip(STYLE_LAYERS, _read(image).clouds, _read(style).clouds, strict=True)
    }


def transport_distance(image: Tensor, style: Tensor) -> float:
    """The mean of `transport_distances` over the layers, from 0 (the same Gaussians) upwards."""
    return sum(transport_distances(image, style).values()) / len(STYLE_LAYERS)


def effectiveness(image: Tensor, style: Tensor) -> float:
    """The base E statistic of Yeh et al. 2020: higher is better, 13.8 for the style itself.

    The mean over five layers of -log of the Kullback-Leibler divergence of the image's features, as
    a Gaussian, from the style's, on the style's main components (theirs: those of many styles), at
    most an eighth as many as there are positions. Compare pictures of one size only.
    """
    clouds = zip(_read(image).clouds, _read(style).clouds, PRINCIPAL, strict=True)
    found = torch.tensor([divergence(a, b, most) for a, b, most in clouds])
    return float(-found.clamp_min(SAME).log().mean())


def ssim(image: Tensor, content: Tensor) -> float:
    """Mean structural similarity of two images (Wang et al. 2004), -1 to 1 (the same image)."""
    from skimage.metrics import structural_similarity  # here, because it takes 60 MB

    a, b = (x[0].permute(1, 2, 0).numpy() for x in (image, content))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(a, b, channel_axis=2, data_range=1.0, **options))


def colour_distance(image: Tensor, style: Tensor) -> float:
    """Distance between the colour distributions, in CIELAB units, from 0 (the same) upwards.

    The mean over L*, a* and b* of the Wasserstein-1 distance between the two images' pixel values,
    wherever in the image they are; 2.3 is about the smallest difference that people notice.
    """
    from scipy.stats import wasserstein_distance  # here, because it takes 60 MB

    a, b = (to_lab(x)[0].flatten(1).T.numpy() for x in (image, style))
    return float(sum(wasserstein_distance(a[:, i], b[:, i]) for i in range(3)) / 3)


def detail_energy(image: Tensor) -> float:
    """Energy of fine detail: the mean square of luminance minus its 3x3 binomial blur, times 1e4.

    From 0 (flat) upwards. Compare images of one size only: enlarge the smaller one first.
    """
    grey = (image * image.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
    row = image.new_tensor([0.25, 0.5, 0.25])
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    blurred = F.conv2d(padded, torch.outer(row, row)[None, None])
    return float((grey - blurred).square().mean() * 1e4)


def grain(image: Tensor, style: Tensor) -> float:
    """Speckle of colour from pixel to pixel that the style picture does not have; 0 is none.

    The `chroma_noise` of the image beyond that of the style picture, brought to the same size.
    Lightness is left out: there, brush strokes and a photograph's edges are as fine as speckle.
    """
    return max(0.0, chroma_noise(image) - chroma_noise(style))


def chroma_noise(image: Tensor) -> float:
    """Variance of noise in the colours of an image, in squared CIELAB units, from 0 upwards.

    The mean of (N * a)^2 / 36 and (N * b)^2 / 36 over all pixels, for the chroma channels a* and
    b*. N, the difference of two Laplacians, gives little on edges and even gradients; for white
    noise the result is the noise's variance (Immerkaer 1996, "Fast noise variance estimation").
    """
    chroma = to_lab(image)[0, 1:]
    row = torch.tensor([1.0, -2.0, 1.0])
    mask = torch.outer(row, row)[None, None] / 6
    return float(F.conv2d(chroma[:, None], mask).square().mean())


def enlarge(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize an image (1, 3, H, W) to (height, width) by bicubic interpolation, clipped."""
    return resize(image, size, "bicubic").clamp(0, 1)


class Reading(NamedTuple):
    """What the metrics see of a picture through the network."""

    content: Tensor
    grams: list[Tensor]
    clouds: list[Cloud]
    places: Tensor
    """Features of the structure layer, (P, C)."""


@lru_cache(maxsize=1)
def _yardstick() -> VGG19:
    layers = [CONTENT_LAYER, STRUCTURE_LAYER, *STYLE_LAYERS]
    return VGG19(layers)  # the original weights, in float32


def _read(image: Tensor) -> Reading:
    return _read_bytes(image.detach().contiguous().numpy().tobytes(), tuple(image.shape))


@lru_cache(maxsize=6)  # images are often measured against the content and styles of the last one
@torch.no_grad()
def _read_bytes(content: bytes, shape: tuple[int, ...]) -> Reading:
    image = torch.frombuffer(bytearray(content), dtype=torch.float32).view(shape)
    features = _yardstick()(standardize(image))
    maps = [features[name] for name in STYLE_LAYERS]
    places = spread(features[STRUCTURE_LAYER], PLACES)[0].clone()
    grams, clouds = [gram_matrix(f) for f in maps], [Cloud.of(f) for f in maps]
    return Reading(features[CONTENT_LAYER], grams, clouds, places)
