"""The optimisers: Adam, and for pictures Adam at several resolutions at once."""

from collections.abc import Callable, Iterable
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from stylelab.maths.resizing import resize


class Uncompiled(Optimizer):
    """An optimiser without what PyTorch's own import for `torch.compile`, which is not used here.

    Before the first step that would take over a second and 150 MB.
    """

    add_param_group = unwrap(Optimizer.add_param_group)
    zero_grad = unwrap(Optimizer.zero_grad)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)


class Adam(Uncompiled, torch.optim.Adam):
    """Adam (Kingma and Ba 2015), as PyTorch has it."""

    step = torch.no_grad()(unwrap(torch.optim.Adam.step))


class PyramidAdam(Uncompiled):
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
    return resize(x, size)
