"""Losses of one segment on the crop of its box, all normalised by the segment's own area.

The crops are [1,3,h,w] in [-1,1], the mask is [1,1,h,w] in [0,1]. Every loss is a mean over the mask, so an
eye and the background give gradients of the same scale; with an all-ones mask each one is the ordinary loss
of the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .perceptual import load_lpips

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
_WINDOW, _SIGMA = 11, 1.5
_SMALLEST_TERM = 0.01  # x ** 0.04 has no bounded slope at 0: smaller similarities count as this one
_LPIPS_MIN_SIDE = 64  # below it the last feature maps are about one pixel wide


def l2_loss(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference over the mask; images [1,3,h,w] in [-1,1], mask [1,1,h,w] in [0,1]; scalar."""
    return _masked_mean((prediction - target).square(), mask)


def l1_loss(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the mask; shapes and ranges as in `l2_loss`."""
    return _masked_mean((prediction - target).abs(), mask)


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
        term = _masked_mean(luminance * structure if is_last else structure, seen)
        result = result * term.clamp(min=_SMALLEST_TERM) ** weight
    return result


class SegmentLoss:
    """Weighted sum of the losses of one segment's crop; a weight of 0 leaves a loss out entirely.

    The structural losses (MS-SSIM, LPIPS) see the prediction laid over the photo with the mask: what lies
    outside of the segment is the photo itself on both sides and adds nothing.
    """

    def __init__(
        self,
        *,
        l2: float = 1.0,
        l1: float = 0.0,
        ms_ssim: float = 0.0,
        lpips: float = 0.0,
        lpips_net: str = "vgg",
        device: torch.device | str = "cpu",
    ) -> None:
        """Loads the perceptual network if `lpips` is above 0; MissingWeightsError if its file is absent."""
        self.l2, self.l1, self.ms_ssim, self.lpips = l2, l1, ms_ssim, lpips
        self._distance = load_lpips(lpips_net, device) if lpips else None

    @property
    def is_structural(self) -> bool:
        """Whether a loss looks beyond single pixels, and so wants some photo around the segment."""
        return self.ms_ssim > 0 or self.lpips > 0

    def __call__(self, prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """prediction, target: [1,3,h,w] in [-1,1]; mask: [1,1,h,w] in [0,1], 1 = counts; a scalar."""
        total = prediction.new_zeros(())
        if self.l2:
            total = total + self.l2 * l2_loss(prediction, target, mask)
        if self.l1:
            total = total + self.l1 * l1_loss(prediction, target, mask)
        if not self.is_structural:
            return total
        composite = target + mask * (prediction - target)
        if self.ms_ssim:
            total = total + self.ms_ssim * (1.0 - ms_ssim(composite, target, mask))
        if self._distance is not None:
            total = total + self.lpips * _lpips(self._distance, composite, target, mask)
        return total


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values.mean(dim=1, keepdim=True) * mask).sum() / mask.sum()


def _lpips(
    distance: Callable[[Tensor, Tensor], Tensor], composite: Tensor, target: Tensor, mask: Tensor
) -> Tensor:
    # LPIPS is a mean over the crop, of which only the mask's share can differ.
    share = mask.mean()
    shorter = min(target.shape[-2:])
    if shorter < _LPIPS_MIN_SIDE:
        scale = _LPIPS_MIN_SIDE / shorter
        size = [max(_LPIPS_MIN_SIDE, round(side * scale)) for side in target.shape[-2:]]
        composite, target = (
            F.interpolate(t, size, mode="bilinear", align_corners=False) for t in (composite, target)
        )
    return distance(composite, target).mean() / share


def _scale_weights(shorter_side: int) -> list[float]:
    count = 1
    while count < len(MS_SSIM_WEIGHTS) and (shorter_side - 1) // 2**count + 1 >= _WINDOW:
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
    offsets = torch.arange(_WINDOW, dtype=image.dtype, device=image.device) - _WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * _SIGMA**2))
    window = window / window.sum()
    channels = image.shape[1]
    column = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    row = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(image, column, groups=channels), row, groups=channels)
