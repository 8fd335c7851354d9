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
    weights = _scale_weights(min(image.shape[-2:]))
    if mask is None:
        mask = torch.ones_like(image[:, :1])
    result = image.new_ones(())
    for scale, weight in enumerate(weights):
        if scale:
            image, target, mask = (F.avg_pool2d(t, 2, ceil_mode=True) for t in (image, target, mask))
        luminance, structure, seen = _ssim_maps(image, target, mask)
        is_last = scale == len(weights) - 1
        term = masked_mean(luminance * structure if is_last else structure, seen)
        result = result * term.clamp(min=_SMALLEST_TERM) ** weight
    return result


def _scale_weights(shorter_side: int) -> list[float]:
    count = 1
    while count < len(MS_SSIM_WEIGHTS) and (shorter_side - 1) // 2**count + 1 >= WINDOW:
        count += 1
    chosen = MS_SSIM_WEIGHTS[:count]
    return [weight / sum(chosen) for weight in chosen]


def _ssim_maps(image: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Luminance map, contrast-structure map and the mask as the window sees it, each without the window's
    border.
    """
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # K1, K2 of Wang et al. 2004 for images that span 2
    mean_x, mean_y = _blur(image), _blur(target)
    variance_x = _blur(image * image) - mean_x * mean_x
    variance_y = _blur(target * target) - mean_y * mean_y
    covariance = _blur(image * target) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance, structure, _blur(mask)


def _blur(image: Tensor) -> Tensor:
    offsets = torch.arange(WINDOW, dtype=image.dtype, device=image.device) - WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * _SIGMA**2))
    window = window / window.sum()
    channels = image.shape[1]
    column = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    row = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(image, column, groups=channels), row, groups=channels)
