"""A styled convolution around its kernels: the modulation of what goes in, the noisy and biased activation after it.

A convolution modulated by styles is the same as one of scaled activations (Karras et al. 2020, sec. 2.2 and app. B),
which serves whole batches. For a single sample with more activations than weights, scaled weights cost less.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .ops import LRELU_SLOPE, convolve, input_gradient, padded, smooth
from .region_plan import Window

_MAPS_PER_WEIGHTS = 4  # values of the map for each weight from which on scaled weights cost less
_SMALLEST = 1e-18  # a style's absolute value in `scaled_convolution`; its square is a number in float32


def scale_channels(x: Tensor, factors: Tensor) -> Tensor:
    """x: [B,C,H,W] times factors: [B,C]. Differentiable once."""
    return _ScaleChannels.apply(x, factors[:, :, None, None])


class _ScaleChannels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factors: Tensor) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, factors)
        return x * factors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, factors = ctx.saved_tensors
        product = grad_factors = None
        if x is not None:
            product = grad * x
            grad_factors = product.sum(dim=(2, 3), keepdim=True)
        if not ctx.needs_input_grad[0]:
            return None, grad_factors
        # into the product's memory, which costs less than new one
        return torch.mul(grad, factors, out=product), grad_factors


def scaled_leaky_relu(
    x: Tensor,
    factors: Tensor,
    bias: Tensor,
    noise: Tensor | None,
    clamp: float | None = None,
    *,
    contained: bool = False,
) -> Tensor:
    """Leaky ReLU with slope 0.2 of x * factors + bias + noise, clamped to +-clamp (None: not at all).

    x: [B,C,H,W], overwritten by the result, which spares memory; factors: [B,C], bias: [C], noise: [1 or B,1,H,W];
    a gain of the result is a factor of these three. Only the result is kept for the backward pass: the activation
    can be inverted, and where it is clamped the gradient is zero. Differentiable once.

    contained: x is x * factors + bias already, from scaled weights that are constants here: the gradient by x is
    the one by this sum, the gradient by the factors is their whole one.
    """
    return _ScaledLeakyRelu.apply(x, factors[:, :, None, None], bias, noise, clamp, contained)


class _ScaledLeakyRelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        factors: Tensor,
        bias: Tensor,
        noise: Tensor | None,
        clamp: float | None,
        contained: bool,
    ) -> Tensor:
        result = x if contained else torch.addcmul(bias[:, None, None], x, factors, out=x)
        ctx.mark_dirty(x)
        if noise is not None:
            result += noise
        functional.leaky_relu_(result, LRELU_SLOPE)
        if clamp is not None:
            result.clamp_(-clamp, clamp)
        ctx.clamp, ctx.contained = clamp, contained
        ctx.save_for_backward(factors, bias, noise, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        factors, bias, noise, result = ctx.saved_tensors
        if ctx.clamp is not None:
            grad = grad.masked_fill(result.abs() >= ctx.clamp, 0.0)
        # one piece of memory for the product and then the sum's gradient, which costs less than two
        memory = grad * result if ctx.needs_input_grad[1] else torch.empty_like(grad)
        correlation = memory.flatten(2).sum(dim=2) if ctx.needs_input_grad[1] else None
        grad_sum = torch.ops.aten.leaky_relu_backward.grad_input(
            grad, result, LRELU_SLOPE, True, grad_input=memory
        )
        per_channel = grad_sum.sum(dim=(2, 3), keepdim=True)
        grad_factors = grad_noise = None
        if correlation is not None:
            # slope * grad * (result / slope - bias - noise), where the slopes cancel
            product = correlation[..., None, None] - per_channel * bias[:, None, None]
            if noise is not None:
                product -= (noise.flatten(2) @ grad_sum.flatten(2).mT).mT[..., None]
            grad_factors = product / factors
        if ctx.needs_input_grad[3]:
            grad_noise = grad_sum.sum_to_size(noise.shape)
        grad_x = grad_sum if ctx.contained else grad_sum.mul_(factors)
        return grad_x, grad_factors, per_channel.sum(dim=(0, 2, 3)), grad_noise, None, None


def scaled_weights_pay(x: Tensor, weight: Tensor) -> bool:
    """Whether `scaled_convolution`, or for weights that want gradients `trained_convolution`, takes x: [B,I,H,W] and
    gains by it. In float16 a small style would leave too little of its channel's gradient.
    """
    single = len(x) == 1 and x.dtype != torch.float16
    return single and x.numel() >= _MAPS_PER_WEIGHTS * weight.numel()


def trained_convolution(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    factors: Tensor,
    bias: Tensor,
    window: Window,
    fir: Tensor | None,
) -> Tensor:
    """`scaled_convolution` for a weight under training: styles and factors get their gradients through the scaled
    weight, whose own is made anyway; the bias, a constant here, gets its gradient from `scaled_leaky_relu`.
    """
    kernel, bias = _kernel(weight, styles, factors, fir is not None), bias.detach()
    if fir is None:
        x, padding = padded(x, window)
        return convolve(x, kernel, padding, bias=bias)
    return smooth(convolve(x, kernel, double=True), fir, window, bias)


def scaled_convolution(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    factors: Tensor,
    bias: Tensor,
    window: Window,
    fir: Tensor | None,
) -> Tensor:
    """`conv3x3`, or with a filter `fir` `upsampling_conv3x3`, of x * styles, times factors, plus bias.

    x: [1,I,H,W], weight: [O,I,3,3], styles: [1,I], factors: [1,O], bias: [O]; weight, factors and bias are constants.
    Differentiable once.
    """
    if fir is None:
        x, padding = padded(x, window)
        return _ScaledConvolution.apply(x, weight, styles, factors.detach(), bias, padding, False)
    x = _ScaledConvolution.apply(x, weight, styles, factors.detach(), None, (0, 0), True)
    return smooth(x, fir, window, bias)


class _ScaledConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        styles: Tensor,
        factors: Tensor,
        bias: Tensor | None,
        padding: tuple[int, int],
        double: bool,
    ) -> Tensor:
        # so that the gradient by a style can be told from the one by x
        styles = torch.where(styles.abs() < _SMALLEST, _SMALLEST, styles)
        ctx.save_for_backward(x if ctx.needs_input_grad[2] else None, weight, styles, factors)
        ctx.settings = (padding, double)
        return convolve(x, _kernel(weight, styles, factors, double), padding, double=double, bias=bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, styles, factors = ctx.saved_tensors
        padding, double = ctx.settings
        # made again: on a large generator the scaled weights would take memory by the side of the maps
        grad_x = input_gradient(grad, _kernel(weight, styles, factors, double), padding, double, 1)
        grad_styles = None
        if x is not None:
            grad_styles = (grad_x * x).sum(dim=(2, 3)) / styles
        return grad_x, None, grad_styles, None, None, None, None


def _kernel(weight: Tensor, styles: Tensor, factors: Tensor, double: bool) -> Tensor:
    """weight: [O,I,3,3] times styles: [1,I] and factors: [1,O], for the transposed convolution as [I,O,3,3]."""
    scaled = weight * (factors.mT * styles)[:, :, None, None]
    return scaled.transpose(0, 1) if double else scaled
