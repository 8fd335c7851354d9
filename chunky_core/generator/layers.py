"""The layers and blocks StyleGAN2 consists of, with the names of NVlabs' stylegan2-ada-pytorch.

Instead of building one set of weights per sample, the activations are scaled by the styles before each
convolution and by the demodulation factors after it, which is the same function and much cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .ops import conv3x3, demodulation, scaled_leaky_relu, upsampling_conv3x3, weight_energy
from .region import Box


def fir_filter() -> Tensor:
    """The low-pass filter of up-sampling: [4,4], outer product of [1,3,3,1], sums to 1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / 64


class FullyConnectedLayer(nn.Module):
    """Linear layer; its weights have unit variance and are scaled at run time (Karras et al. 2018, sec. 4.1)."""

    def __init__(
        self, in_features: int, out_features: int, *, bias_init: float = 0.0, lr_multiplier: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """x: [B,in_features] -> [B,out_features]."""
        bias = self.bias if self.bias_gain == 1.0 else self.bias * self.bias_gain
        return torch.addmm(bias, x, self.weight.t(), alpha=self.weight_gain)


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, optionally doubling the resolution, then noise, bias and leaky ReLU."""

    resample_filter: Tensor
    noise_const: Tensor
    energy: Tensor | None

    def __init__(self, in_channels: int, out_channels: int, *, w_dim: int, resolution: int, up: bool) -> None:
        super().__init__()
        self.resolution, self.up = resolution, up
        self.in_channels, self.out_channels = in_channels, out_channels
        self.weight_gain = 1 / math.sqrt(in_channels * 9)
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("energy", None, persistent=False)
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, styles: Tensor, noise: Tensor | None, source: Box, target: Box) -> Tensor:
        """x: [B,in_channels,..], the input's pixels `source`; styles: [B,in_channels]; noise: [1 or B,1,h,w]

        -> [B,out_channels,h,w], the pixels `target`, which `noise` covers too.
        """
        scaled = styles * self.weight_gain
        if x.dtype == torch.float16:  # keeps the convolution in range; demodulation takes it out again
            scaled = scaled / scaled.abs().amax(dim=1, keepdim=True)
        x = x * scaled[:, :, None, None]
        if self.up:
            x = upsampling_conv3x3(x, self.weight, self.resample_filter, source, target)
        else:
            x = conv3x3(x, self.weight, source, target)
        energy = weight_energy(self.weight) if self.energy is None else self.energy
        noise = None if noise is None else noise * self.noise_strength
        return scaled_leaky_relu(x, demodulation(scaled, energy), self.bias, noise)

    def freeze(self) -> None:
        """Prepares what depends on the weights only; until then they may change from call to call."""
        weight = self.weight.detach()
        if self.up:  # the same values, laid out as the transposed convolution reads them
            weight = weight.transpose(0, 1).contiguous().transpose(0, 1)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.energy = weight_energy(weight)


class ToRGBLayer(nn.Module):
    """Modulated 1x1 convolution to the image's channels, without demodulation."""

    def __init__(self, in_channels: int, img_channels: int, *, w_dim: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(img_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(img_channels))

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """x: [B,in_channels,h,w]; styles: [B,in_channels] -> [B,img_channels,h,w], at least float32."""
        weight = self.weight[:, :, 0, 0] * (styles * self.weight_gain)[:, None, :]
        rgb = torch.baddbmm(self.bias[:, None], weight, x.flatten(2))
        return rgb.unflatten(2, x.shape[2:]).to(torch.promote_types(x.dtype, torch.float32))


class SynthesisBlock(nn.Module):
    """Both convolutions and the RGB output of one resolution (4x4: one convolution on a learnt constant)."""

    resample_filter: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, *, w_dim: int, resolution: int, img_channels: int
    ) -> None:
        super().__init__()
        self.resolution = resolution
        if resolution == 4:
            self.const = nn.Parameter(torch.randn(out_channels, 4, 4))
        else:
            self.conv0 = SynthesisLayer(
                in_channels, out_channels, w_dim=w_dim, resolution=resolution, up=True
            )
        self.conv1 = SynthesisLayer(out_channels, out_channels, w_dim=w_dim, resolution=resolution, up=False)
        self.torgb = ToRGBLayer(out_channels, img_channels, w_dim=w_dim)
        self.register_buffer("resample_filter", fir_filter())

    def styled_layers(self) -> Iterator[tuple[str, SynthesisLayer | ToRGBLayer]]:
        """The layers that take styles, with their names, in the order of synthesis."""
        if self.resolution > 4:
            yield "conv0", self.conv0
        yield "conv1", self.conv1
        yield "torgb", self.torgb
