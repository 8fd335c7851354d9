"""StyleGAN3's low-pass filters, and its leaky ReLU between up- and down-sampling (Karras et al. 2021, sec. 3.2).

A filter that changes the sampling rate is a banded matrix. It repeats itself from block to block, so one
small matrix times all blocks of the signal gives the result: no stuffed zeros, and a matrix product is what
every machine does best. A filter of two dimensions is a short sum of separable ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ..boxes import AnySize, Size, as_size
from .ops import LRELU_GAIN, LRELU_SLOPE

BLOCK = 32  # samples at the higher rate per block: few wasted products, yet large enough matrices
CACHED = 2**19  # values that are filtered at once on a CPU, so that they stay in its cache
DEVICE_CHUNK = 2**26  # on other devices, which bounds the memory of the high rates
RANK_TOLERANCE = 1e-7  # what float32 cannot tell from zero


def lowpass_filter(taps: int, cutoff: float, width: float, rate: float, *, radial: bool = False) -> Tensor:
    """A Kaiser-windowed low-pass filter [taps], or [taps,taps] with radial symmetry; float32, sums to 1.

    cutoff, width: of the pass band and of the transition band, rate: of the samples; all in one unit.
    """
    window = np.kaiser(taps, _kaiser_beta(taps, width / (rate / 2)))
    position = (np.arange(taps) - (taps - 1) / 2) / rate
    if radial:
        distance = np.pi * np.hypot(position[:, None], position)
        bessel = torch.special.bessel_j1(torch.as_tensor(2 * cutoff * distance, device="cpu")).numpy()
        response = bessel / distance * np.outer(window, window)
    else:
        response = np.sinc(2 * cutoff * position) * window
    return torch.tensor(response / response.sum(), dtype=torch.float32)


def _kaiser_beta(taps: int, width: float) -> float:
    """The Kaiser window's shape for a transition band of `width` (1: half the rate), by Kaiser's formula."""
    attenuation = 2.285 * (taps - 1) * math.pi * width + 7.95
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return float(0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21))
    return 0.0


def separable_terms(kernel: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The (rows' taps, columns' taps) whose outer products sum to `kernel`: [n] stands for its own square."""
    if kernel.ndim == 1:
        return [(kernel, kernel)]
    left, strength, right = torch.linalg.svd(kernel)
    rank = int((strength > RANK_TOLERANCE * strength[0]).sum())
    return [(left[:, i] * strength[i], right[i]) for i in range(rank)]


class Resampler:
    """y[j] = sum over i of taps[j * down - i * up + offset] * x[i], for x of `size_in` and y of `size_out`.

    taps: [n], zero beyond; at least one of up and down is 1.
    """

    def __init__(self, taps: Tensor, up: int, down: int, offset: int, size_in: int, size_out: int) -> None:
        self.taps, self.up, self.down, self.offset = taps, up, down, offset
        self.size_in, self.size_out = size_in, size_out
        width = up * max(BLOCK // (up * down), 1)
        first = -((len(taps) - 1 - offset) // up)
        last = ((width - 1) * down + offset) // up
        inputs, outputs = torch.arange(first, last + 1), torch.arange(width)
        index = (outputs * down + offset - inputs[:, None] * up).to(taps.device)
        inside = (index >= 0) & (index < len(taps))
        self.matrix = taps[index.clamp(0, len(taps) - 1)] * inside
        self.step = width * down // up
        blocks = -(-size_out // width)
        self.padding = (-first, (blocks - 1) * self.step + last + 1 - size_in)

    def row_windows(self, x: Tensor) -> Tensor:
        """x: [N,size_in,W] -> the overlapping rows [N,blocks,n,W] that each block of the result depends on."""
        windows = functional.pad(x, (0, 0, *self.padding)).unfold(1, len(self.matrix), self.step)
        return windows.mT.contiguous()

    def rows(self, windows: Tensor) -> Tensor:
        """Changes the number of rows: `row_windows` of [N,size_in,W] -> [N,size_out,W]."""
        blocks = windows.flatten(0, 1)
        y = torch.bmm(self.matrix.t().expand(len(blocks), -1, -1), blocks)
        return y.view(len(windows), -1, windows.shape[3])[:, : self.size_out]

    def columns(self, x: Tensor) -> Tensor:
        """Changes the number of columns: [N,H,size_in] -> [N,H,size_out]."""
        windows = functional.pad(x, self.padding).unfold(2, len(self.matrix), self.step)
        y = windows.reshape(-1, len(self.matrix)) @ self.matrix
        return y.view(*x.shape[:2], -1)[:, :, : self.size_out]

    def transposed(self) -> Resampler:
        """The resampler with the transposed matrix, which takes gradients back."""
        offset = len(self.taps) - 1 - self.offset
        return Resampler(self.taps.flip(0), self.down, self.up, offset, self.size_out, self.size_in)


Terms = Sequence[tuple[Resampler, Resampler]]  # (of the rows, of the columns), whose results are summed


class Filtering(NamedTuple):
    """What `filtered_leaky_relu` needs of a layer: up, down and their transposes; bound, None where there is none.

    Up-sampling contains the activation's gain.
    """

    up: Terms
    down: Terms
    up_transposed: Terms
    down_transposed: Terms
    clamp: float | None


def filtering(
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    like: Tensor,
    *,
    up: int,
    down: int,
    sizes: tuple[AnySize, AnySize],
    clamp: float | None,
) -> Filtering:
    """up_filter: [n], down_filter: [n] or [n,n], None for the identity; up, down: the factors.

    sizes: of the input and of the output, each of a square map or (height, width). Their samples are aligned
    symmetrically (ibid., appendix C.3).
    """
    up_filter, down_filter = (
        like.new_ones(1) if taps is None else taps.detach() for taps in (up_filter, down_filter)
    )
    size_in, size_out = map(as_size, sizes)
    between = Size(*((length - 1) * down + len(down_filter) for length in size_out))
    upsampler = partial(_upsampler, up_filter * up * math.sqrt(LRELU_GAIN), up)
    ups = [(upsampler(size_in.height, between.height), upsampler(size_in.width, between.width))]
    downsampler = partial(Resampler, up=1, down=down, offset=len(down_filter) - 1)
    downs = [
        (
            downsampler(rows, size_in=between.height, size_out=size_out.height),
            downsampler(columns, size_in=between.width, size_out=size_out.width),
        )
        for rows, columns in separable_terms(down_filter)
    ]
    return Filtering(ups, downs, _transposed(ups), _transposed(downs), clamp)


def _upsampler(taps: Tensor, up: int, size_in: int, size_out: int) -> Resampler:
    before = (size_out - 1 + len(taps) - size_in * up + up) // 2  # zeros before the first sample
    return Resampler(taps, up, 1, len(taps) - 1 - before, size_in, size_out)


def _transposed(terms: Terms) -> Terms:
    return [(rows.transposed(), columns.transposed()) for rows, columns in terms]


def filtered_leaky_relu(x: Tensor, factors: Tensor, bias: Tensor, filters: Filtering) -> Tensor:
    """Leaky ReLU of x * factors + bias at a higher sampling rate: x: [B,C,h,w] -> [B,C,H,W].

    factors: [B,C], bias: [C]. What is made at the higher rate lives only as long as it is needed: the
    backward pass makes it again. Differentiable once.
    """
    return _FilteredLeakyRelu.apply(x, factors, bias, filters)


class _FilteredLeakyRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factors: Tensor, bias: Tensor, filters: Filtering) -> Tensor:
        ctx.save_for_backward(x, factors, bias)
        ctx.filters = filters
        parts = [
            _filter(_activate(part, filters), filters.down) for part in _parts(x, factors, bias, filters)
        ]
        return torch.cat(parts).unflatten(0, x.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, factors, bias = ctx.saved_tensors
        filters = ctx.filters
        parts = list(_parts(x, factors, bias, filters))
        grads = grad.flatten(0, 1).split([len(part) for part in parts])
        pairs = zip(parts, grads, strict=True)
        inner = torch.cat([_gradient(part, part_grad, filters) for part, part_grad in pairs])
        inner = inner.unflatten(0, x.shape[:2])
        grad_factors = (inner * x).sum(dim=(2, 3)) if ctx.needs_input_grad[1] else None
        grad_bias = inner.sum(dim=(0, 2, 3)) if ctx.needs_input_grad[2] else None
        return inner.mul_(factors[:, :, None, None]), grad_factors, grad_bias, None


def _parts(x: Tensor, factors: Tensor, bias: Tensor, filters: Filtering) -> Sequence[Tensor]:
    """x * factors + bias as a few [n,h,w], each small at the higher rate too."""
    x = torch.addcmul(bias[:, None, None], x, factors[:, :, None, None]).flatten(0, 1)
    values = CACHED if x.device.type == "cpu" else DEVICE_CHUNK
    rows, columns = filters.up[0]
    return x.split(max(values // (rows.size_out * columns.size_out), 1))


def _activate(part: Tensor, filters: Filtering) -> Tensor:
    y = functional.leaky_relu_(_filter(part, filters.up), LRELU_SLOPE)
    return y if filters.clamp is None else y.clamp_(-filters.clamp, filters.clamp)


def _gradient(part: Tensor, grad: Tensor, filters: Filtering) -> Tensor:
    """The gradient with regard to `part`, from the one with regard to the layer's output."""
    y = _activate(part, filters)
    inner = _filter(grad, filters.down_transposed)
    inner = torch.ops.aten.leaky_relu_backward(inner, y, LRELU_SLOPE, True)
    if filters.clamp is not None:
        inner.masked_fill_(y.abs() >= filters.clamp, 0.0)
    return _filter(inner, filters.up_transposed)


def _filter(x: Tensor, terms: Terms) -> Tensor:
    """x: [N,h,w] -> [N,H,W], the sum of the separable terms' results."""
    windows = terms[0][0].row_windows(x)  # the same for all terms
    result, *others = (columns.columns(rows.rows(windows)) for rows, columns in terms)
    for other in others:
        result += other
    return result
