"""Controls that work with every method, because they act on its terms and on what it reads."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.images import Picture
from stylelab.objectives import Objective, Styles, Terms, TermsOf
from stylelab.vgg.network import VGG19


def weighted(objective: Objective, config: Config) -> Objective:
    """The objective with `Config.content_layer_weights` and ``style_layer_weights``.

    The terms "content/..." and "style/..." are multiplied by them, in the order in which the method
    names its layers. The terms raise InputError if there is not one weight for each layer.
    """
    given = {"content": config.content_layer_weights, "style": config.style_layer_weights}
    if not any(given.values()):
        return objective

    def with_content(content: Tensor) -> TermsOf:
        of = objective(content)

        def terms(image: Tensor) -> Terms:
            found = of(image)
            for group, weights in given.items():
                found |= _multiplied(found, group, weights)
            return found

        return terms

    return with_content


def _multiplied(terms: Terms, group: str, weights: Sequence[float]) -> Terms:
    names = [name for name in terms if name.startswith(f"{group}/")]
    if not weights:
        return {}
    if len(names) != len(weights):
        layers = " ".join(name.partition("/")[2] for name in names) or "none"
        raise InputError(
            f"{group}_layer_weights has {len(weights)} weights for {len(names)} {group} layers "
            f"({layers}); give one for each"
        )
    return {name: weight * terms[name] for name, weight in zip(names, weights, strict=True)}


def read_style_masks(
    files: Mapping[str, Picture], config: Config, size: tuple[int, int], styles: int
) -> Tensor:
    """The masks of `Config.style_masks` at (height, width), (K, 1, H, W) in [0, 1].

    Raises:
        InputError: not one mask for each style picture, or a mask is black.
    """
    names = config.style_masks
    if len(names) != styles:
        raise InputError(
            f"style_masks has {len(names)} masks for {styles} style pictures; give {styles}"
        )
    if config.blend or names.count("") > 1:
        raise InputError("style_masks say where each style goes: give no blend, and one '' at most")
    masks = torch.zeros(len(names), 1, *size)
    for i, name in enumerate(names):
        if name:
            found = files[f"style_mask_{i + 1}"].load(size, config.fit)
            masks[i] = found.mean(1)
    if "" in names:
        masks[names.index("")] = 1 - masks.sum(0).clamp(max=1)
    for name, mask in zip(names, masks, strict=True):
        if not (mask > 0.5).any():
            which = f"the mask '{name}' is black" if name else "the other masks leave no rest"
            raise InputError(f"{which}; paint white where its style goes")
    return masks


class Region:
    """A network that, once the styles are read, gives the features of a region alone.

    As maps (1, C, 1, P) of its positions, whose statistics are the region's. Where a method
    compares neighbours, as whole maps, of which only the region has a gradient.
    """

    def __init__(self, model: VGG19, whole: bool) -> None:
        self.model, self.whole = model, whole
        self.given: dict[str, Tensor] | None = None
        """Features of the image that is asked for next."""
        self.places: dict[str, Tensor] | None = None
        """The region at each layer, (h, w) of bool."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        features = self.model(image) if self.given is None else self.given
        if self.places is None:
            return features
        return {name: self._cut(f, self.places[name]) for name, f in features.items()}

    def _cut(self, features: Tensor, place: Tensor) -> Tensor:
        if self.whole:
            return torch.where(place, features, features.detach())
        return features.flatten(2)[:, :, place.flatten()][:, :, None]


def regional(method: Any, styles: Styles, masks: Tensor, model: VGG19, config: Config) -> Objective:
    """The objective in which each style has a region of the picture, with any method.

    Each region's terms are the method's own, read in the region; a layer's term is their mean,
    weighted by the regions' parts of the picture, as Luan et al. 2017 do for their photographs.

    Args:
        method: the module; if it defines ``needs_maps(config)`` and that is true, it compares
            neighbouring features, and is given whole maps.
        styles: as `Objective` has them.
        masks: (K, 1, H, W), one for each style. Where two overlap, the larger value wins.
    """
    whole = hasattr(method, "needs_maps") and bool(method.needs_maps(config))
    regions = [Region(model, whole) for _ in styles]
    objectives = [
        method.objective([(style, 1.0)], cast(VGG19, region), config)
        for (style, _), region in zip(styles, regions, strict=True)
    ]

    def with_content(content: Tensor) -> TermsOf:
        with torch.no_grad():
            places = {name: _places(f, masks) for name, f in model(content).items()}
        for i, region in enumerate(regions):
            region.places = {name: place[i] for name, place in places.items()}
        each = [objective(content) for objective in objectives]

        def terms(image: Tensor) -> Terms:
            found: Terms = {}
            features = model(image)
            for i, (of, region) in enumerate(zip(each, regions, strict=True)):
                region.given = features
                for name, value in of(image).items():
                    place = places.get(name.partition("/")[2])
                    if place is None:  # of the picture itself, the same for all regions
                        found.setdefault(name, value)
                    else:
                        part = place[i].float().mean()
                        found[name] = found.get(name, 0.0) + _part_of(value, part, whole)
                region.given = None
            return found

        return terms

    return with_content


def _part_of(value: Tensor, part: Tensor, whole: bool) -> Tensor:
    """Part of a region's term; of a whole map's, the gradient is that of the region already."""
    return part * value + (1 - part) * (value - value.detach()) if whole else part * value


def _places(features: Tensor, masks: Tensor) -> Tensor:
    """Which positions of a map belong to which region, (K, h, w) of bool."""
    height, width = features.shape[2:]
    small = F.interpolate(masks, (height, width), mode="area")[:, 0]  # (K, h, w)
    covered = small.sum(0) > 0.5
    first = small.argmax(0)
    found = torch.stack([(first == k) & covered for k in range(len(masks))])
    for k, place in enumerate(found):
        if not place.any():  # smaller than a position of that layer
            place |= small[k] == small[k].max()
    return found
