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
from stylelab.maths.patches import lay, match, patch_places, read_patches
from stylelab.maths.regions import masks_at_layers
from stylelab.vgg.network import VGG19

SCALE = 0.1  # so that the fabric does not paint over what patches and the edge agree on


@checked
class Options:
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1")
    """Layers whose Gram matrices are matched; deeper ones see the damage from afar."""
    patch_layers: Layers = ("relu3_1",)
    """Layers whose 3x3 patches are matched; shallow ones take ten times as long."""
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
    """Gram matrix of the features times a mask, divided by C and the sum of the mask's squares."""
    return gram_matrix(mask.to(features.dtype) * features) / mask.square().mean()


def near(mask: Tensor, reach: float) -> Tensor:
    """The mask grown on all sides by a part of the map's longer side, at least one position."""
    k = max(1, round(reach * max(mask.shape[2:])))
    return F.max_pool2d(mask, 2 * k + 1, 1, k)


def whole_patches(mask: Tensor) -> Tensor:
    """For each 3x3 patch of a map, whether all of it lies in the mask: (P,) of bool."""
    inside = mask.flatten()[patch_places(mask.shape[2], mask.shape[3]).to(mask.device)]
    return inside.amin(1) > 0


def patch_loss(features: Tensor, samples: Tensor, weight: Tensor) -> Tensor:
    """Mean squared distance of the 3x3 patches of a map to their best samples (Q, 9*C).

    The mean is weighted by how much of what a position sees is damaged, ``weight`` (1, 1, H, W):
    what hardly sees the hole has its own match in no sample, and asked for another it would draw
    the pixels at the edge to glaring colours. Patches that see nothing of it are left out.

    Written over positions, so that no gradient runs through the indexing of patches, whose sums
    come in another order at each call.
    """
    with torch.no_grad():
        weights = read_patches(weight)  # (P, 9)
        asked = weights.amax(1) > 0
        patches = read_patches(features)[asked]  # (p, 9*C)
        matched = features.new_zeros(len(asked), 9 * features.shape[1])
        matched[asked] = samples[match(patches, samples)[0]]
        total, everywhere = lay(matched, features.shape)
        part, _ = lay(asked[:, None].to(features).expand(-1, 9), weight.shape)
        count = weight * part * everywhere  # asked patches over each position, weighted
        mean = total / part.clamp_min(1e-6)
        size = count.sum() * features.shape[1]
        squares = (patches - matched[asked]).square()
        places = squares.view(len(patches), 9, -1).sum(2) * weights[asked]
        whole = places.sum() / size
    loss = (count * (features - mean).square()).sum() / size
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
    if not hole.any():
        raise InputError("the mask is black; paint white what is to be repaired")
    names = layers(config)
    seen = masks_at_layers(hole, names)  # from 0 to 1, how much of what is seen is damaged
    touched = {name: (m > 0).float() for name, m in seen.items()}
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

    def terms(image: Tensor) -> dict[str, Tensor]:
        features = model(image)
        losses = {}
        for name in options.style_layers:
            gram = masked_gram(features[name], seen[name])
            parts = [share * F.mse_loss(gram, grams[name]) for grams, share in fabrics]
            losses[f"style/{name}"] = torch.stack(parts).sum()
        for name in options.patch_layers:
            losses[f"patches/{name}"] = patch_loss(
                features[name].float(), samples[name], seen[name]
            )
        losses["tv"] = total_variation(image)
        return losses

    return terms
