"""Metrics of other packages, with weights from the network: the extra ``metrics``."""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylelab.errors import InputError
from stylelab.maths.statistics import Cloud, cost

WEIGHTS = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
ART = "art_inception.pth"
LEAST = 75  # pixels a side, of which Inception's last layers leave one


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


@torch.no_grad()
def artfid(images: Sequence[Tensor], contents: Sequence[Tensor], styles: Sequence[Tensor]) -> float:
    """ArtFID (Wright and Ommer 2022) of a method, from 1 (as good as can be) upwards.

    (1 + LPIPS) (1 + FID): the mean `lpips` of each image and its content, and the
    `frechet_distance` of all images from all styles, by the features of an Inception v3 that was
    trained to classify paintings. FID is biased: the fewer pictures, the larger. So compare methods
    by sets of one size, and by hundreds of pictures if you can. (The authors also extrapolate to
    infinitely many, from more than 5,000; that is not done here.)

    Args:
        images: two or more of (1, 3, H, W) in [0, 1].
        contents: what each image was made from, of its size.
        styles: two or more paintings, (1, 3, H, W) in [0, 1]; take the images' size.

    Raises:
        InputError: other numbers of pictures; a side under 75 pixels; as for `lpips`; or the
            classifier's weights are not in torch's cache. Nothing downloads them, because no hash
            of them is published.
    """
    if len(images) != len(contents) or min(len(images), len(styles)) < 2:
        raise InputError(
            "ArtFID needs a content for each image, and two or more images and styles; got "
            f"{len(images)} images, {len(contents)} contents and {len(styles)} styles"
        )
    if min(min(x.shape[2:]) for x in (*images, *styles)) < LEAST:
        raise InputError(f"ArtFID's classifier needs pictures of {LEAST} pixels or more a side")
    classifier = _art_classifier()
    seen = (torch.cat([classifier(x) for x in pictures]) for pictures in (images, styles))
    pairs = zip(images, contents, strict=True)
    distance = sum(lpips(image, content) for image, content in pairs) / len(images)
    return (1 + distance) * (1 + frechet_distance(*seen))


def frechet_distance(some: Tensor, others: Tensor) -> float:
    """Of two sets of features, (N, C) and (M, C), as Gaussians: FID (Heusel et al. 2017).

    |m - n|^2 + tr(C + D - 2 (C D)^(1/2)), with the covariances of samples, over N - 1 and M - 1;
    exact for few pictures, too, where neither has full rank.
    """
    return float(cost(*(_cloud(features.double()) for features in (some, others))))


def _cloud(features: Tensor) -> Cloud:
    mean = features.mean(0)
    return Cloud(mean, (features - mean) / (len(features) - 1) ** 0.5, len(features))


@lru_cache(maxsize=1)
def _art_classifier() -> Any:
    from torchvision.models import inception_v3

    path = Path(torch.hub.get_dir(), "checkpoints", ART)
    network = inception_v3(weights=None, aux_logits=False, init_weights=False)
    network.fc = torch.nn.Identity()
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        # Its own last layers, of which it has two, are not used here.
        kept = {key: found[key] for key in network.state_dict()}
        network.load_state_dict(kept)
    except Exception as error:  # no file there, or one that is something else
        raise InputError(
            f"ArtFID's classifier could not be loaded ({_first_line(error)}); put its authors' "
            f"{ART} (matthias-wright/art_inception on Hugging Face) at '{path}'"
        ) from None
    return network.eval().requires_grad_(False)


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
        raise InputError(
            f"the weights for LPIPS could not be loaded ({_first_line(error)}); put torchvision's "
            f"{WEIGHTS[net]} at '{path}', or call it once with a network"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
