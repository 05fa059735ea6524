"""Deep photo style transfer (Luan, Paris, Shechtman and Bala 2017): the result stays a photo.

Style goes from each region of one picture to the same region of the other, and the matting
Laplacian lets colours change only as an affine function of the photo's. The paper's second stage
begins with the result of a plain transfer: save that, and give its path as ``Config(init=...)``.
"""

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stylelab.config import Config, Layers, Weight, checked
from stylelab.errors import InputError
from stylelab.images import restore
from stylelab.losses import by_share, total_variation
from stylelab.maths.matting import matting_laplacian, matting_loss, to_torch
from stylelab.maths.regions import masks_at_layers, masks_of_labels, masks_of_polygons, sky_mask
from stylelab.maths.statistics import masked_gram
from stylelab.objectives import (
    Objective,
    Styles,
    Terms,
    TermsOf,
    content_terms,
    one_picture,
    read_layers,
    standard_weights,
)
from stylelab.vgg.network import VGG19

SMALLEST_REGION = 1e-3  # of the picture's area; smaller regions are left out

Points = Annotated[tuple[tuple[float, float], ...], Field(min_length=3)]


@checked
class Options:
    content_layers: Layers = ("conv4_2",)
    """Layers whose features hold the content."""
    style_layers: Layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    """Layers whose Gram matrices, by region, hold the style."""
    smoothness: Weight = 1e4
    """The paper's lambda: how firmly the photo's edges are held."""
    content_regions: str = ""
    """Regions of the content: sky (and ground, guessed), or the path of a picture in which each
    grey or colour is a label; empty is the whole."""
    style_regions: str = ""
    """The same for the style picture, with the same labels."""
    content_polygons: tuple[Points, ...] = ()
    """Regions of the content as polygons of points (down, across), in parts of its height and
    width; what lies outside of all is the last region."""
    style_polygons: tuple[Points, ...] = ()
    """The same for the style picture, in the same order."""

    def __post_init__(self) -> None:
        if len(self.content_polygons) != len(self.style_polygons):
            raise InputError("content_polygons and style_polygons differ in number: give pairs")
        if bool(self.content_regions) != bool(self.style_regions):
            raise InputError("set both content_regions and style_regions, or neither")
        if self.content_regions and self.content_polygons:
            raise InputError("set either regions or polygons, not both")


def layers(config: Config) -> tuple[str, ...]:
    options = config.options_as(Options)
    return options.content_layers + options.style_layers


def loss_weights(config: Config) -> dict[str, float]:
    return {**standard_weights(config), "matting": config.options_as(Options).smoothness}


def region_style_loss(features: Tensor, masks: Tensor, targets: list[Tensor]) -> Tensor:
    """The style losses of all regions (K, 1, H, W), each times its part of the picture."""
    losses = [
        mask.mean() * F.mse_loss(masked_gram(features, mask[None]), target)
        for mask, target in zip(masks, targets, strict=True)
    ]
    return torch.stack(losses).sum()


def find_regions(
    content: Tensor, styles: list[Tensor], options: Options, fit: Any = "crop"
) -> tuple[Tensor, list[Tensor]]:
    """Masks (K, 1, H, W) of the content, and of each style picture, in the same order.

    The images (1, 3, H, W) are in [0, 1]. Regions that hardly show in one of them are left out.
    """
    pictures = [content, *styles]
    if options.content_polygons:
        polygons = [options.content_polygons, *[options.style_polygons] * len(styles)]
        found = [
            masks_of_polygons(p, (x.shape[2], x.shape[3]))
            for p, x in zip(polygons, pictures, strict=True)
        ]
    elif options.content_regions:
        names = [options.content_regions, *[options.style_regions] * len(styles)]
        by_label = [
            _labelled(name, picture, fit) for name, picture in zip(names, pictures, strict=True)
        ]
        for label in by_label[0]:
            if any(label not in other for other in by_label[1:]):
                raise InputError(
                    f"the style's regions have no label {label}; they have "
                    f"{', '.join(map(str, by_label[1]))}"
                )
        found = [torch.cat([masks[label] for label in by_label[0]]) for masks in by_label]
    else:
        found = [picture.new_ones(1, 1, 1, 1) for picture in pictures]  # whatever is read of it
    area = torch.stack([masks.mean((1, 2, 3)).cpu() for masks in found]).amin(0)
    kept = area > SMALLEST_REGION
    if not kept.any():
        raise InputError("no region shows in both pictures; draw larger ones")
    first, *others = (masks[kept].to(content.device) for masks in found)
    return first, others


def _labelled(name: str, image: Tensor, fit: Any) -> dict[Any, Tensor]:
    if name == "sky":
        sky = sky_mask(image)
        return {(255, 255, 255): sky, (0, 0, 0): 1 - sky}
    return dict(masks_of_labels(name, (image.shape[2], image.shape[3]), fit))


def objective(styles: Styles, model: VGG19, config: Config) -> Objective:
    """The regions of all pictures are found together, once the content is there."""
    options = config.options_as(Options)
    if config.style_masks and (options.content_regions or options.content_polygons):
        raise InputError("set either style_masks or the regions of method 'photo', not both")
    pictures = [restore(style) for style, _ in styles]
    read = [(read_layers(model, style, options.style_layers), share) for style, share in styles]

    def with_content(content: Tensor) -> TermsOf:
        one_picture(content, "photo")
        photo = restore(content)
        laplacian = to_torch(matting_laplacian(photo), content)
        regions, style_regions = find_regions(photo, pictures, options, config.fit)
        seen = masks_at_layers(regions, options.style_layers)
        targets = read_layers(model, content, options.content_layers)
        grams: list[tuple[dict[str, list[Tensor]], float]] = []
        for (features, share), masks in zip(read, style_regions, strict=True):
            at = masks_at_layers(masks, options.style_layers)
            by_region = {n: [masked_gram(f, m[None]) for m in at[n]] for n, f in features.items()}
            grams.append((by_region, share))

        def terms(image: Tensor) -> Terms:
            features = model(image)
            losses = content_terms(features, targets)
            for name in options.style_layers:
                losses[f"style/{name}"] = by_share(
                    [(region_style_loss(features[name], seen[name], g[name]), s) for g, s in grams]
                )
            losses["tv"] = total_variation(image)
            losses["matting"] = matting_loss(restore(image, clip=False), laplacian)
            return losses

        return terms

    return with_content
