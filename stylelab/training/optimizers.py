"""The optimisers, and the schedules of step size and image size over a run."""

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylelab.config import SMALLEST, Config
from stylelab.errors import InputError
from stylelab.images import standardize

WARM_UP = 10  # steps in which the linear schedule rises


class PyramidAdam(torch.optim.Optimizer):
    """Adam on an image (1, C, H, W) written as a sum of levels, each half the size of the last.

    With image = c_0 + up(c_1) + up(up(c_2)) + ..., the gradient of a level is the image's
    gradient reduced to the level's size. Each level takes a step of Adam (Kingma and Ba 2015), and
    the image changes by the sum of these steps. A change that a whole region needs, such as of its
    colour, takes a few steps of a coarse level instead of many steps of every pixel.

    Args:
        params: the images.
        lr: step size of the finest level.
        levels: number of levels.
        ratio: a level's step size over that of the next finer level.
        betas: decay of the running means of the gradient and of its square. The second is far
            below Adam's usual 0.999, because gradients soon are much smaller than at first.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.15,
        levels: int = 4,
        ratio: float = 0.7,
        betas: tuple[float, float] = (0.9, 0.9),
    ) -> None:
        super().__init__(params, {"lr": lr, "levels": levels, "ratio": ratio, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            (b1, b2), rate = group["betas"], group["lr"]
            for image in group["params"]:
                state, gradient, size = self.state[image], image.grad, image.shape[2:]
                state["step"] = t = state.get("step", 0) + 1
                for k in range(group["levels"]):
                    if k:
                        half = [(side + 1) // 2 for side in gradient.shape[2:]]
                        gradient = _resize(gradient, half)
                    if t == 1:
                        state[f"mean/{k}"] = torch.zeros_like(gradient)
                        state[f"square/{k}"] = torch.zeros_like(gradient)
                    mean = state[f"mean/{k}"].lerp_(gradient, 1 - b1)
                    square = state[f"square/{k}"].lerp_(gradient.square(), 1 - b2)
                    change = mean / (1 - b1**t) / ((square / (1 - b2**t)).sqrt() + 1e-8)
                    image.sub_(_resize(change, size), alpha=rate * group["ratio"] ** k)
        return loss


def _resize(x: Tensor, size: Any) -> Tensor:
    if x.shape[2:] == torch.Size(size):
        return x
    return F.interpolate(x, tuple(size), mode="bilinear", antialias=True)


@torch.no_grad()
def project(image: Tensor) -> None:
    """Move each pixel of a standardised image to the nearest one in [0, 1], in place."""
    black, white = (standardize(torch.full_like(image[:1, :, :1, :1], v)) for v in (0.0, 1.0))
    image.clamp_(black, white)


def make_optimizer(variable: Tensor, config: Config) -> torch.optim.Optimizer:
    """The optimiser that the config names, for the image ``variable``."""
    rate = config.learning_rate
    if config.optimizer == "lbfgs":
        # One evaluation per step, so that a step costs and counts as much as one of Adam.
        return torch.optim.LBFGS([variable], lr=rate, max_iter=1, history_size=20)
    optimizer = torch.optim.Adam if config.optimizer == "adam" else PyramidAdam
    made = optimizer([variable], lr=rate)
    if config.projected:
        made.register_step_post_hook(lambda *_: project(variable))
    return made


def learning_rate(config: Config, steps: int) -> Callable[[int], float]:
    """The factor of the step size, as a function of the steps done so far out of ``steps``."""
    if config.schedule == "linear":
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
