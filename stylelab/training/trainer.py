"""Training: a new style is fitted to a network of many."""

from collections.abc import Callable

import torch
from torch import Tensor

from stylelab.config import PRESETS, SMALLEST, Config
from stylelab.device import pick_device, pick_precision
from stylelab.errors import InputError
from stylelab.images import standardise
from stylelab.losses import content_loss, gram_matrix, style_loss, total_variation
from stylelab.networks.multistyle import StyleNetwork
from stylelab.vgg.network import VGG19


def fit_style(
    network: StyleNetwork,
    style: Tensor,
    content: Tensor,
    config: Config = PRESETS["paper"],
    steps: int = 100,
    learning_rate: float = 0.03,
    crop: int = 128,
    batch: int = 2,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> Tensor:
    """Fit the 990 numbers of a new style, on random crops of a picture; nothing else is trained.

    The losses, their layers and weights are those of ``config``, as for a single picture. The
    start is the row of the style, among those there are, with the least total on first crops.

    Args:
        network: which stays as it is; `StyleNetwork.add` takes the result.
        style, content: (1, 3, H, W) in [0, 1].
        config: the layers, weights and network of the losses, and the seed of the crops.
        steps: of Adam, with a ``learning_rate`` that falls to zero along a cosine.
        crop: side of the square crops, of which there are ``batch`` a step.
        on_step: called after each step with its number and the losses, unweighted but "total".

    Returns:
        The row, (990,).
    """
    if crop < SMALLEST or min(content.shape[2:]) < crop:
        side = min(content.shape[2:])
        raise InputError(f"crop={crop} should be from {SMALLEST} to {side}, the content's side")
    if steps < 1 or batch < 1 or not learning_rate > 0:
        raise InputError("steps and batch should be 1 or above, and learning_rate above 0")
    device, c = pick_device(config.device), config
    settings = (c.weights, c.pooling, c.normalise, c.padding, c.seed)
    model = VGG19(c.content_layers + c.style_layers, *settings)
    model = model.to(device, pick_precision(c.precision, device))
    content, start = content.to(device), network.table.device
    network = network.to(device)
    with torch.no_grad():
        features = model(standardise(style.to(device)))
        grams = {n: gram_matrix(features[n]).expand(batch, -1, -1) for n in c.style_layers}

    def losses(row: Tensor, crops: Tensor) -> dict[str, Tensor]:
        image = standardise(network(crops, row))
        with torch.no_grad():
            targets = model(standardise(crops))
        features = model(image)
        pairs = [(features[name].float(), targets[name].float()) for name in c.content_layers]
        terms = {"content": torch.stack([content_loss(a, b) for a, b in pairs]).sum()}
        styles = [style_loss(features[name], gram) for name, gram in grams.items()]
        terms |= {"style": torch.stack(styles).sum(), "tv": total_variation(image)}
        terms["total"] = torch.stack(
            [getattr(c, f"{name}_weight") * value for name, value in terms.items()]
        ).sum()
        return terms

    generator = torch.Generator().manual_seed(c.seed)
    with torch.no_grad():
        crops = _crops(content, crop, batch, generator)
        totals = [float(losses(row, crops)["total"]) for row in network.table]
    row = network.table[totals.index(min(totals))].clone().requires_grad_()
    optimizer = torch.optim.Adam([row], learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        terms = losses(row, _crops(content, crop, batch, generator))
        terms["total"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if on_step is not None:
            on_step(step, {name: value.item() for name, value in terms.items()})
    network.to(start)
    return row.detach().to(start)


def _crops(content: Tensor, side: int, count: int, generator: torch.Generator) -> Tensor:
    """Random squares of a picture, half of them mirrored, (count, 3, side, side)."""
    height, width = (n - side + 1 for n in content.shape[2:])
    crops = []
    for _ in range(count):
        y, x, flip = (int(torch.randint(n, (), generator=generator)) for n in (height, width, 2))
        crop = content[:, :, y : y + side, x : x + side]
        crops.append(crop.flip(3) if flip else crop)
    return torch.cat(crops)
