"""Frozen 3x3 convolutions on the CPU, with their weights laid out for oneDNN once, not each step.

These are the operators that PyTorch's own compiler emits for frozen networks. They give the same
values as `torch.nn.functional.conv2d` and a ReLU, which take over wherever they do not apply.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONES = [1, 1]  # padding, stride and dilation


def convolve(x: Tensor, convolution: nn.Conv2d, relu: bool) -> Tensor:
    """The convolution of a map (B, C, H, W), with the ReLU behind it or not."""
    x = x.to(convolution.weight.dtype)
    if not can_pack(x, convolution):
        y = cast(Tensor, convolution(x))
        return F.relu_(y) if relu else y
    weight = convolution.weight
    key = (x.shape, weight.dtype, weight.data_ptr())
    pack = convolution.__dict__.get("packs", {}).get(key)
    if pack is None:
        # The gradient of a convolution is one with the weights mirrored and transposed.
        back = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
        pack = _pack(weight, x.shape), _pack(back, (len(x), len(weight), *x.shape[2:]))
        # A run has one size at a time. Replaced as a whole, because threads may share the network.
        convolution.__dict__["packs"] = {key: pack}
    return cast(Tensor, _Packed.apply(x, *pack, convolution.bias, relu))


def can_pack(x: Tensor, convolution: nn.Conv2d) -> bool:
    """Whether it pays and works: in a loop on the CPU, with the operators of this PyTorch."""
    return (
        x.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and convolution.padding_mode == "zeros"
        and not convolution.weight.requires_grad
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_reorder_convolution_weight")
    )


def _pack(weight: Tensor, shape: Any) -> Tensor:
    reorder = torch.ops.mkldnn._reorder_convolution_weight
    return cast(Tensor, reorder(weight, ONES, ONES, ONES, 1, list(shape)))


def _run(x: Tensor, packed: Tensor, bias: Tensor | None, after: str) -> Tensor:
    pointwise = torch.ops.mkldnn._convolution_pointwise
    return cast(Tensor, pointwise(x, packed, bias, ONES, ONES, ONES, 1, after, [], ""))


class _Packed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, forth: Tensor, back: Tensor, bias: Tensor, relu: bool
    ) -> Tensor:
        y = _run(x, forth, bias, "relu" if relu else "none")
        ctx.back = back
        if relu:
            ctx.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        for y in ctx.saved_tensors:  # may be asked for once only
            grad = torch.ops.aten.threshold_backward(grad, y, 0)
        grad = grad.contiguous(memory_format=torch.channels_last)
        return _run(grad, ctx.back, None, "none"), None, None, None, None
