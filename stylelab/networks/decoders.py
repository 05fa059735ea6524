"""Networks of any style: VGG-19's features, transformed, attended to, and decoded to an image."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Generic, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylelab.images import standardize
from stylelab.maths.statistics import normalize
from stylelab.networks.blocks import Casting, Grain, Network, Pictures, check_image, convolution
from stylelab.vgg.network import MIRRORED, VGG19

T = TypeVar("T")

# Of VGG-19, the channels of its blocks and the number of their convolutions.
CHANNELS, DEPTHS = (3, 64, 128, 256, 512), (1, 2, 2, 4)


BORDER = 8  # pixels along the edges of a crop, whose features padding has changed


BEGIN, END = 0.35, 0.5  # of a training, between which the style comes in


def grown(progress: float) -> float:
    """How far the style has come in, from 0, where decoders only reconstruct, to 1."""
    return min(1.0, max(0.0, (progress - BEGIN) / (END - BEGIN)))


def inner(values: Tensor, stride: int = 1) -> Tensor:
    """What is inside the border of crops, or of their features at a stride."""
    k = BORDER // stride
    return values[..., k:-k, k:-k]


def squared_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared error of each example's features over the mean square of those wanted, (B,)."""
    size = wanted.square().mean((1, 2, 3)).clamp_min(1e-6)
    return (found.float() - wanted).square().mean((1, 2, 3)) / size


# The root mean square of VGG-19's features, about: undivided, steps of Adam would be too long.
SCALE = 4


# How three taps in a row fall on two pixels where each is repeated: [0] at the second of the two
# that were made of the former pixel, [1] at the first of those that were made of the latter.
FALL = torch.tensor([[[1.0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])


def enlarged(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A mirrored 3x3 convolution of a map (B, C, H, W) at twice its size, (B, D, 2H, 2W).

    Each pixel is repeated, so taps that fall on the same one are added first, and four kernels of
    2x2 give the four pixels that are made of one (sub-pixel convolution; Shi et al. 2016): the same
    values by 4/9 of the products. Mirrored at its edge, an enlarged map repeats its last pixel.
    """
    fall = FALL.to(weight)
    kernels = torch.einsum("prk,qsl,dckl->dpqcrs", fall, fall, weight).flatten(0, 2)
    biases = None if bias is None else bias.repeat_interleave(4)
    around = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernels, biases)
    return F.pixel_shuffle(around, 2)[:, :, 1:-1, 1:-1]


class Decoder(Casting):
    """From features of VGG-19 at relu1_1, relu2_1, relu3_1 or relu4_1 back to an image.

    Mirrors the network (Huang and Belongie 2017): a convolution for each of its own, and twice the
    size, by repeated pixels, where it pools.

    Args:
        layer: whose features are decoded.
        grain: whether each stage is given noise, too, as much of it in each channel as was learnt:
            a style asks for texture in an even sky as well, where a decoder that has nothing but
            even features paints a weave of lines along the axes.
    """

    def __init__(self, layer: str, grain: bool = False) -> None:
        super().__init__()
        block = int(layer[4])
        self.stages = nn.ModuleList()
        self.grain = Grain() if grain else None
        rates = [torch.zeros(1, CHANNELS[b], 1, 1) for b in range(block, 0, -1)] if grain else []
        self.rates = nn.ParameterList(rates)
        for b in range(block, 0, -1):  # b: the block of VGG-19 that a stage mirrors
            count = 1 if b == block else DEPTHS[b]
            same = [convolution(CHANNELS[b], CHANNELS[b]) for _ in range(count - 1)]
            self.stages.append(nn.ModuleList([*same, convolution(CHANNELS[b], CHANNELS[b - 1])]))
        last = cast(nn.Conv2d, cast(nn.ModuleList, self.stages[-1])[-1])
        nn.init.constant_(cast(Tensor, last.bias), 0.45)  # begins at grey, not at black
        self.to(memory_format=torch.channels_last)

    def forward(self, features: Tensor, like: Sequence[Tensor] = ()) -> Tensor:
        """An image (B, 3, h, w), about [0, 1], of features (B, C, h / 2^k, w / 2^k).

        Args:
            like: for each stage, mean and deviation, (2, B, C, 1, 1), that its input is given.
        """
        x = features.contiguous(memory_format=torch.channels_last) / SCALE
        for i, stage in enumerate(self.stages):
            if like:  # before it is enlarged, which changes neither
                mean, deviation = like[i]
                x = (deviation * normalize((F.relu(x) if i else x).float()) + mean) / SCALE
            if self.grain is not None:
                x = torch.addcmul(x, self.rates[i].to(x), self.grain(x))
            for j, conv in enumerate(cast(nn.ModuleList, stage)):
                x = F.relu_(x)  # what VGG-19 gives is above 0 already
                last = cast(nn.Conv2d, conv)
                x = enlarged(x, last.weight, last.bias) if i and not j else last(x)
        return x.float()


class StyleMemory(Generic[T]):
    """What an encoder gave for the last few style pictures: many photographs read a style once.

    No training changes an encoder, so what it gave stays true as long as it is the same one.
    """

    def __init__(self) -> None:
        self.kept: list[tuple[nn.Module, Tensor, T]] = []

    def read(self, encoder: nn.Module, picture: Tensor, encode: Callable[[Tensor], T]) -> T:
        """``encode(picture)``, which should depend on the encoder and the picture alone."""
        for known, seen, found in self.kept:
            same = known is encoder and (seen.shape, seen.device) == (picture.shape, picture.device)
            if same and torch.equal(seen, picture):
                return found
        found = encode(picture)
        if not torch.is_grad_enabled():
            self.kept = [(encoder, picture.clone(), found), *self.kept[:3]]
        return found


PIECE = 2**19  # weights of attention at a time: 2 MB


class Attention(nn.Module):
    """Attention of a map's positions to those of another, softmax(f(norm a)^T g(norm b)) h(b).

    As in SANet (Park and Lee 2019) and AAMS (Yao et al. 2019): f, g and h are 1x1 convolutions,
    and so is what follows the sum.
    """

    def __init__(self, channels: int, side: int = 40) -> None:
        super().__init__()
        self.side = side  # positions a side that are attended to, at most: each pair takes memory
        self.query, self.key = (nn.Conv2d(channels, 64, 1) for _ in range(2))
        self.value, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(2))

    def weights(self, features: Tensor, others: Tensor) -> Iterator[Tensor]:
        """How much each position attends to each of the others; rows sum to one.

        In pieces, (B, p, Q) each: together they fit into no cache, and of a large picture hardly
        into memory.
        """
        queries = self.query(normalize(features)).flatten(2).mT  # (B, P, 64)
        keys = self.key(normalize(others)).flatten(2)  # (B, 64, Q)
        for part in queries.split(max(1, PIECE // keys.shape[2]), 1):
            yield (part @ keys).softmax(2)

    def forward(self, features: Tensor, others: Tensor) -> Tensor:
        """(B, C, H, W), from features of that shape and others (B or 1, C, h, w)."""
        sides = min(others.shape[2], self.side), min(others.shape[3], self.side)
        # Values are the raw features: normalised ones have lost the style's contrast.
        others = F.adaptive_avg_pool2d(others, sides).expand(len(features), -1, -1, -1)
        # Rows of weights sum to one, so what follows the sum may come before it: fewer positions.
        values = self.out(self.value(others)).flatten(2).mT  # (B, Q, C)
        parts = [weights.to(values) @ values for weights in self.weights(features, others)]
        return torch.cat(parts, 1).mT.reshape(features.shape).float()


class AnyStyle(Network, ABC):
    """Encode with VGG-19, transform the features by those of a style, decode what was learnt.

    Args:
        layer: the layer of VGG-19 whose features are transformed.

    Calling it takes ``style`` as pairs of pictures and shares; for several, the transformed
    features are averaged. ``strength`` mixes them with the content's own.
    """

    kind = "any"

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.layer = layer
        # Mirrored edges: features of an edge padded with zeros are decoded to a frame.
        self.encoder = VGG19([layer], padding="reflect")
        self.decoder = Decoder(layer, grain=True)
        self.styles: StyleMemory[Tensor] = StyleMemory()

    def encode(self, image: Tensor) -> Tensor:
        """Features (B, C, h, w) of images in [0, 1], in float32."""
        check_image(image, MIRRORED + 1)
        features: Tensor = self.encoder(standardize(image))[self.layer]
        return features.float()

    @abstractmethod
    def transform(self, content: Tensor, style: Tensor) -> Tensor:
        """The content's features (B, C, H, W), made like the style's (B or 1, C, h, w)."""

    def own(self, content: Tensor) -> Tensor:
        """The features that give the content back when they are decoded: strength 0."""
        return content

    def decode(self, features: Tensor, like: Tensor) -> Tensor:
        """The image of features, cut to the size of another; not clipped."""
        found: Tensor = self.decoder(features)
        return found[:, :, : like.shape[2], : like.shape[3]]

    def forward(self, image: Tensor, style: Pictures, strength: float = 1.0) -> Tensor:
        features = self.encode(image)
        styled = [
            share * self.transform(features, self.styles.read(self.encoder, picture, self.encode))
            for picture, share in style
        ]
        mixed = reduce(torch.add, styled)
        if strength != 1:
            mixed = self.own(features).lerp(mixed, strength)
        return self.decode(mixed, image).clamp(0, 1)
