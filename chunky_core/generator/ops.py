"""The few tensor operations StyleGAN2's synthesis consists of, each able to make just a box of its output."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..boxes import Box, Boxes, BoxOrBoxes, within

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


def scaled_leaky_relu(
    x: Tensor,
    factors: Tensor,
    bias: Tensor,
    noise: Tensor | None,
    gain: float = 1.0,
    clamp: float | None = None,
) -> Tensor:
    """gain * leaky_relu(x * factors + bias + noise), clamped to +-clamp (None: not at all).

    x: [B,C,H,W], factors: [B,C], bias: [C], noise: [1 or B,1,H,W]. Only the result is kept for the backward
    pass: the activation can be inverted, and where it is clamped the gradient is zero. Differentiable once.
    """
    gain *= LRELU_GAIN
    noise = None if noise is None else noise * gain
    return _ScaledLeakyRelu.apply(x, (factors * gain)[:, :, None, None], bias * gain, noise, clamp)


class _ScaledLeakyRelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, factors: Tensor, bias: Tensor, noise: Tensor | None, clamp: float | None
    ) -> Tensor:
        result = torch.addcmul(bias[:, None, None], x, factors)
        if noise is not None:
            result += noise
        functional.leaky_relu_(result, LRELU_SLOPE)
        if clamp is not None:
            result.clamp_(-clamp, clamp)
        ctx.clamp = clamp
        ctx.save_for_backward(factors, bias, noise, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        factors, bias, noise, result = ctx.saved_tensors
        if ctx.clamp is not None:
            grad = grad.masked_fill(result.abs() >= ctx.clamp, 0.0)
        grad_sum = torch.ops.aten.leaky_relu_backward(grad, result, LRELU_SLOPE, True)
        per_channel = grad_sum.sum(dim=(2, 3), keepdim=True)
        grad_factors = grad_noise = None
        if ctx.needs_input_grad[1]:
            # slope * grad * (result / slope - bias - noise), where the slopes cancel
            product = _inner(grad, result) - per_channel * bias[:, None, None]
            if noise is not None:
                product -= _inner(grad_sum, noise)
            grad_factors = product / factors
        if ctx.needs_input_grad[3]:
            grad_noise = grad_sum.sum_to_size(noise.shape)
        return grad_sum.mul_(factors), grad_factors, per_channel.sum(dim=(0, 2, 3)), grad_noise, None


def _inner(x: Tensor, y: Tensor) -> Tensor:
    """Sum of x * y over the pixels, without storing the product: x [B,C,H,W], y [B,C,H,W] or [1 or B,1,H,W]

    -> [B,C,1,1].
    """
    x, y = x.flatten(2), y.flatten(2)
    if y.shape[1] == 1:
        return (x @ y.mT)[..., None]
    return torch.linalg.vecdot(x, y)[..., None, None]


def convolve(
    x: Tensor, weight: Tensor, padding: tuple[int, int] = (0, 0), *, double: bool = False, groups: int = 1
) -> Tensor:
    """2-D convolution, or with `double` the transposed one with stride 2 (its weight: [I,O/groups,k,k]).

    Unlike torch's it keeps its input for the backward pass only if the weights are trained.
    Differentiable once.
    """
    return _Convolution.apply(x, weight, padding, double, groups)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, padding: tuple[int, int], double: bool, groups: int
    ) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        ctx.settings = ((2, 2) if double else (1, 1), padding, (1, 1), double, (0, 0), groups)
        return torch.ops.aten.convolution(x, weight, None, *ctx.settings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, double, _, groups = ctx.settings
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.ops.aten.convolution(
                grad, weight, None, stride, padding, dilation, not double, (0, 0), groups
            )
        if x is not None:
            _, grad_weight, _ = torch.ops.aten.convolution_backward(
                grad, x, weight, None, *ctx.settings, (False, True, False)
            )
        return grad_x, grad_weight, None, None, None


def weight_energy(weight: Tensor) -> Tensor:
    """Sum of squares of each input-output pair's kernel; weight: [O,I,k,k] -> [O,I], at least float32."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    return weight.to(dtype).square().sum(dim=(2, 3))


def demodulation(styles: Tensor, energy: Tensor) -> Tensor:
    """1 / norm of the modulated weights (Karras et al. 2020, eq. 3); styles: [B,I], energy: [O,I] -> [B,O].

    Computed in the energy's dtype, because the sum of squares overflows float16.
    """
    return (styles.to(energy.dtype).square() @ energy.t() + 1e-8).rsqrt().to(styles.dtype)


def crop(x: Tensor, box: BoxOrBoxes) -> Tensor:
    """The pixels `box` of x: [...,H,W]; x itself where that is everything. Boxes: of each sample of x."""
    if (box.height, box.width) == x.shape[-2:]:
        return x
    if isinstance(box, Boxes):
        return windows(x, box)
    return x[..., box.top : box.bottom, box.left : box.right]


def windows(x: Tensor, boxes: Boxes) -> Tensor:
    """Each sample's own box of x: [B,C,H,W], with zeros beyond x -> [B,C,h,w]. Differentiable once."""
    return _Windows.apply(x, boxes)


class _Windows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, boxes: Boxes) -> Tensor:
        ctx.shape, ctx.boxes = x.shape, boxes
        result = x.new_zeros(*x.shape[:2], boxes.height, boxes.width)
        for index, (inside, place) in enumerate(_overlaps(boxes, x)):
            crop(result[index], place).copy_(crop(x[index], inside))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        result = grad.new_zeros(ctx.shape)
        for index, (inside, place) in enumerate(_overlaps(ctx.boxes, result)):
            crop(result[index], inside).copy_(crop(grad[index], place))
        return result, None


def _overlaps(boxes: Boxes, x: Tensor) -> Iterator[tuple[Box, Box]]:
    """The part of each box that lies in x: [B,C,H,W], in the coordinates of x and of the box."""
    height, width = x.shape[-2:]
    for box in boxes:
        inside = Box(max(box.top, 0), max(box.left, 0), min(box.bottom, height), min(box.right, width))
        yield inside, inside.within(box)


def conv3x3(x: Tensor, weight: Tensor, source: BoxOrBoxes, target: BoxOrBoxes) -> Tensor:
    """3x3 convolution with zeros beyond the image; x: pixels `source`, the result: pixels `target`."""
    x, padding = _pad_to(x, within(target.grow(1, 1), source))
    return convolve(x, weight, padding)


def upsampling_conv3x3(
    x: Tensor, weight: Tensor, fir: Tensor, source: BoxOrBoxes, target: BoxOrBoxes
) -> Tensor:
    """Transposed 3x3 convolution with stride 2, then the FIR filter (gain 4).

    x: pixels `source` of the lower resolution; the result: pixels `target` of the doubled one.
    On rows [lo, hi) the transposed convolution covers [2 lo, 2 hi + 1); its outermost entries are complete
    only at the image's border, and nothing but the border's lie within the FIR's reach of `target`.
    """
    x = convolve(x, weight.transpose(0, 1), double=True)
    x, padding = _pad_to(x, within(target.grow(1, 2), source.doubled(after=1)))
    return convolve(x, _fir_kernel(fir, x), padding, groups=x.shape[1])


def upsample_rgb(rgb: Tensor, fir: Tensor, source: BoxOrBoxes, target: BoxOrBoxes) -> Tensor:
    """Doubles an image by zero-stuffing and the FIR filter: bilinear, with zeros beyond the image.

    rgb: pixels `source` of the lower resolution; the result: pixels `target` of the doubled one.
    """
    rgb = convolve(rgb, _fir_kernel(fir, rgb), (1, 1), double=True, groups=rgb.shape[1])
    return crop(rgb, within(target, source.doubled()))


def _fir_kernel(fir: Tensor, x: Tensor) -> Tensor:
    """The depthwise kernel [C,1,4,4] of the FIR filter for x: [B,C,H,W]; 4 makes up for the stuffed zeros."""
    return (fir * 4).to(x.dtype).expand(x.shape[1], 1, 4, 4)


def _pad_to(x: Tensor, edges: BoxOrBoxes) -> tuple[Tensor, tuple[int, int]]:
    """x: [B,C,H,W] cut or zero-padded to `edges`, given in x's coordinates.

    Returns a tensor and the padding that is left for the convolution to add, which spares a copy.
    """
    if isinstance(edges, Boxes):
        return windows(x, edges), (0, 0)
    height, width = x.shape[2:]
    top, left, bottom, right = -edges.top, -edges.left, edges.bottom - height, edges.right - width
    if top == bottom >= 0 and left == right >= 0:
        return x, (top, left)
    if max(top, left, bottom, right) <= 0:
        return crop(x, edges), (0, 0)
    return functional.pad(x, (left, right, top, bottom)), (0, 0)
