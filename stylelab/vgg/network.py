"""VGG-19 (Simonyan and Zisserman 2014) as a reader of named feature maps, and its weights."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from stylelab.config import Config
from stylelab.errors import InputError, unknown
from stylelab.layers import CONVOLUTIONS, LAYERS, check_layer
from stylelab.vgg.backbones import Backbone
from stylelab.vgg.convolution import convolve
from stylelab.vgg.weights import SHAPES, load_normalized, weights_id

CHOICES = {"pooling": ("max", "avg"), "normalise": ("auto", "layer", "filter", "none")}


MIRRORED = 16  # pixels: one position of the fifth block's maps


class VGG19(nn.Module):
    """VGG-19, frozen, cut after the deepest requested layer.

    Calling it with standardised images (B, 3, H, W) gives ``{layer: (B, C, h, w)}``, where h and
    w are halved at each of up to four poolings (rounded up) and C is 64 to 512.

    Args:
        layers: names from conv1_1, relu1_1 ... conv5_4, relu5_4.
        weights: "original", "torchvision", "random", or the path of a state dict in
            torchvision's layout (.pth or .safetensors).
        pooling: "max" or "avg".
        normalise: scale the convolutions so that the mean activation after each ReLU over the
            sample images is two for the layer as a whole ("layer") or for each filter
            ("filter", Gatys et al. 2016); "none" keeps them; "auto" is "none" for torchvision's.
        padding: "zeros" or "replicate", at the first convolution; the others pad with zeros.
            "reflect" mirrors 4 to 16 pixels of the image at each edge and cuts all maps back.
        seed: of random weights.
        recompute: for the backward pass keep only the requested and the pooled maps, and compute
            the others again.

    Raises:
        InputError: unknown layer, or weights that are missing, damaged or of another network.
    """

    def __init__(
        self,
        layers: Iterable[str] = LAYERS,
        weights: str = "original",
        pooling: str = "max",
        normalise: str = "auto",
        padding: Literal["zeros", "replicate", "reflect"] = "replicate",
        seed: int = 0,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        for name, value in {"pooling": pooling, "normalise": normalise}.items():
            if value not in CHOICES[name]:
                raise InputError(unknown(name, value, CHOICES[name]))
        self.recompute, self.mirrored = recompute, padding == "reflect"
        self.layers = tuple(sorted({check_layer(name) for name in layers}, key=LAYERS.index))
        self.pool = F.max_pool2d if pooling == "max" else F.avg_pool2d
        if normalise == "auto":
            normalise = "none" if weights == "torchvision" else "layer"
        identity = weights_id(weights, seed)  # a file may change while its name stays
        state = load_normalized(weights, identity, pooling, normalise, seed)
        self.convolutions = nn.ModuleDict()
        for name in CONVOLUTIONS[: LAYERS.index(self.layers[-1]) // 2 + 1 if self.layers else 0]:
            outputs, inputs = SHAPES[name][:2]
            mode: Literal["zeros", "replicate"] = "zeros"
            if (name, padding) == ("conv1_1", "replicate"):
                mode = "replicate"
            self.convolutions[name] = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=mode)
            weight, bias = state[name]
            self.convolutions[name].load_state_dict({"weight": weight, "bias": bias})
        self.to(memory_format=torch.channels_last).eval().requires_grad_(False)
        names = list(self.convolutions)
        self.pooled = {a for a, b in pairwise(names) if a[4] != b[4]}
        # Between two segments stands a map that is kept anyway, or a pooled one, which is small.
        ends = {n for n in names if {n, n.replace("conv", "relu")} & {*self.layers}} | self.pooled
        cuts = [0, *(i + 1 for i, name in enumerate(names) if name in ends)]
        self.segments = [names[a:b] for a, b in pairwise(cuts)]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < 16:
            shape = tuple(image.shape)
            raise InputError(f"VGG-19 takes images (B, 3, H, W) of at least 16x16, not {shape}")
        if self.mirrored:
            k = min(MIRRORED, 4 * int(self.layers[-1][4]))  # shallow layers see less far
            if min(image.shape[2:]) <= k:
                raise InputError(f"padding='reflect' needs scales of over {k} pixels a side")
            maps = self._read(F.pad(image, (k,) * 4, mode="reflect"))
            return {name: _cut(found, name, image.shape, k) for name, found in maps.items()}
        return self._read(image)

    def _read(self, image: Tensor) -> dict[str, Tensor]:
        x = image.contiguous(memory_format=torch.channels_last)
        if not (self.recompute and x.requires_grad):
            return self._run(x, list(self.convolutions))[1]
        kept: dict[str, Tensor] = {}
        for names in self.segments:
            options: Any = {"use_reentrant": False, "preserve_rng_state": False}
            x, maps = checkpoint(self._run, x, names, **options)
            kept |= maps
        return kept

    def _run(self, x: Tensor, names: list[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Some convolutions in a row, each with its ReLU and its pooling; what is kept of them."""
        kept = {}
        for name in names:
            # In place, a ReLU overwrites its input, so not where that map is requested.
            x = convolve(x, cast(nn.Conv2d, self.convolutions[name]), name not in self.layers)
            if name in self.layers:
                kept[name] = x
                if name == self.layers[-1]:
                    break
                x = F.relu(x)
            if (relu := name.replace("conv", "relu")) in self.layers:
                kept[relu] = x
            if name in self.pooled:
                # Rounded down, the last odd row would reach no deeper layer and become a stripe.
                x = self.pool(x, 2, ceil_mode=True)
        return x, kept


def _cut(features: Tensor, layer: str, shape: torch.Size, margin: int) -> Tensor:
    """The part of a mirrored image's map that belongs to the image, whose shape is given."""
    stride = 2 ** (int(layer[4]) - 1)
    k, height, width = margin // stride, -(-shape[2] // stride), -(-shape[3] // stride)
    return features[:, :, k : k + height, k : k + width]


def shared_network(
    config: Config,
    layers: Iterable[str],
    device: torch.device,
    dtype: torch.dtype,
    identity: str | None = None,
) -> VGG19:
    """The network that a config asks for, on a device; runs with the same settings share it.

    So its packed weights are shared, too, by the frames of a film or the runs of a sweep.
    ``identity`` is the `weights_id` that a run has noted; InputError if the file changed since.
    """
    seed = config.seed if config.weights == "random" else 0
    low = config.memory == "low"
    settings = config.weights, config.pooling, config.normalise, config.padding, seed, low
    # A file may change, its name not.
    identity = identity or weights_id(config.weights, seed, config.backbone)
    names = tuple(sorted(set(layers)))
    return _network(config.backbone, identity, names, settings, (device, dtype))


@lru_cache(maxsize=2)
@torch.inference_mode(False)  # whoever comes later may want gradients
def _network(backbone: str, identity: str, layers: Any, settings: Any, where: Any) -> VGG19:
    if backbone != "vgg19":  # another type, which is called in the same way
        network = cast(VGG19, Backbone(backbone, layers, *settings).to(*where))
    else:
        network = VGG19(layers, *settings).to(*where)
    if weights_id(settings[0], settings[4], backbone) != identity:
        raise InputError(f"weights '{settings[0]}' changed since the run began; start it again")
    return network
