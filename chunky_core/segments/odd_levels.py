"""Masks whose white isn't 1 or whose black isn't 0, which is seldom meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..deprecated import old_names
from .masks import BLACK

WHITE = 0.95  # a mask that is nowhere above shows the photo through
GRAY = 0.25  # a mask that is nowhere below has no black


@dataclass(frozen=True)
class OddLevels:
    """faint: names of the masks that are nowhere above WHITE, and the highest value of them all; gray: names of those
    that are nowhere near black but below GRAY, and their lowest value.
    """

    faint: tuple[str, ...] = ()
    highest: float = 0.0
    gray: tuple[str, ...] = ()
    lowest: float = 0.0


def odd_levels(masks: Mapping[str, Tensor]) -> OddLevels:
    """Which of some masks, each of any shape in 0..1, have odd levels."""
    bounds = {name: tuple(bound.item() for bound in torch.aminmax(mask)) for name, mask in masks.items()}
    faint = tuple(name for name, (_, high) in bounds.items() if BLACK < high < WHITE)
    gray = tuple(name for name, (low, high) in bounds.items() if BLACK < low < GRAY and high > 2 * low)
    return OddLevels(
        faint,
        max((bounds[name][1] for name in faint), default=0.0),
        gray,
        min((bounds[name][0] for name in gray), default=0.0),
    )


__getattr__ = old_names(__name__)
