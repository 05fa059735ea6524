"""How much of a step at 300x450 is convolution: against the network's own, bare, and the best one.

The bare convolutions are those of VGG-19 at the step's sizes, forward and back to the image, with
nothing else around them; each is timed alone, in the step's number format, in turns with steps.
"""

import math
import statistics

import pandas as pd
import torch
from sides import LARGE, PAIRS, alternate, make, precisions, quick, ratio, report

from stylelab import Config, Transfer
from stylelab.vgg.convolution import convolve as convolve_as_the_step_does


def bare(transfer: Transfer) -> dict[str, tuple]:
    """For each convolution, its input, weight, the gradient behind it and its operations."""
    (height, width), made = transfer.pictures[0].shape[2:], {}
    for name, convolution in transfer.model.convolutions.items():
        if name.endswith("_1") and name != "conv1_1":
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        outputs, inputs = convolution.weight.shape[:2]

        def picture(channels: int, h: int = height, w: int = width) -> torch.Tensor:
            x = torch.randn(1, channels, h, w, dtype=transfer.dtype)
            return x.to(memory_format=torch.channels_last).requires_grad_()

        flops = 2 * 2 * 9 * inputs * outputs * height * width  # forward and back
        made[name] = picture(inputs), convolution, picture(outputs).detach(), flops
    return made


def convolve(layers: dict[str, tuple]) -> None:
    for x, convolution, grad, _ in layers.values():
        torch.autograd.grad(convolve_as_the_step_does(x, convolution, relu=False), x, grad)


def main() -> None:
    short = quick()
    rows = []
    for side in ("stylelab",) if short else precisions():
        transfer = make(side, PAIRS[0], Config(size=LARGE, steps=100_000))
        layers = bare(transfer)
        acts = {"step": transfer.step, "bare": lambda layers=layers: convolve(layers)}
        acts |= {name: (lambda one={name: layer}: convolve(one)) for name, layer in layers.items()}
        taken = alternate(acts, 5 if short else 15)
        flops = {name: layer[3] for name, layer in layers.items()}
        flops["bare"] = flops["step"] = sum(flops.values())
        speed = {n: flops[n] / statistics.median(taken[n]) / 1e9 for n in flops}
        best = max(layers, key=speed.__getitem__)
        share = ratio(taken, best, "step") * flops["step"] / flops[best]
        rows.append(
            {
                "precision": str(transfer.dtype).removeprefix("torch."),
                "GFLOP a step": f"{flops['step'] / 1e9:.0f}",
                "GFLOP/s of the step": f"{speed['step']:.0f}",
                "of its bare convolutions": f"{speed['bare']:.0f}",
                "step / bare": f"{ratio(taken, 'bare', 'step'):.2f}",
                "of the best one": f"{speed[best]:.0f} ({best})",
                "step / best": f"{share:.2f}",
            }
        )
    words = (
        "Convolutions are nearly all of the arithmetic, so their speed with nothing around them "
        "is the ceiling: bare, they are those of the step, with the same packed weights. The best "
        "is the one layer that is fastest alone; the others have too few channels or pixels to "
        "reach its speed. In float32 the widest go through Winograd's transforms, and their "
        "operations are counted as those of plain convolutions."
    )
    report("peak", "Share of the convolution peak at 300x450", pd.DataFrame(rows), words, not short)


if __name__ == "__main__":
    main()
