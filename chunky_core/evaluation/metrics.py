"""How far a picture is from its target, in plain figures."""

from __future__ import annotations

import math

from torch import Tensor

from ..errors import InvalidInputError


def l2(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Mean squared difference of images [B,3,H,W] in [-1,1] (0 ... 4), over the mask [B or 1,1,H,W] if one is
    given.

    Raises InvalidInputError if the sizes differ or the mask is empty.
    """
    if image.shape != target.shape:
        raise InvalidInputError(
            f"the image has shape {tuple(image.shape)}, its target {tuple(target.shape)}; they must be equal"
        )
    error = (image.double() - target.double()).square().mean(dim=1, keepdim=True)
    if mask is None:
        return error.mean().item()
    if mask.shape[-2:] != image.shape[-2:]:
        raise InvalidInputError(
            f"the mask is {tuple(mask.shape[-2:])}, the image {tuple(image.shape[-2:])} pixels"
        )
    weights = mask.double().expand_as(error)
    if not weights.sum() > 0:
        raise InvalidInputError("the mask is empty; nothing to measure")
    return ((error * weights).sum() / weights.sum()).item()


def psnr(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(2^2 / l2) as the images span 2; infinite for equal ones."""
    error = l2(image, target, mask)
    return math.inf if error == 0.0 else 10.0 * math.log10(4.0 / error)
