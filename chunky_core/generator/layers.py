"""The layers and blocks StyleGAN2 consists of, with the names of NVlabs' stylegan2-ada-pytorch.

Instead of building one set of weights per sample, the activations are scaled by the styles before each
convolution and by the demodulation factors after it, which is the same function and much cheaper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..boxes import Box
from ..memory_layout import layout_of, memory_format
from .mapping import FullyConnectedLayer
from .ops import (
    LRELU_GAIN,
    bilinear,
    conv3x3,
    convolve,
    cut,
    demodulation,
    drawn,
    upsample_rgb,
    upsampling_conv3x3,
    weight_energy,
)
from .region_plan import Window
from .region_plan import window as window_of
from .settings import FIR
from .styled_convolution import (
    scale_channels,
    scaled_convolution,
    scaled_leaky_relu,
    scaled_weights_pay,
    trained_convolution,
)

_TAPS = (1.0, 3.0, 3.0, 1.0)


def fir_filter() -> Tensor:
    """The low-pass filter of up-sampling: [4,4], outer product of [1,3,3,1], sums to 1."""
    return torch.tensor([[down * across / 64 for across in _TAPS] for down in _TAPS])


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, optionally doubling the resolution, then noise, bias and leaky ReLU.

    size: of the result's whole map; gain: of the result; conv_clamp: bound of the result before this gain, None where
    there is none.
    """

    resample_filter: Tensor
    noise_const: Tensor
    energy: Tensor | None
    scaled_bias: Tensor | None
    scaled_noise: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        w_dim: int,
        size: tuple[int, int],
        up: bool,
        gain: float = 1.0,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.size, self.up, self.frozen = size, up, False
        self.gain, self.leaky_gain = gain, gain * LRELU_GAIN
        self.clamp = None if conv_clamp is None else conv_clamp * gain
        self.in_channels, self.out_channels = in_channels, out_channels
        self.weight_gain = 1 / math.sqrt(in_channels * 9)
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(drawn(out_channels, in_channels, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        for constant in ("energy", "scaled_bias", "scaled_noise"):
            self.register_buffer(constant, None, persistent=False)
        self.register_buffer("noise_const", drawn(*size))
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, styles: Tensor, noise: Tensor | None, window: Window) -> Tensor:
        """x: [B,in_channels,..]; styles: [B,in_channels]; noise: [1 or B,1,h,w], see `scale_noise`

        -> [B,out_channels,h,w], made from `window` of x, or of x doubled where the layer doubles it.
        """
        scaled = styles * self.weight_gain
        if x.dtype == torch.float16:  # keeps the convolution in range; demodulation takes it out again
            scaled = scaled / scaled.abs().amax(dim=1, keepdim=True)
        energy = self._constant("energy", lambda: weight_energy(self.weight))
        factors = demodulation(scaled, energy) * self.leaky_gain
        bias = self._constant("scaled_bias", lambda: self.bias * self.leaky_gain)
        contained = scaled_weights_pay(x, self.weight) and (self.frozen or self.weight.requires_grad)
        if contained:
            convolution = trained_convolution if self.weight.requires_grad else scaled_convolution
            fir = self.resample_filter if self.up else None
            x = convolution(x, self.weight, scaled, factors, bias, window, fir)
            factors = factors.detach() if self.weight.requires_grad else factors
        elif self.up:
            x = upsampling_conv3x3(scale_channels(x, scaled), self.weight, self.resample_filter, window)
        else:
            x = conv3x3(scale_channels(x, scaled), self.weight, window)
        return scaled_leaky_relu(x, factors, bias, noise, self.clamp, contained=contained)

    def scale_noise(self, noise: Tensor) -> Tensor:
        """Noise of any shape as `forward` takes it."""
        return noise * self.noise_strength * self.leaky_gain

    def stored_noise(self) -> Tensor:
        """The stored noise of the whole map, [h,w], as `forward` takes it."""
        return self._constant("scaled_noise", lambda: self.scale_noise(self.noise_const))

    def freeze(self, device: torch.device) -> None:
        """Lets it keep what depends on the weights only; until then they may change from call to call.

        device: where they are, or will be.
        """
        weight = self.weight.detach()
        if self.up:  # as the transposed convolution reads them
            weight = weight.transpose(0, 1)
        weight = weight.contiguous(memory_format=memory_format(device))
        self.weight = nn.Parameter(weight.transpose(0, 1) if self.up else weight, requires_grad=False)
        self.frozen = True
        self.energy = self.scaled_bias = self.scaled_noise = None

    def weights_changed(self, *, trained: bool) -> None:
        """Its parameters are other ones now, laid out like those before. trained: they change from call to call."""
        self.frozen = not trained
        self.energy = self.scaled_bias = self.scaled_noise = None

    def _constant(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """What `make` gives: kept in the buffer `name` once the weights are frozen."""
        if not self.frozen:
            return make()
        if getattr(self, name) is None:
            with torch.inference_mode(False):  # autograd can't save what inference mode makes
                setattr(self, name, make())
        kept: Tensor = getattr(self, name)
        return kept


class BilinearSynthesisLayer(SynthesisLayer):
    """A layer that doubles bilinearly first, then convolves as one that doesn't double (GFPGAN's StyleGAN2)."""

    def forward(self, x: Tensor, styles: Tensor, noise: Tensor | None, window: Window) -> Tensor:
        """As of a SynthesisLayer that doubles; `window` is what such a one reads."""
        doubled = bilinear(x)
        whole = Box(0, 0, *doubled.shape[2:])
        # the FIR filter reads one pixel more after the result than a 3x3 convolution
        return super().forward(doubled, styles, noise, window_of(window.box.grow(0, -1), whole))


class ToRGBLayer(nn.Module):
    """Modulated 1x1 convolution to the image's channels, without demodulation; clamped to +-conv_clamp."""

    def __init__(
        self, in_channels: int, img_channels: int, *, w_dim: int, conv_clamp: float | None = None
    ) -> None:
        super().__init__()
        self.in_channels, self.clamp = in_channels, conv_clamp
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(drawn(img_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(img_channels))

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """x: [B,in_channels,h,w]; styles: [B,in_channels] -> [B,img_channels,h,w], at least float32."""
        weight = self.weight[:, :, 0, 0] * (styles * self.weight_gain)[:, None, :]
        if layout_of(x) == torch.channels_last:
            rgb = torch.baddbmm(self.bias, x.flatten(2).mT, weight.mT).mT
        else:
            rgb = torch.baddbmm(self.bias[:, None], weight, x.flatten(2))
        if self.clamp is not None:
            rgb = rgb.clamp(-self.clamp, self.clamp)
        return rgb.unflatten(2, x.shape[2:]).to(torch.promote_types(x.dtype, torch.float32))


class SkipLayer(nn.Module):
    """The other way through a residual block: a 1x1 convolution, then doubling; its gain is sqrt(1/2)."""

    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight_gain = math.sqrt(0.5 / in_channels)
        self.weight = nn.Parameter(drawn(out_channels, in_channels, 1, 1))
        self.register_buffer("resample_filter", fir_filter())

    def forward(self, x: Tensor, window: Window) -> Tensor:
        """x: [B,in_channels,..] -> [B,out_channels,h,w], the pixels `window` of it doubled."""
        x = convolve(x, self.weight * self.weight_gain)
        return upsample_rgb(x, self.resample_filter, window)


class SynthesisBlock(nn.Module):
    """Both convolutions of one resolution (the first: one on a learnt constant) and what goes with them.

    kind: "skip" has an RGB output, "resnet" a way past both convolutions, "orig" neither; the last block has
    an RGB output whatever its kind. size: of its features; is_first: whether it starts from the constant;
    upsampling: "fir" or "bilinear".
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        w_dim: int,
        size: tuple[int, int],
        img_channels: int,
        kind: str = "skip",
        is_first: bool = False,
        is_last: bool = False,
        conv_clamp: float | None = None,
        upsampling: str = FIR,
    ) -> None:
        super().__init__()
        self.is_first, self.upsampling = is_first, upsampling
        residual = kind == "resnet" and not is_first
        settings: dict[str, Any] = {"w_dim": w_dim, "size": size, "conv_clamp": conv_clamp}
        if is_first:
            self.const = nn.Parameter(drawn(out_channels, *size))
        elif upsampling == FIR:
            self.conv0 = SynthesisLayer(in_channels, out_channels, up=True, **settings)
        else:
            self.conv0 = BilinearSynthesisLayer(in_channels, out_channels, up=False, **settings)
        gain = math.sqrt(0.5) if residual else 1.0
        self.conv1 = SynthesisLayer(out_channels, out_channels, up=False, gain=gain, **settings)
        shown = is_last or kind == "skip"
        self.torgb = (
            ToRGBLayer(out_channels, img_channels, w_dim=w_dim, conv_clamp=conv_clamp) if shown else None
        )
        self.skip = SkipLayer(in_channels, out_channels) if residual else None
        self.register_buffer("resample_filter", fir_filter())

    def doubled(self, image: Tensor, window: Window) -> Tensor:
        """A window of the doubled RGB image [B,C,..] of the resolution below."""
        if self.upsampling == FIR:
            return upsample_rgb(image, self.resample_filter, window)
        return cut(bilinear(image), window)

    def styled_layers(self) -> Iterator[tuple[str, SynthesisLayer | ToRGBLayer]]:
        """The layers that take styles, with their names, in the order of synthesis."""
        if not self.is_first:
            yield "conv0", self.conv0
        yield "conv1", self.conv1
        if self.torgb is not None:
            yield "torgb", self.torgb
