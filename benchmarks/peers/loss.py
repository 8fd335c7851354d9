"""The loss that all tools share, L2 + perceptual distance, in the two shapes that they call one in."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from chunky_core.losses import PerceptualNetwork, perceptual_distance


class FeatureVector(nn.Module):
    """In place of their VGG-16 with `return_lpips`: images [B,3,H,W] in 0 ... 255 -> vectors whose squared distance is
    the mean squared difference in [-1,1] plus the perceptual distance.
    """

    def __init__(self, network: PerceptualNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, **_: Any) -> Tensor:
        images = images / 127.5 - 1
        maps = [images / math.sqrt(3), *self.network.features(images)]
        return torch.cat([one.flatten(1) / math.sqrt(one.shape[-2] * one.shape[-1]) for one in maps], dim=1)


class Distance(nn.Module):
    """In place of the package lpips' network: two images [B,3,H,W] in [-1,1] -> perceptual distance, [B,1,1,1]."""

    def __init__(self, network: PerceptualNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        features = [self.network.features(one) for one in (images, target)]
        return perceptual_distance(*features).reshape(-1, 1, 1, 1)
