"""Curves over a photo: where the boundaries of masks were, and where they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BEFORE, AFTER = (-1.0, 0.6, 1.0), (1.0, 0.1, -1.0)  # sky blue and orange, RGB in [-1,1]


def outline(mask: Tensor, width: float = 1.0) -> Tensor:
    """How much of each pixel a line along the 1/2 level of a mask covers.

    mask: [...,H,W] in [0,1]; width: pixels. Returns the same shape in [0,1], smooth along the line.
    """
    slopes = torch.gradient(mask, dim=(-2, -1))
    steepness = torch.stack(list(slopes)).square().sum(dim=0).sqrt()
    distance = (mask - 0.5).abs() / steepness.clamp(min=1e-6)  # in pixels, to first order
    return (width / 2 + 0.5 - distance).clamp(0, 1)


def draw_outlines(photo: Tensor, before: Sequence[Tensor], after: Sequence[Tensor], scale: int = 1) -> Tensor:
    """The photo, enlarged by `scale`, with the boundaries before (blue) and after (orange) on top.

    photo: [1,3,H,W] in [-1,1]; before, after: masks [1,1,H,W] in [0,1]. Returns [1,3,H·scale,W·scale].
    """
    image = _enlarged(photo, scale)
    for masks, color in ((before, BEFORE), (after, AFTER)):
        ink = torch.tensor(color).to(image)[:, None, None]
        for mask in masks:
            line = outline(_enlarged(mask.to(image), scale), 2.0)
            image = image + line * (ink - image)
    return image


def _enlarged(image: Tensor, scale: int) -> Tensor:
    return F.interpolate(image, scale_factor=scale, mode="bilinear") if scale > 1 else image
