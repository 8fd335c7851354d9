"""Pictures, and perceptual and identity networks so simple that their distances can be told by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from chunky_core.losses import LossConfig, LossNetworks


def picture(seed: int, height: int, width: int) -> Tensor:
    """Smooth noise in [-1,1]."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 4 + 1, width // 4 + 1, generator=rng, dtype=torch.float64) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


class Colours:
    """A perceptual network that looks at the pixels themselves, in two maps, and counts how often it is asked."""

    smallest_side = 16

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def features(self, images: Tensor) -> list[Tensor]:
        self.sizes.append(tuple(images.shape[-2:]))
        return [images, 2.0 * images[:, :1, ::2, ::2]]


class Means:
    """An identity network that embeds the mean colour of each quarter of the picture."""

    def __init__(self) -> None:
        self.asked = 0

    def embed(self, images: Tensor) -> Tensor:
        self.asked += 1
        quarters = torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)
        return torch.nn.functional.normalize(quarters + 0.1, dim=1)


def only(name: str, **more: Any) -> LossConfig:
    return LossConfig(**({"l2": 0.0, name: 1.0} | more))


def networks() -> LossNetworks:
    return LossNetworks(Colours(), Means())
