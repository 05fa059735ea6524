"""Metrics of other packages, with weights from the network: the extra ``metrics``."""

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylelab.errors import InputError

WEIGHTS = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}


@torch.no_grad()
def lpips(image: Tensor, content: Tensor, net: str = "alex") -> float:
    """Learned perceptual image patch similarity (Zhang et al. 2018), from 0 (the same) upwards.

    Of two images (1, 3, H, W) in [0, 1] of one size, by the package ``lpips``. Its learnt factors
    are in the package; those of the network, "alex" or "vgg", torchvision downloads on first use.

    Raises:
        InputError: lpips is not installed, or the weights are neither here nor to be had.
    """
    if net not in WEIGHTS:
        raise InputError(f"unknown net '{net}' of LPIPS; choose from {', '.join(WEIGHTS)}")
    return float(_network(net)(2 * image - 1, 2 * content - 1))


@lru_cache(maxsize=1)
def _network(net: str) -> Any:
    try:
        from lpips import LPIPS
    except ImportError:
        raise InputError(
            "this metric needs lpips; install it with: pip install 'stylelab[metrics]'"
        ) from None
    path = Path(torch.hub.get_dir(), "checkpoints", WEIGHTS[net])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls torchvision by arguments of old
            return LPIPS(net=net, verbose=False).eval().requires_grad_(False)
    except Exception as error:  # no network; another hash; a file there that is something else
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"the weights for LPIPS could not be loaded ({first}); put torchvision's "
            f"{WEIGHTS[net]} at '{path}', or call it once with a network"
        ) from None
