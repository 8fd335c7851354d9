"""8-bit pixels and images of the core's range."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..deprecated import old_names
from ..errors import InvalidInputError

# What ComfyUI's loader divides the levels of a gray image by: it makes them 16-bit ones by shifting, and white is
# 65280 / 65535.
GRAY_DIVISOR = 65535 / 256
EXACT = 1e-3  # of a level
# (what levels may have been divided by, by how much of a level a number may be off)
LEVEL_DIVISORS = ((255, EXACT), (GRAY_DIVISOR, 0.05))


def to_uint8(image: Tensor) -> Tensor:
    """The 8-bit pixels of an image, rounded to the nearest level.

    image: [B,3,H,W], -1 is black and 1 is white, values beyond are clipped.
    Returns uint8 [B,H,W,3], RGB. The inverse of `from_uint8` for all 256 values: a photo that goes through
    both keeps every pixel.
    Raises InvalidInputError for another shape, whole numbers and NaN.
    """
    if not isinstance(image, Tensor) or image.ndim != 4 or image.shape[1] != 3 or not image.numel():
        found = in_brackets(image) if isinstance(image, Tensor) else f"a {type(image).__name__}"
        raise InvalidInputError(f"an image is {found}; expected [B,3,H,W]")
    if not image.is_floating_point():
        kind = str(image.dtype).removeprefix("torch.")
        raise InvalidInputError(f"an image holds {kind} numbers; expected floats in -1..1")
    levels = (image.detach().float() * 127.5 + 127.5).round().clamp(0, 255)
    if levels.isnan().any():
        raise InvalidInputError("an image contains NaN; expected numbers in -1..1")
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def from_uint8(pixels: np.ndarray | Tensor) -> Tensor:
    """An image from 8-bit pixels.

    pixels: uint8 [H,W,3] or [B,H,W,3], RGB. Returns float32 [B,3,H,W] in [-1,1].
    Raises InvalidInputError for another shape or type.
    """
    levels = torch.as_tensor(pixels)
    if levels.dtype != torch.uint8 or levels.ndim not in (3, 4) or levels.shape[-1] != 3:
        kind = str(levels.dtype).removeprefix("torch.")
        raise InvalidInputError(
            f"pixels are {kind} {in_brackets(levels)}; expected uint8 [H,W,3] or [B,H,W,3]"
        )
    batch = levels if levels.ndim == 4 else levels[None]
    return (batch.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous()


def whole_levels(values: Tensor, strict: bool = False) -> Tensor | None:
    """The levels 0..255 that an image of 8 bits had, float64; None where numbers lie between them.

    values: in 0..1, level divided by one of `LEVEL_DIVISORS`; strict: without what the host's loader may be off.
    """
    for most, off in LEVEL_DIVISORS:
        levels = values.detach().double() * most
        whole = levels.round()
        if not bool(((levels - whole).abs() > (EXACT if strict else off)).any()):
            return whole
    return None


def in_brackets(tensor: Tensor) -> str:
    """The shape, "[1,3,64,64]"."""
    return "[" + ",".join(map(str, tensor.shape)) + "]"


__getattr__ = old_names(__name__)
