"""Repair of a damaged painting: fill the hole smoothly, then paint strokes like those around it."""

import os
from dataclasses import replace

import torch
from torch import Tensor

from stylelab.config import Config
from stylelab.errors import InputError
from stylelab.images import Source, load_image
from stylelab.training.result import Result
from stylelab.training.transfer import stylize

# Average pooling and strong total variation keep single glaring pixels away from the hole's edge.
DEFAULT = Config(
    method="repair",
    pooling="avg",
    tv_weight=500,
    steps=150,
    learning_rate=0.05,
    schedule="linear",
    projected=True,
)
# For brush strokes, which are narrower than what a patch of relu3_1 sees. Few steps: each makes the
# strokes sharper, and those that stand in the wrong place, too; benchmarks/results.md has figures.
WRITING = replace(DEFAULT, style_weight=0, steps=25, options=(("patch_layers", ("relu2_1",)),))


def repair(
    picture: Source,
    mask: str | os.PathLike[str],
    config: Config = DEFAULT,
    progress: bool = True,
) -> Result:
    """Paint the damaged part of a picture in the style of the rest, which stays unchanged.

    The picture is brought to ``config.size`` first, 150x225 unless you choose another.

    Args:
        picture: anything that `load_image` takes.
        mask: the path of a picture of the same shape, white where the damage is.
        config: the settings; its method and mask are replaced.
        progress: whether to show the bar.

    Raises:
        InputError: a picture that cannot be read, or a mask that covers nothing or too much.
    """
    config = replace(config, method="repair", mask=os.fspath(mask))
    if config.colours != "style" or config.style_scale != 1:
        raise InputError("a repair reads the picture as it is; leave colours and style_scale alone")
    image = load_image(picture, config.size, config.fit)
    hole = load_image(config.mask, (image.shape[2], image.shape[3]), config.fit)
    filled = fill_smoothly(image, hole.mean(1, keepdim=True))
    return stylize(filled, filled, config, progress=progress)


def fill_smoothly(image: Tensor, hole: Tensor) -> Tensor:
    """Fill a hole (1, 1, H, W) of an image (1, 3, H, W) in [0, 1] with a smooth surface.

    Biharmonic inpainting, so that colours and their gradients continue smoothly from the edge
    (Damelin and Hoang 2018), by scikit-image. InputError if the hole is empty or over a half.
    """
    from skimage.restoration import inpaint_biharmonic  # here, because it takes 60 MB

    inside = hole[0, 0].numpy() > 0
    if not inside.any() or inside.mean() > 0.5:
        part = f"{inside.mean():.0%} of the picture"
        raise InputError(f"the mask covers {part}; paint the damage white, up to a half, on black")
    pixels = inpaint_biharmonic(image[0].permute(1, 2, 0).numpy(), inside, channel_axis=2)
    return torch.from_numpy(pixels).float().permute(2, 0, 1)[None].clamp(0, 1)
