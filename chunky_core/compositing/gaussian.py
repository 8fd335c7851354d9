"""Gaussian blur of tensors, on their own device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [1,C,h,w], sigma in pixels, cut at three sigma, continued by its border."""
    reach = math.ceil(3 * sigma)
    steps = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    weights = weights / weights.sum()
    planes = F.pad(image, (reach,) * 4, mode="replicate").transpose(0, 1)
    rows = F.conv2d(planes, weights.view(1, 1, 1, -1))
    return F.conv2d(rows, weights.view(1, 1, -1, 1)).transpose(0, 1)
