"""Other networks than VGG-19 as readers of named feature maps, by torchvision's code.

VGG-16 (Simonyan and Zisserman 2014), ResNet-50 (He et al. 2016), ConvNeXt-Tiny (Liu et al. 2022)
and SqueezeNet 1.1 (Iandola et al. 2016).
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.checkpoint import checkpoint

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.images import load_image, standardize
from stylelab.layers import BACKBONES, layers_in
from stylelab.sample_pictures import sample, sample_names
from stylelab.vgg.convolution import convolve
from stylelab.vgg.weights import ACTIVATION, read_file, read_torchvision

MIRRORED = 32  # pixels: one position of the deepest maps
# Rows and columns beyond a multiple of the second number, plus the first, would not be read: the
# convolutions with a stride and no padding leave them out.
WHOLE = {"convnext_tiny": (0, 32), "squeezenet1_1": (1, 2)}
HALVING = "halving"  # the name of a step that reduces the map and is no layer
Steps = list[tuple[str, nn.Module]]


class Backbone(nn.Module):
    """A network, frozen, cut after the deepest requested layer; called as `VGG19` is.

    Maps are halved at strides and poolings; that of layer l is (B, C, h, w).

    Args:
        backbone: a name in `stylelab.layers.BACKBONES`, which also has the names of the layers.
        layers: names of layers; VGG-19's stand for those at the same depth.
        weights: "torchvision", "random", or the path of a state dict in torchvision's layout; None
            leaves all values out, for the shapes alone (on the device "meta").
        pooling, padding, seed, recompute: as for `VGG19`; "reflect" mirrors 32 pixels.
        normalise: divide each layer's map by what makes its mean size two over the sample images,
            as a whole ("layer", "auto") or for each channel ("filter"); "none" leaves it.

    Raises:
        InputError: unknown layer, or weights that are missing, damaged or of another network.
    """

    def __init__(
        self,
        backbone: str,
        layers: Iterable[str],
        weights: str | None = "random",
        pooling: str = "max",
        normalise: str = "auto",
        padding: str = "replicate",
        seed: int = 0,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.backbone, self.recompute = backbone, recompute
        self.mirrored = MIRRORED if padding == "reflect" else 0
        names = layers_in(backbone, tuple(layers))
        self.layers = tuple(sorted(names, key=BACKBONES[backbone].index))
        network = _load(backbone, weights, seed)
        steps = _steps(backbone, network, self.layers)
        last = max((i for i, (name, _) in enumerate(steps, 1) if name in self.layers), default=0)
        self.names = [name for name, _ in steps[:last]]
        self.steps = nn.ModuleList([module for _, module in steps[:last]])
        if pooling == "avg":
            self._average()
        self.strides, stride = {}, 1
        for name, module in zip(self.names, self.steps, strict=True):
            stride *= _stride(module)
            self.strides[name] = stride
        # Between two segments stands a map that is kept anyway, or one that is smaller.
        ends = (i for i, name in enumerate(self.names, 1) if name in {*self.layers, HALVING})
        self.segments = list(pairwise(dict.fromkeys([0, *ends])))
        self.eval().requires_grad_(False)
        self.scaled = False
        if weights is not None and normalise != "none":
            self._scale(normalise)
        first = next((m for m in self.modules() if isinstance(m, nn.Conv2d)), None)
        if padding == "replicate" and first is not None and any(first.padding):
            first.padding_mode = "replicate"
        self.to(memory_format=torch.channels_last)

    def _average(self) -> None:
        pools = [i for i, m in enumerate(self.steps) if isinstance(m, nn.MaxPool2d)]
        if not pools:
            raise InputError(f"pooling='avg': {self.backbone} has no pooling; leave it at 'max'")
        for i in pools:
            m = cast(Any, self.steps[i])
            self.steps[i] = nn.AvgPool2d(m.kernel_size, m.stride, m.padding, m.ceil_mode, False)

    @torch.no_grad()
    def _scale(self, normalise: str) -> None:
        """Measure the divisors of the layers on crops of the samples, as `VGG19` does."""
        crops = [load_image(sample(name), (128, 128)) for name in sample_names()]
        for name, found in self._read(standardize(torch.cat(crops))).items():
            # A convolution has the scale of its ReLU. Maps of ConvNeXt have both signs.
            size = F.relu(found) if name.startswith("conv") else found.abs()
            mean = size.mean((0, 2, 3), keepdim=True)
            least = 0.1 * mean.mean()
            scale = mean.clamp_min(least) if normalise == "filter" else mean.mean()
            self.register_buffer(f"scale_{name}", scale / ACTIVATION)
        self.scaled = True

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < 16:
            shape = tuple(image.shape)
            wanted = "images (B, 3, H, W) of at least 16x16"
            raise InputError(f"{self.backbone} takes {wanted}, not {shape}")
        whole = image.to(next(self.parameters(), image).dtype)
        if self.mirrored:
            if min(image.shape[2:]) <= MIRRORED:
                raise InputError(f"padding='reflect' needs scales of over {MIRRORED} pixels a side")
            whole = F.pad(whole, (MIRRORED,) * 4, mode="reflect")
        return {n: self._cut(found, n, image.shape) for n, found in self._read(whole).items()}

    def _read(self, image: Tensor) -> dict[str, Tensor]:
        first, unit = WHOLE.get(self.backbone, (0, 1))
        down, across = ((first - side) % unit for side in image.shape[2:])
        x = F.pad(image, (0, across, 0, down), mode="replicate") if down or across else image
        x = x.contiguous(memory_format=torch.channels_last)
        if not (self.recompute and x.requires_grad):
            return self._run(x, 0, len(self.steps))[1]
        kept: dict[str, Tensor] = {}
        for start, end in self.segments:
            options: Any = {"use_reentrant": False, "preserve_rng_state": False}
            x, maps = checkpoint(self._run, x, start, end, **options)
            kept |= maps
        return kept

    def _run(self, x: Tensor, start: int, end: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Some steps in a row; the last map, and those of layers."""
        kept = {}
        for i in range(start, end):
            x = self.steps[i](x)
            if (name := self.names[i]) in self.layers:
                kept[name] = x / getattr(self, f"scale_{name}") if self.scaled else x
        return x, kept

    def _cut(self, features: Tensor, layer: str, shape: torch.Size) -> Tensor:
        """The part of a map that belongs to the image of a shape, without what was added to it."""
        stride = self.strides[layer]
        k = self.mirrored // stride
        height, width = (
            min(-(-side // stride), found - 2 * k)
            for side, found in zip(shape[2:], features.shape[2:], strict=True)
        )
        return features[:, :, k : k + height, k : k + width]


def _stride(module: nn.Module) -> int:
    """How much smaller a step makes a map."""
    strides = (getattr(m, "stride", 1) for m in module.modules())
    return max(s[0] if isinstance(s, tuple) else s for s in strides)


class Packed(nn.Module):
    """A convolution whose weights are packed once, with or without its ReLU."""

    def __init__(self, convolution: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        self.convolution, self.relu = convolution, relu

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.convolution, self.relu)


def _steps(backbone: str, network: Any, layers: tuple[str, ...]) -> Steps:
    """A network as named modules in a row; a step without a name is no layer."""
    if backbone == "vgg16":
        return _steps_of_vgg(network.features, layers)
    if backbone == "squeezenet1_1":
        names = iter(BACKBONES[backbone])
        plain = {nn.Conv2d: "", nn.MaxPool2d: HALVING}
        return [(plain[type(m)] if type(m) in plain else next(names), m) for m in network.features]
    if backbone == "resnet50":
        _fold(network)
        steps = [("", network.conv1), ("relu1", network.relu), (HALVING, network.maxpool)]
        stages = [getattr(network, f"layer{k}") for k in range(1, 5)]
        blocks = (block for stage in stages for block in stage)
        return [*steps, *zip(BACKBONES[backbone][1:], blocks, strict=True)]
    names = iter(BACKBONES[backbone])
    steps = [(next(names), network.features[0])]
    for i, stage in enumerate(network.features[1:], 1):  # stages, and what halves between them
        steps += [(next(names), block) for block in stage] if i % 2 else [(HALVING, stage)]
    return steps


def _steps_of_vgg(features: nn.Sequential, layers: tuple[str, ...]) -> Steps:
    steps: Steps = []
    names = iter(name for name in BACKBONES["vgg16"] if name.startswith("conv"))
    for module in features:
        if isinstance(module, nn.MaxPool2d):
            module.ceil_mode = True  # rounded down, the last odd row becomes a stripe
            steps.append((HALVING, module))
        elif isinstance(module, nn.Conv2d):
            name = next(names)
            relu = name.replace("conv", "relu")
            if name in layers:
                steps += [(name, Packed(module, relu=False)), (relu, nn.ReLU())]
            else:
                steps.append((relu, Packed(module, relu=True)))
    return steps


def _fold(network: Any) -> None:
    """Put each batch normalisation of a ResNet into its convolution, which is the same function."""
    network.eval()
    for module in list(network.modules()):
        for i in range(1, 4):
            if (norm := getattr(module, f"bn{i}", None)) is not None:
                folded = fuse_conv_bn_eval(getattr(module, f"conv{i}"), norm)
                setattr(module, f"conv{i}", folded)
                setattr(module, f"bn{i}", nn.Identity())
        if getattr(module, "downsample", None) is not None:
            module.downsample = fuse_conv_bn_eval(*module.downsample)


def _load(backbone: str, weights: str | None, seed: int) -> Any:
    """torchvision's network without its head, with its values."""
    from torchvision.models import get_model  # here, because it takes as long to import as torch

    with torch.device("meta"):  # its shapes, without its slow initialisation
        network = get_model(backbone, weights=None)
    for head in ("avgpool", "classifier", "fc"):
        if hasattr(network, head):
            delattr(network, head)
    if weights == "random":
        _draw(network.to_empty(device="cpu"), seed)
    elif weights is not None:
        own = weights == "torchvision"
        values = read_torchvision(backbone) if own else read_file(weights, backbone)
        what = "torchvision's weights" if own else f"weights '{weights}'"
        network.load_state_dict(_fitting(network, values, what), assign=True)
    return network


@torch.no_grad()
def _draw(network: nn.Module, seed: int) -> None:
    """Untrained values: He et al. 2015 for convolutions and linear maps, the rest without effect.

    ConvNeXt's factors of its blocks are one; at torchvision's 1e-6 the blocks would do nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        kind = name.rpartition(".")[2]
        if kind == "weight" and value.ndim > 1:
            nn.init.kaiming_normal_(value, nonlinearity="relu", generator=generator)
        else:
            value.fill_(1 if kind in ("weight", "running_var", "layer_scale") else 0)


def _fitting(network: nn.Module, values: Mapping[str, Any], what: str) -> dict[str, Tensor]:
    """The values that a network needs, checked by name and shape."""
    state = {}
    for key, wanted in network.state_dict().items():
        if key.endswith("num_batches_tracked"):  # which nothing reads, and old files lack
            state[key] = torch.tensor(0)
            continue
        value = values.get(key)
        if not isinstance(value, Tensor) or value.shape != wanted.shape:
            found = f"has {tuple(value.shape)}" if isinstance(value, Tensor) else "is missing"
            raise InputError(
                f"{what}: '{key}' should have shape {tuple(wanted.shape)} and {found}; give a "
                f"state dict of torchvision's {network.__class__.__name__}"
            )
        state[key] = value.float()
    return state


def kept_bytes(
    config: Config, layers: Iterable[str], size: tuple[int, int], dtype: torch.dtype
) -> tuple[int, int]:
    """What a network and autograd keep for an image of (height, width), and the largest map of it.

    In bytes. The network runs on the device "meta", which has shapes and no values.
    """
    settings = config.pooling, "none", config.padding, 0, config.memory == "low"
    model = Backbone(config.backbone, layers, None, *settings).to(dtype)
    image = torch.empty(1, 3, *size, dtype=dtype, device="meta", requires_grad=True)
    kept: dict[int, Tensor] = {}

    def keep(x: Tensor) -> Tensor:
        kept[x.untyped_storage()._cdata] = x
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        maps = model(image)
    for found in maps.values():
        keep(found)
    of_weights = {p.untyped_storage()._cdata for p in model.parameters()}
    sizes = [x.untyped_storage().nbytes() for key, x in kept.items() if key not in of_weights]
    weights = sum(p.nbytes for p in model.parameters())
    return weights + sum(sizes), max(sizes, default=0)
