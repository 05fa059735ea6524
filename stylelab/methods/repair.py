"""Repair of a damaged picture: the white part of ``Config(mask=...)`` is painted like the rest.

Around the hole Gram matrices (after Gatys et al. 2016) give the fabric and the colours of what
lies near it, and 3x3 patches (after Li and Wand 2016) give strokes that exist elsewhere in the
picture. Both are read where no damage reaches. `stylelab.repair` is the way to call it.
"""

from collections.abc import Callable
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stylelab.config import Config, Layers, Weight, checked
from stylelab.errors import InputError
from stylelab.images import load_image
from stylelab.losses import gram_matrix, total_variation
from stylelab.model import VGG19
from stylelab.regions import masks_at_layers
from stylelab.transforms import lay, match, patch_places, read_patches

SCALE = 0.1  # so that the fabric does not paint over what patches and the edge agree on


@checked
class Options:
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1")
    """Layers whose Gram matrices are matched; deeper ones see the damage from afar."""
    patch_layers: Layers = ("relu3_1",)
    """Layers whose 3x3 patches are matched."""
    patch_weight: Weight = 1.0
    """Weight of the patches."""
    reach: Annotated[float, Field(gt=0, le=1)] = 0.1
    """How far from the hole its fabric is taken, in parts of the longer side."""


def layers(config: Config) -> tuple[str, ...]:
    options: Options = config.method_options
    return options.style_layers + options.patch_layers


def weights(config: Config) -> dict[str, float]:
    options: Options = config.method_options
    return {
        "style": config.style_weight * SCALE,
        "patches": options.patch_weight,
        "tv": config.tv_weight,
    }


def masked_gram(features: Tensor, mask: Tensor) -> Tensor:
    """Gram matrix over the positions of a mask of ones and zeros, divided by C and their number."""
    return gram_matrix(mask.to(features.dtype) * features) / mask.mean()


def near(mask: Tensor, reach: float) -> Tensor:
    """The mask grown on all sides by a part of the map's longer side, at least one position."""
    k = max(1, round(reach * max(mask.shape[2:])))
    return F.max_pool2d(mask, 2 * k + 1, 1, k)


def whole_patches(mask: Tensor) -> Tensor:
    """For each 3x3 patch of a map, whether all of it lies in the mask: (P,) of bool."""
    inside = mask.flatten()[patch_places(mask.shape[2], mask.shape[3]).to(mask.device)]
    return inside.amin(1) > 0


def patch_loss(features: Tensor, samples: Tensor, asked: Tensor) -> Tensor:
    """Mean squared distance of the asked (P,) 3x3 patches of a map to their best samples (Q, 9*C).

    Written as one over positions, so that no gradient runs through the indexing of patches, whose
    sums come in another order at each call.
    """
    with torch.no_grad():
        patches, mask = read_patches(features)[asked], asked[:, None].to(features)
        matched = features.new_zeros(len(asked), 9 * features.shape[1])
        matched[asked] = samples[match(patches, samples)[0]]  # (P, 9*C)
        total, everywhere = lay(matched, features.shape)
        part, _ = lay(mask.expand(-1, 9), (1, 1, *features.shape[2:]))
        count = part * everywhere  # asked patches that lie over each position
        mean = total / part.clamp_min(1e-6)
        whole = F.mse_loss(patches, matched[asked])
    loss = (count * (features - mean).square()).sum() / patches.numel()
    return loss + (whole - loss).detach()  # matches over one place differ from each other, too


def objective(
    content: Tensor, styles: list[tuple[Tensor, float]], model: VGG19, config: Config
) -> Callable[[Tensor], dict[str, Tensor]]:
    """Styles that are the content itself are damaged at the same place; others are whole."""
    options: Options = config.method_options
    size = content.shape[2], content.shape[3]
    hole = torch.ones_like(content[:, :1])
    if config.mask:
        hole = load_image(config.mask, size, config.fit).mean(1, keepdim=True).to(content)
    names = layers(config)
    touched = {n: (m > 0).float() for n, m in masks_at_layers(hole, names).items()}
    fabrics: list[tuple[dict[str, Tensor], float]] = []
    known: dict[str, list[Tensor]] = {name: [] for name in options.patch_layers}
    with torch.no_grad():
        for style, share in styles:
            features = model(style)
            damaged = bool(config.mask) and torch.equal(style, content)
            grams = {}
            for name in names:
                clean = torch.ones_like(features[name][:, :1], dtype=torch.float32)
                if damaged:
                    clean = 1 - touched[name]
                if name in options.patch_layers:
                    patches = read_patches(features[name].float())
                    known[name].append(patches[whole_patches(clean)])
                if name in options.style_layers:
                    here = clean * near(touched[name], options.reach) if damaged else clean
                    if not here.any():
                        raise InputError(
                            f"the mask leaves nothing undamaged at layer {name}; draw it smaller, "
                            "or give the picture in a larger size"
                        )
                    grams[name] = masked_gram(features[name], here)
            fabrics.append((grams, share))
    samples = {name: torch.cat(parts) for name, parts in known.items()}
    if any(len(patches) == 0 for patches in samples.values()):
        raise InputError("the mask leaves no undamaged patch; draw it smaller")
    # Patches that no damage touches are what they are, and carry no gradient.
    asked = {name: ~whole_patches(1 - touched[name]) for name in options.patch_layers}

    def terms(image: Tensor) -> dict[str, Tensor]:
        features = model(image)
        losses = {}
        for name in options.style_layers:
            gram = masked_gram(features[name], touched[name])
            parts = [share * F.mse_loss(gram, grams[name]) for grams, share in fabrics]
            losses[f"style/{name}"] = torch.stack(parts).sum()
        for name in options.patch_layers:
            losses[f"patches/{name}"] = patch_loss(
                features[name].float(), samples[name], asked[name]
            )
        losses["tv"] = total_variation(image)
        return losses

    return terms
