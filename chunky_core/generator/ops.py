"""The few tensor operations StyleGAN2's synthesis consists of, each able to make just a box of its output."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..boxes import Box, crop
from ..deprecated import old_names
from ..memory_layout import layout_of, new_like
from .region_plan import Overlap, Window

LRELU_SLOPE = 0.2
LRELU_GAIN = math.sqrt(2.0)


def drawn(*shape: int) -> Tensor:
    """A new weight's start values, normally distributed; on the meta device nothing but the shape.

    Drawing there would cost more than loading a large network, through torch's own stand-ins for kernels.
    """
    if torch.get_default_device().type == "meta":
        return torch.empty(shape)
    return torch.randn(shape)


def leaky_relu(x: Tensor) -> Tensor:
    """StyleGAN's activation, any shape: slope 0.2 below zero, then gain sqrt(2)."""
    return functional.leaky_relu(x, LRELU_SLOPE) * LRELU_GAIN


def convolve(
    x: Tensor,
    weight: Tensor,
    padding: tuple[int, int] = (0, 0),
    *,
    double: bool = False,
    groups: int = 1,
    bias: Tensor | None = None,
) -> Tensor:
    """2-D convolution, or with `double` the transposed one with stride 2 (its weight: [I,O/groups,k,k]).

    bias: [O], a constant. Unlike torch's it keeps its input for the backward pass only if the weights are trained.
    Differentiable once.
    """
    return _Convolution.apply(x, weight, padding, double, groups, bias)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        padding: tuple[int, int],
        double: bool,
        groups: int,
        bias: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        ctx.settings = ((2, 2) if double else (1, 1), padding, (1, 1), double, (0, 0), groups)
        return torch.ops.aten.convolution(x, weight, bias, *ctx.settings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        _, padding, _, double, _, groups = ctx.settings
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = input_gradient(grad, weight, padding, double, groups)
        if x is not None:
            _, grad_weight, _ = torch.ops.aten.convolution_backward(
                grad, x, weight, None, *ctx.settings, (False, True, False)
            )
        return grad_x, grad_weight, None, None, None, None


def input_gradient(
    grad: Tensor, weight: Tensor, padding: tuple[int, int], double: bool, groups: int
) -> Tensor:
    """The gradient by the input of `convolve` from the one by its result."""
    if groups > 1 and not double and layout_of(grad) == torch.channels_last:
        # the same as the transposed convolution, for which there is no quick kernel by channels
        weight = weight.flip(2, 3).contiguous(memory_format=torch.channels_last)
        height, width = (size - 1 - before for size, before in zip(weight.shape[2:], padding, strict=True))
        return torch.ops.aten.convolution(
            grad, weight, None, (1, 1), (height, width), (1, 1), False, (0, 0), groups
        )
    stride = (2, 2) if double else (1, 1)
    return torch.ops.aten.convolution(grad, weight, None, stride, padding, (1, 1), not double, (0, 0), groups)


def weight_energy(weight: Tensor) -> Tensor:
    """Sum of squares of each input-output pair's kernel; weight: [O,I,k,k] -> [O,I], at least float32."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    return weight.to(dtype).square().sum(dim=(2, 3))


def demodulation(styles: Tensor, energy: Tensor) -> Tensor:
    """1 / norm of the modulated weights (Karras et al. 2020, eq. 3); styles: [B,I], energy: [O,I] -> [B,O].

    Computed in the energy's dtype, because the sum of squares overflows float16.
    """
    return (styles.to(energy.dtype).square() @ energy.t() + 1e-8).rsqrt().to(styles.dtype)


def cut(x: Tensor, window: Window) -> Tensor:
    """The window of x: [B,C,H,W], which doesn't leave it where it is one for all samples -> [B,C,h,w]."""
    return crop(x, window.box) if isinstance(window.box, Box) else cut_each(x, window)


def cut_each(x: Tensor, window: Window) -> Tensor:
    """Each sample's own box of x: [B,C,H,W], with zeros beyond x -> [B,C,h,w]. Differentiable once."""
    return _CutEach.apply(x, (window.box.height, window.box.width), window.overlaps)


class _CutEach(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, size: tuple[int, int], overlaps: tuple[Overlap, ...]) -> Tensor:
        ctx.shape, ctx.overlaps = x.shape, overlaps
        inside_only = all((place.height, place.width) == size for _, place in overlaps)
        result = new_like(x, (*x.shape[:2], *size))
        if not inside_only:
            result.zero_()
        for index, (inside, place) in enumerate(overlaps):
            crop(result[index], place).copy_(crop(x[index], inside))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        result = new_like(grad, ctx.shape).zero_()
        for index, (inside, place) in enumerate(ctx.overlaps):
            crop(result[index], inside).copy_(crop(grad[index], place))
        return result, None, None


def conv3x3(x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """3x3 convolution of a window of x, which holds one more pixel each way than the result."""
    x, padding = padded(x, window)
    return convolve(x, weight, padding)


def upsampling_conv3x3(x: Tensor, weight: Tensor, fir: Tensor, window: Window) -> Tensor:
    """Transposed 3x3 convolution with stride 2, then the FIR filter (gain 4) on a window of its output.

    Pixels [lo, hi) of x become [2 lo, 2 hi + 1); the window holds one more pixel before and two more after than
    the result.
    """
    return smooth(convolve(x, weight.transpose(0, 1), double=True), fir, window)


def smooth(x: Tensor, fir: Tensor, window: Window, bias: Tensor | None = None) -> Tensor:
    """The FIR filter (gain 4) on a window of x; bias: [C], a constant."""
    x, padding = padded(x, window)
    return convolve(x, _fir_kernel(fir, x), padding, groups=x.shape[1], bias=bias)


def upsample_rgb(rgb: Tensor, fir: Tensor, window: Window) -> Tensor:
    """Doubles an image by zero-stuffing and the FIR filter: bilinear, with zeros beyond it; a window of that."""
    return cut(convolve(rgb, _fir_kernel(fir, rgb), (1, 1), double=True, groups=rgb.shape[1]), window)


def bilinear(x: Tensor) -> Tensor:
    """Doubles x: [B,C,H,W] -> [B,C,2H,2W], each border's pixels continued beyond it."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _fir_kernel(fir: Tensor, x: Tensor) -> Tensor:
    """The depthwise kernel [C,1,4,4] of the FIR filter for x: [B,C,H,W]; 4 makes up for the stuffed zeros."""
    kernel = (fir * 4).to(x.dtype).expand(x.shape[1], 1, 4, 4)
    return kernel.contiguous(memory_format=layout_of(x))


def padded(x: Tensor, window: Window) -> tuple[Tensor, tuple[int, int]]:
    """x: [B,C,H,W] cut or zero-padded to `window`.

    Returns a tensor and the padding that is left for the convolution to add, which spares a copy.
    """
    edges = window.box
    if not isinstance(edges, Box):
        return cut_each(x, window), (0, 0)
    height, width = x.shape[2:]
    top, left, bottom, right = -edges.top, -edges.left, edges.bottom - height, edges.right - width
    if top == bottom >= 0 and left == right >= 0:
        return x, (top, left)
    if max(top, left, bottom, right) <= 0:
        return crop(x, edges), (0, 0)
    return functional.pad(x, (left, right, top, bottom)), (0, 0)


__getattr__ = old_names(__name__)
