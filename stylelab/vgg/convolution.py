"""Frozen 3x3 convolutions on the CPU, whose weights are packed once, not at each step.

These are the operators that PyTorch's own compiler emits for frozen networks. They give the same
values as `torch.nn.functional.conv2d` and a ReLU, which take over wherever they do not apply.
The widest layers, in float32, go through Winograd's F(4x4, 3x3) instead: a quarter of the products.
Processors without bfloat16 multiply its values in float32 and round the sums, as those with it do.
"""

from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from stylelab.device import cpu_has_bfloat16

ONES = [1, 1]  # padding, stride and dilation
WIDE = 512  # channels, from which on Winograd's transforms cost less than they save

# Lavin and Gray 2016, section 4.3: Y = A^T [(G g G^T) * (B^T d B)] A, for tiles d of 6x6 pixels.
INPUT = torch.tensor(
    [
        [4.0, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
FILTER = torch.tensor(
    [[6.0, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
).div(24)
OUTPUT = torch.tensor(
    [[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
)


Packs = dict[object, tuple[Tensor, Tensor]]  # by the shape that they are for; forward, backward
packs: WeakKeyDictionary[nn.Conv2d, Packs] = WeakKeyDictionary()  # while the convolution exists
SIZES = 2  # packs kept: two runs of different sizes may share a network


def convolve(x: Tensor, convolution: nn.Conv2d, relu: bool) -> Tensor:
    """The convolution of a map (B, C, H, W), followed by a ReLU if ``relu`` is true."""
    x = x.to(convolution.weight.dtype)
    if not can_pack(x, convolution):
        y = _in_float32(x, convolution) if _lacks_bfloat16(x) else convolution(x)
        return cast(Tensor, F.relu_(y) if relu else y)
    weight = convolution.weight
    # Winograd's pack serves all sizes.
    key = None if _is_wide(weight) else x.shape, weight.dtype, weight.data_ptr()
    kept = packs.get(convolution, {})
    pack = kept.get(key)
    if pack is None:
        # The gradient of a convolution is one with the weights mirrored and transposed.
        back = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
        pack = _pack(weight, x.shape), _pack(back, (len(x), len(weight), *x.shape[2:]))
        # The dictionary is replaced as a whole, because threads may share the network.
        packs[convolution] = dict([*kept.items(), (key, pack)][-SIZES:])
    return cast(Tensor, _Packed.apply(x, *pack, convolution.bias, relu))


def can_pack(x: Tensor, convolution: nn.Conv2d) -> bool:
    """Whether packing helps (a loop on the CPU) and this PyTorch has the operators for it."""
    return (
        x.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and convolution.padding_mode == "zeros"
        and not convolution.weight.requires_grad
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


def _lacks_bfloat16(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.bfloat16 and not cpu_has_bfloat16()


def _in_float32(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    parameters = {name: value.float() for name, value in convolution.named_parameters()}
    return cast(Tensor, functional_call(convolution, parameters, x.float())).to(x.dtype)


def _is_wide(weight: Tensor) -> bool:
    return weight.dtype == torch.float32 and min(weight.shape[:2]) >= WIDE


def _pack(weight: Tensor, shape: Any) -> Tensor:
    if _is_wide(weight):
        return torch.einsum("ai,ocij,bj->abco", FILTER, weight, FILTER).flatten(0, 1).contiguous()
    multiplied = weight.float() if _lacks_bfloat16(weight) else weight
    reorder = torch.ops.mkldnn._reorder_convolution_weight
    return cast(Tensor, reorder(multiplied, ONES, ONES, ONES, 1, list(shape)))


def _run(x: Tensor, packed: Tensor, bias: Tensor | None, after: str) -> Tensor:
    if packed.ndim == 3:
        return winograd(x, packed, bias, after == "relu")
    pointwise = torch.ops.mkldnn._convolution_pointwise
    given, bias = x.to(packed.dtype), None if bias is None else bias.to(packed.dtype)
    y = pointwise(given, packed, bias, ONES, ONES, ONES, 1, after, [], "")
    return cast(Tensor, y).to(x.dtype)


def winograd(x: Tensor, packed: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """A convolution of a map (B, C, H, W) with weights (36, C, O) in Winograd's domain."""
    batch, channels, height, width = x.shape
    down, across = -(-height // 4), -(-width // 4)  # tiles, which overlap by two pixels
    edges = 1, 4 * across - width + 1, 1, 4 * down - height + 1
    padded = F.pad(x, edges).permute(0, 2, 3, 1).contiguous()
    image, row, column, _ = padded.stride()
    size = 6, 6, batch, down, across, channels
    tiles = padded.as_strided(size, (row, column, image, 4 * row, 4 * column, 1)).reshape(36, -1)
    products = torch.bmm((torch.kron(INPUT, INPUT) @ tiles).view(36, -1, channels), packed)
    y = torch.kron(OUTPUT, OUTPUT) @ products.flatten(1)
    y = y.view(4, 4, batch, down, across, -1).permute(2, 3, 0, 4, 1, 5)
    y = y.reshape(batch, 4 * down, 4 * across, -1)[:, :height, :width]
    y = y.contiguous() if bias is None else y + bias
    return (y.relu_() if relu else y).permute(0, 3, 1, 2)


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
        for y in ctx.saved_tensors:  # readable only once under checkpointing
            grad = torch.ops.aten.threshold_backward(grad, y, 0)
        grad = grad.contiguous(memory_format=torch.channels_last)
        return _run(grad, ctx.back, None, "none"), None, None, None, None
