"""Multi-scale structural similarity."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .pixel import masked_mean

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
WINDOW = 11  # pixels; no smaller picture can be judged
_SIGMA = 1.5
_SMALLEST_TERM = 0.01  # x ** 0.04 has no bounded slope at 0: smaller similarities count as this one


def ms_ssim(image: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003), a scalar; 1 = identical.

    image, target: [1,C,h,w] in [-1,1], 11 pixels or more each way; mask: [1,1,h,w] in [0,1] or None for
    everywhere. Gaussian window 11x11, sigma 1.5, no padding. Five scales need a shorter side above 160; a
    smaller crop uses as many as leave the window room, with the first weights rescaled to sum to 1. With a
    mask, each scale's map is averaged with weights that tell how much of the window lies on the mask.
    """
    return MsSsim(target, mask)(image)


class MsSsim:
    """`ms_ssim` of many images with one target, of which everything is computed once."""

    def __init__(self, target: Tensor, mask: Tensor | None = None) -> None:
        """target, mask: see `ms_ssim`."""
        mask = torch.ones_like(target[:, :1]) if mask is None else mask
        self.weights = _scale_weights(min(target.shape[-2:]))
        self.window = _gaussian_window(target)
        self.scales = []
        for scale in range(len(self.weights)):
            if scale:
                target, mask = (_halved(t) for t in (target, mask))
            self.scales.append(_Scale(target, mask, self.window))

    def __call__(self, image: Tensor) -> Tensor:
        """image: [1,C,h,w] in [-1,1] -> a scalar."""
        result = image.new_ones(())
        for index, (weight, scale) in enumerate(zip(self.weights, self.scales, strict=True)):
            if index:
                image = _halved(image)
            term = scale.similarity(image, with_luminance=index == len(self.weights) - 1)
            result = result * term.clamp(min=_SMALLEST_TERM) ** weight
        return result


class _Scale:
    """One scale's target and mask as the window sees them, without the window's border."""

    def __init__(self, target: Tensor, mask: Tensor, window: Tensor) -> None:
        self.target, self.window = target, window
        self.mean = _blur(target, window)
        self.squared_mean = self.mean.square()
        self.variance = _blur(target * target, window) - self.mean * self.mean
        self.mask = _blur(mask, window)
        self.mask_sum = self.mask.sum()

    def similarity(self, image: Tensor, *, with_luminance: bool) -> Tensor:
        """Mean over the mask of the contrast-structure map, times the luminance map if wanted; a scalar."""
        c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # K1, K2 of Wang et al. 2004 for images that span 2
        mean = _blur(image, self.window)
        variance = _blur(image * image, self.window) - mean * mean
        covariance = _blur(image * self.target, self.window) - mean * self.mean
        similarity = (2 * covariance + c2) / (variance + self.variance + c2)
        if with_luminance:
            luminance = (2 * mean * self.mean + c1) / (mean.square() + self.squared_mean + c1)
            similarity = luminance * similarity
        return masked_mean(similarity, self.mask, self.mask_sum)


def _halved(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2, ceil_mode=True)


def _scale_weights(shorter_side: int) -> list[float]:
    count = 1
    while count < len(MS_SSIM_WEIGHTS) and (shorter_side - 1) // 2**count + 1 >= WINDOW:
        count += 1
    chosen = MS_SSIM_WEIGHTS[:count]
    return [weight / sum(chosen) for weight in chosen]


def _gaussian_window(image: Tensor) -> Tensor:
    """[11], sums to 1, on the image's device and in its dtype."""
    offsets = torch.arange(WINDOW, dtype=image.dtype, device=image.device) - WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * _SIGMA**2))
    return window / window.sum()


def _blur(image: Tensor, window: Tensor) -> Tensor:
    channels = image.shape[1]
    column = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    row = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(image, column, groups=channels), row, groups=channels)
