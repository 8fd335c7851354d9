"""The size at which a network or a window sees an image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]


def input_size(size: Size, longest: int, smallest: int) -> Size:
    """(height, width) of an image brought to at most `longest` pixels (0 = any) but at least `smallest`.

    The proportions stay, so a long and thin image may remain longer than `longest`.
    """
    scale = min(1.0, longest / max(size)) if longest else 1.0
    scale = max(scale, smallest / min(size))
    height, width = (max(smallest, round(side * scale)) for side in size)
    return height, width


def resize(image: Tensor, size: Size) -> Tensor:
    """image [B,C,h,w] brought to (height, width): bilinear, antialiased where it shrinks; itself if it fits."""
    if tuple(image.shape[-2:]) == size:
        return image
    return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
