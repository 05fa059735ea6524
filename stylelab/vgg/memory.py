"""How much memory a run will take, estimated before it begins."""

import math
from dataclasses import replace

import torch

from stylelab.config import Config
from stylelab.device import free_memory_mb
from stylelab.errors import InputError
from stylelab.layers import CONVOLUTIONS, LAYERS
from stylelab.registry import METHODS
from stylelab.vgg.backbones import kept_bytes
from stylelab.vgg.convolution import WIDE
from stylelab.vgg.network import MIRRORED
from stylelab.vgg.weights import SHAPES

BASE_MB = 790  # Python and the libraries
COMPILER_MB = 150  # what PyTorch loads of its compiler to compute maps again, or for L-BFGS
IMAGES = 20  # in float32 at a time: the image, its gradient, the optimiser's means, both pictures
WORKING = {"plain": 5.0, "low": 2.5}  # temporary maps of the first block in memory at once


def host_memory_mb(config: Config) -> int:
    """What Python and the libraries take, in MB; with a GPU, this is not on it."""
    return BASE_MB + (COMPILER_MB if config.memory == "low" or config.optimizer == "lbfgs" else 0)


def estimate_memory_mb(config: Config, size: tuple[int, int], dtype: torch.dtype) -> float:
    """Peak memory of the process in a run at (height, width), in MB.

    Counts what autograd keeps. For VGG-19 that is each convolution's output, the pooled maps and
    the int64 indices of their maxima; with ``memory="low"`` the maps that the losses read, the
    pooled ones and one pooling's indices. The constants above are fitted; ``benchmarks/memory.py``
    shows how well.
    """
    wanted = set(METHODS.load(config.method).layers(config))
    low = config.memory == "low"
    base = host_memory_mb(config)
    if config.backbone != "vgg19":
        found, largest = kept_bytes(config, wanted, size, dtype)
        return base + (found + WORKING["low"] * largest + IMAGES * 3 * 4 * math.prod(size)) / 1e6
    names = CONVOLUTIONS[: max((LAYERS.index(n) for n in wanted), default=-2) // 2 + 1]
    # Channels, in units of one at full size.
    share = {name: SHAPES[name][0] / 4 ** (int(name[4]) - 1) for name in names}
    pooled = [SHAPES[n][1] / 4 ** (int(n[4]) - 1) for n in names if n.endswith("_1")][1:]
    kept = {n.replace("relu", "conv") for n in wanted} if low else share
    maps = sum(pooled) + sum(share[n] for n in kept) + WORKING[config.memory] * SHAPES["conv1_1"][0]
    places = 8 * (max(pooled, default=0) if low else sum(pooled))
    # The network's weights and both packed forms of them, of which Winograd's have 36 for 9.
    forms = {n: 3 if min(SHAPES[n][:2]) < WIDE or dtype.itemsize < 4 else 9 for n in names}
    weights = sum(n * math.prod(SHAPES[name]) for name, n in forms.items()) * dtype.itemsize
    # A style picture larger than the result is only read, once; nothing is kept of it.
    reading = WORKING["low"] * SHAPES["conv1_1"][0] * config.style_scale**2 * dtype.itemsize
    pixel = max(maps * dtype.itemsize + places + IMAGES * 3 * 4, reading)  # bytes
    around = 2 * MIRRORED if config.padding == "reflect" else 0
    return float(base + (weights + pixel * (size[0] + around) * (size[1] + around)) / 1e6)


def check_memory(
    config: Config, size: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> None:
    """Raise InputError if a run will not fit; the message says what it needs and what would fit."""
    free, gpu = free_memory_mb(device), device.type == "cuda"
    both = (config, replace(config, memory="low"))
    needed, low = (estimate_memory_mb(c, size, dtype) - gpu * host_memory_mb(c) for c in both)
    if needed <= free:
        return
    way = f"set memory='low' (about {low / 1e3:.1f} GB)" if low <= free else "choose a smaller size"
    raise InputError(
        f"{size[0]}x{size[1]} pixels need about {needed / 1e3:.1f} GB of memory and "
        f"{free / 1e3:.1f} GB are free; {way}"
    )
