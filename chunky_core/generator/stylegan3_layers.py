"""The layers StyleGAN3 consists of (Karras et al. 2021), with the names of NVlabs' stylegan3.

Instead of building one set of weights per sample, the activations are scaled by the styles before each
convolution and by the demodulation factors after it, which is the same function and much cheaper.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..boxes import Size
from .filters import Filtering, filtered_leaky_relu, filtering, lowpass_filter
from .layers import ToRGBLayer
from .mapping import FullyConnectedLayer
from .ops import convolve, demodulation, drawn, weight_energy


class Signal(NamedTuple):
    """What comes out of a layer: channels, pixels with the margin, and its spectrum.

    rate: samples per image, from top to bottom; cutoff, half_width: of the low-pass filter and half its transition
    band.
    """

    channels: int
    size: Size
    rate: int
    cutoff: float
    half_width: float


class FourierFeatures(nn.Module):
    """The input: sinusoids, turned and shifted as the style (cos, sin, x, y) says, then mixed."""

    freqs: Tensor
    phases: Tensor
    transform: Tensor
    in_channels = 4

    def __init__(self, signal: Signal, w_dim: int) -> None:
        super().__init__()
        self.signal = signal
        channels = signal.channels
        self.affine = FullyConnectedLayer(w_dim, self.in_channels)
        self.weight = nn.Parameter(drawn(channels, channels))
        # torch.eye would import torch's stand-ins for kernels on the meta device, 100 MB of them
        self.register_buffer("transform", torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
        self.register_buffer("freqs", drawn(channels, 2))
        self.register_buffer("phases", _phases(channels))

    def forward(self, styles: Tensor) -> Tensor:
        """styles: [B,4] -> [B,channels,h,w], computed in at least float32."""
        signal, dtype = self.signal, torch.promote_types(styles.dtype, torch.float32)
        transforms = self._transforms(styles.to(dtype))
        freqs = self.freqs.to(dtype)
        phases = self.phases.to(dtype) + (freqs @ transforms[:, :2, 2:]).squeeze(2)
        freqs = freqs @ transforms[:, :2, :2]
        headroom = signal.rate / 2 - signal.cutoff  # frequencies beyond the band fade out
        amplitudes = (1 - (freqs.norm(dim=2) - signal.cutoff) / headroom).clamp(0, 1)
        rows, columns = (self._places(length, dtype, styles.device) for length in signal.size)
        across = columns[:, None] * freqs[:, None, :, 0] + phases[:, None]
        down = rows[:, None] * freqs[:, None, :, 1]
        x = torch.sin((across[:, None] + down[:, :, None]) * (2 * math.pi)) * amplitudes[:, None, None]
        weight = self.weight.to(dtype) / math.sqrt(signal.channels)
        return (weight @ x.flatten(1, 2).mT).unflatten(2, x.shape[1:3]).to(styles.dtype)

    def _places(self, length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Of the middle of each pixel in a row or column of this length: [length], 0 in the image's middle."""
        place = torch.arange(length, dtype=dtype, device=device)
        return (place + (0.5 - length / 2)) / self.signal.rate

    def _transforms(self, styles: Tensor) -> Tensor:
        """styles: [B,4] -> [B,3,3], of places: first `transform`, then the shift, then the rotation."""
        styles = styles / styles[:, :2].norm(dim=1, keepdim=True)
        cos, sin, x, y = styles.unbind(dim=1)
        zero, one = torch.zeros_like(x), torch.ones_like(x)
        rotation = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1).view(-1, 3, 3)
        shift = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], dim=1).view(-1, 3, 3)
        return rotation @ shift @ self.transform.to(styles.dtype)


class FilteredLayer(nn.Module):
    """Modulated convolution, then bias and leaky ReLU between up- and down-sampling.

    filter_size: taps per sample at the lower rate; lrelu_upsampling: the activation's rate relative to the
    higher one of input and output; radial: whether the down-sampling filter is radially symmetric.
    """

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None
    energy: Tensor | None

    def __init__(
        self,
        source: Signal,
        target: Signal,
        *,
        w_dim: int,
        conv_kernel: int,
        filter_size: int,
        lrelu_upsampling: int,
        radial: bool,
        conv_clamp: float | None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = source.channels, target.channels
        self.conv_kernel, self.conv_clamp, self.frozen = conv_kernel, conv_clamp, False
        self.sizes = (Size(*(side + conv_kernel - 1 for side in source.size)), target.size)
        self.affine = FullyConnectedLayer(w_dim, source.channels, bias_init=1.0)
        self.weight = nn.Parameter(drawn(target.channels, source.channels, conv_kernel, conv_kernel))
        self.bias = nn.Parameter(torch.zeros(target.channels))
        self.register_buffer("magnitude_ema", torch.ones([]))
        rate = max(source.rate, target.rate) * lrelu_upsampling
        self.up, self.down = rate // source.rate, rate // target.rate
        self.register_buffer("up_filter", _filter(source, rate, filter_size * self.up, False))
        self.register_buffer("down_filter", _filter(target, rate, filter_size * self.down, radial))
        self.register_buffer("energy", None, persistent=False)
        self._filters: Filtering | None = None

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """x: [B,in_channels,h,w]; styles: [B,in_channels] -> [B,out_channels,H,W]."""
        fan_in = self.in_channels * self.conv_kernel**2
        styles = styles * (styles.square().mean(dim=1, keepdim=True) * fan_in).rsqrt()
        scaled = styles * self.magnitude_ema.rsqrt()
        x = convolve(x * scaled[:, :, None, None], self.weight, (self.conv_kernel - 1, self.conv_kernel - 1))
        energy = self._constant_energy() if self.frozen else weight_energy(self.weight)
        mean = energy.mean(
            dim=1, keepdim=True
        )  # weights of any size are fine: the result does not depend on it
        factors = demodulation(styles, energy / mean) * mean.rsqrt().t().to(styles.dtype)
        return filtered_leaky_relu(x, factors, self.bias, self._filtering())

    def freeze(self) -> None:
        """Lets it keep what depends on the weights only; until then they may change from call to call."""
        self.frozen, self.energy, self._filters = True, None, None

    def weights_changed(self, *, trained: bool) -> None:
        """Its parameters are other ones now, laid out like those before. trained: they change from call to call."""
        self.frozen, self.energy = not trained, None

    def _constant_energy(self) -> Tensor:
        if self.energy is None:
            with torch.inference_mode(False):  # autograd can't save what inference mode makes
                self.energy = weight_energy(self.weight)
        return self.energy

    def _filtering(self) -> Filtering:
        if self._filters is not None:
            return self._filters
        sizes, clamp = self.sizes, self.conv_clamp
        filters = filtering(
            self.up_filter,
            self.down_filter,
            self.weight,
            up=self.up,
            down=self.down,
            sizes=sizes,
            clamp=clamp,
        )
        if self.frozen:
            self._filters = filters
        return filters


class OutputLayer(ToRGBLayer):
    """Modulated 1x1 convolution to the image's channels, without demodulation and filters."""

    magnitude_ema: Tensor

    def __init__(self, source: Signal, channels: int, *, w_dim: int, conv_clamp: float | None) -> None:
        super().__init__(source.channels, channels, w_dim=w_dim, conv_clamp=conv_clamp)
        self.register_buffer("magnitude_ema", torch.ones([]))

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """x: [B,in_channels,h,w]; styles: [B,in_channels] -> [B,img_channels,h,w], at least float32."""
        return super().forward(x, styles * self.magnitude_ema.rsqrt())


def _phases(channels: int) -> Tensor:
    """Evenly distributed in [-0.5,0.5]: [channels]; on the meta device nothing but the shape, see `drawn`."""
    return torch.empty(channels) if torch.get_default_device().type == "meta" else torch.rand(channels) - 0.5


def _filter(signal: Signal, rate: int, taps: int, radial: bool) -> Tensor | None:
    """The low-pass filter between a signal and the activation's rate; None where these are equal.

    On the meta device nothing but its shape, as with all weights.
    """
    if rate == signal.rate:
        return None
    if torch.get_default_device().type == "meta":
        return torch.empty((taps, taps) if radial else taps)
    return lowpass_filter(taps, signal.cutoff, signal.half_width * 2, rate, radial=radial)
