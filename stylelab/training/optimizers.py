"""The optimisers, and the schedules of step size and image size over a run."""

from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor

from stylelab.config import SMALLEST, Config
from stylelab.errors import InputError
from stylelab.images import standardize
from stylelab.training.pyramid import Adam, PyramidAdam

WARM_UP = 10  # steps in which the linear schedule rises


@torch.no_grad()
def project(image: Tensor) -> None:
    """Move each pixel of a standardised image to the nearest one in [0, 1], in place."""
    black, white = (standardize(torch.full_like(image[:1, :, :1, :1], v)) for v in (0.0, 1.0))
    image.clamp_(black, white)


def make_optimizer(variable: Tensor, config: Config) -> torch.optim.Optimizer:
    """The optimiser that the config names, for the image ``variable``."""
    if config.optimizer == "lbfgs":
        # One evaluation per step, so that a step costs and counts as much as one of Adam.
        return torch.optim.LBFGS([variable], lr=config.learning_rate, max_iter=1, history_size=20)
    optimizer = Adam if config.optimizer == "adam" else PyramidAdam
    made = optimizer([variable], lr=config.learning_rate)
    if config.projected:
        made.register_step_post_hook(lambda *_: project(variable))
    return made


def learning_rate(config: Config, steps: int, first: bool = True) -> Callable[[int], float]:
    """The factor of the step size, as a function of the steps done so far out of a scale's."""
    if config.schedule == "triangle" and first:
        half = max(1, steps / 2)
        return lambda done: max(0.0, min((done + 1) / half, 2 * (1 - done / steps), 1.0))
    if config.schedule != "constant":
        warm = min(WARM_UP, max(1, steps // 4))
        return lambda done: min(1, (done + 1) / warm) * max(0.0, 1 - done / steps)
    return lambda done: 0.1 ** (done // config.decay_every) if config.decay_every else 1.0


def plan_scales(size: tuple[int, int], config: Config) -> tuple[list[tuple[int, int]], list[int]]:
    """The (height, width) of each scale, coarse to fine, and the step after which each ends.

    Raises:
        InputError: the coarsest scale is too small, or there are fewer steps than scales need.
    """
    parts = [2**k for k in reversed(range(config.scales))]
    sizes = [(-(-size[0] // part), -(-size[1] // part)) for part in parts]
    ends = [round(config.steps * done / sum(parts)) for done in accumulate(parts)]
    if min(sizes[0]) < SMALLEST:
        raise InputError(
            f"scales={config.scales} begins with {sizes[0][0]}x{sizes[0][1]} pixels, and at least "
            f"{SMALLEST} a side are needed; use fewer scales or a larger size"
        )
    if config.steps < sum(parts):
        raise InputError(
            f"scales={config.scales} needs at least {sum(parts)} steps, not {config.steps}"
        )
    return sizes, ends
