"""Repair of a damaged picture: the white part of ``Config(mask=...)`` is painted like the rest.

Gram matrices (after Gatys et al. 2016) give the texture and the colours of what lies near the
hole, and 3x3 patches (after Li and Wand 2016) give strokes that exist elsewhere in the picture.
Both are read only where no damage is seen. `stylelab.repair` is the function to call.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stylelab.config import Config, Layers, Weight, checked
from stylelab.errors import InputError
from stylelab.images import load_image
from stylelab.losses import by_share, total_variation
from stylelab.maths.patches import lay, match, patch_places, read_patches
from stylelab.maths.regions import masks_at_layers
from stylelab.maths.statistics import masked_gram
from stylelab.objectives import (
    Objective,
    Styles,
    Terms,
    TermsOf,
    one_picture,
    read_layers,
)
from stylelab.vgg.network import VGG19

SCALE = 0.1  # so that the texture does not override the patches and the hole's edge


@checked
class Options:
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1")
    """Layers whose Gram matrices are matched; deeper ones see the damage from further away."""
    patch_layers: Layers = ("relu3_1",)
    """Layers whose 3x3 patches are matched; shallow ones take ten times as long."""
    patch_weight: Weight = 1.0
    """Weight of the patches."""
    reach: Annotated[float, Field(gt=0, le=1)] = 0.1
    """How far from the hole its texture is read, as a fraction of the longer side."""


def layers(config: Config) -> tuple[str, ...]:
    options = config.options_as(Options)
    return options.style_layers + options.patch_layers


def loss_weights(config: Config) -> dict[str, float]:
    return {
        "style": config.style_weight * SCALE,
        "patches": config.options_as(Options).patch_weight,
        "tv": config.tv_weight,
    }


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

    The mean is weighted by ``weight`` (1, 1, H, W), how much of what a position sees is damaged:
    positions that hardly see the damage match no sample well, and pulling them to one would turn
    the pixels at the edge to glaring colours. Patches that see no damage are left out.

    The value is the whole distance. The gradient is that of the distance to the mean of the matches
    at each position: the two differ by the spread of the matches around their mean, which does not
    depend on the image. A sum over positions has the same order at each call; the gradient of an
    indexing of patches has not, and would not give the same bytes again.
    """
    with torch.no_grad():
        weights = read_patches(weight)  # (P, 9)
        damaged = weights.amax(1) > 0
        patches = read_patches(features)[damaged]  # (p, 9*C)
        matched = features.new_zeros(len(damaged), 9 * features.shape[1])
        matched[damaged] = samples[match(patches, samples)[0]]
        total, everywhere = lay(matched, features.shape)
        part, _ = lay(damaged[:, None].to(features).expand(-1, 9), weight.shape)
        count = weight * part * everywhere  # damaged patches over each position, weighted
        mean = total / part.clamp_min(1e-6)
        size = count.sum() * features.shape[1]
        squares = (patches - matched[damaged]).square()
        places = squares.view(len(patches), 9, -1).sum(2) * weights[damaged]
        whole = places.sum() / size
    loss = (count * (features - mean).square()).sum() / size
    return loss + (whole - loss).detach()  # the value of `whole`, the gradient of `loss`


def read_undamaged(
    model: VGG19, styles: Styles, content: Tensor, touched: dict[str, Tensor], config: Config
) -> tuple[dict[str, list[tuple[Tensor, float]]], dict[str, Tensor]]:
    """What the repair is made of: the styles' Gram matrices with their shares, and their patches.

    A style that is the content itself is damaged at the same place: where ``touched``, the layers'
    maps of what sees the damage, is one. It is left out there, and its Gram matrices are those of
    what lies near.
    """
    options, names = config.options_as(Options), layers(config)
    grams: dict[str, list[tuple[Tensor, float]]] = {name: [] for name in options.style_layers}
    known: dict[str, list[Tensor]] = {name: [] for name in options.patch_layers}
    for style, share in styles:
        damaged = bool(config.mask) and torch.equal(style, content)
        for name, features in read_layers(model, style, names).items():
            clean = 1 - touched[name] if damaged else torch.ones_like(features[:, :1])
            if name in known:
                known[name].append(read_patches(features)[whole_patches(clean)])
            if name in grams:
                here = clean * near(touched[name], options.reach) if damaged else clean
                if not here.any():
                    raise InputError(
                        f"the mask leaves nothing undamaged at layer {name}; draw it smaller, "
                        "or give the picture in a larger size"
                    )
                grams[name].append((masked_gram(features, here), share))
    patches = {name: torch.cat(parts) for name, parts in known.items()}
    if any(len(found) == 0 for found in patches.values()):
        raise InputError("the mask leaves no undamaged patch; draw it smaller")
    return grams, patches


def objective(styles: Styles, model: VGG19, config: Config) -> Objective:
    options = config.options_as(Options)
    if config.style_masks:
        raise InputError("method 'repair' takes no style_masks: its mask says what is repaired")

    def with_content(content: Tensor) -> TermsOf:
        one_picture(content, "repair")
        hole = torch.ones_like(content[:, :1])
        if config.mask:
            size = content.shape[2], content.shape[3]
            hole = load_image(config.mask, size, config.fit).mean(1, keepdim=True).to(content)
        if not hole.any():
            raise InputError("the mask is black; paint white what is to be repaired")
        seen = masks_at_layers(hole, layers(config))  # in [0, 1]: how much of it is damaged
        touched = {name: (m > 0).float() for name, m in seen.items()}
        grams, patches = read_undamaged(model, styles, content, touched, config)

        def terms(image: Tensor) -> Terms:
            features = model(image)
            losses = {}
            for name in options.style_layers:
                gram = masked_gram(features[name], seen[name])
                pairs = [(F.mse_loss(gram, target), share) for target, share in grams[name]]
                losses[f"style/{name}"] = by_share(pairs)
            for name in options.patch_layers:
                found = features[name].float()
                losses[f"patches/{name}"] = patch_loss(found, patches[name], seen[name])
            losses["tv"] = total_variation(image)
            return losses

        return terms

    return with_content
