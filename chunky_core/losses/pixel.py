"""Losses of single pixels, as means over a mask."""

from __future__ import annotations

from torch import Tensor

from ..deprecated.keywords import old_keywords


@old_keywords(prediction="rendering")
def l2_loss(rendering: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference over the mask; images [1,3,h,w] in [-1,1], mask [1,1,h,w] in [0,1]; scalar."""
    return masked_mean((rendering - target).square(), mask)


@old_keywords(prediction="rendering")
def l1_loss(rendering: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the mask; shapes and ranges as in `l2_loss`."""
    return masked_mean((rendering - target).abs(), mask)


def masked_mean(values: Tensor, mask: Tensor, mask_sum: Tensor | None = None) -> Tensor:
    """Mean of values [1,C,h,w] over channels and, weighted by the mask [1,1,h,w], over pixels; a scalar.

    mask_sum: the mask's, where it is known already.
    """
    return (values.mean(dim=1, keepdim=True) * mask).sum() / (mask.sum() if mask_sum is None else mask_sum)
