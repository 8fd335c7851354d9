"""Colours and signs of age that several painters derive from their part's traits."""

from __future__ import annotations

import torch
from torch import Tensor

from .attributes import Traits
from .raster_canvas import mix, ramp, rgb, smooth

SKIN = ((0.36, 0.21, 0.15), (0.54, 0.34, 0.24), (0.76, 0.54, 0.41), (0.91, 0.71, 0.58), (0.98, 0.84, 0.75))
HAIR = ((0.08, 0.06, 0.07), (0.20, 0.11, 0.08), (0.38, 0.22, 0.13), (0.63, 0.42, 0.22), (0.90, 0.73, 0.45))
SILVER = (0.78, 0.78, 0.80)


def aging(traits: Traits) -> Tensor:
    """0 for the youngest, 1 for the oldest."""
    return traits.between("age").clamp(0.0, 1.0) ** 1.3


def youth(traits: Traits) -> Tensor:
    """1 for the youngest, fading out above the mean age."""
    return smooth(0.75, 0.0, traits.between("age"))


def skin_color(traits: Traits) -> Tensor:
    """[B,3,1,1], from deep to fair, the undertone from rosy to golden, paler with age."""
    base = ramp(traits.between("skin", 0.02, 1.0), SKIN)
    tint = torch.lerp(rgb(1.04, 0.95, 1.00), rgb(0.98, 1.02, 0.87), traits.between("undertone")[:, None])
    return (base * tint * (1.0 - aging(traits)[:, None] * rgb(0.06, 0.01, -0.04))).clamp_(max=1.0)


def shadow_color(skin: Tensor) -> Tensor:
    return skin * rgb(0.66, 0.51, 0.48)


def hair_color(traits: Traits) -> Tensor:
    """[B,3,1,1], from black to blond, redder or cooler, silver with age."""
    base = ramp(traits.between("hair_colour"), HAIR)
    redness = traits.between("hair_redness", -0.6, 1.0)[:, None]
    base = base * (1.0 + redness * rgb(0.38, -0.10, -0.32)) * (0.94 + 0.38 * youth(traits)[:, None])
    return mix(base, rgb(*SILVER), grayness(traits)[:, None]).clamp_(0.0, 1.0)


def grayness(traits: Traits) -> Tensor:
    return 0.9 * smooth(0.42, 1.15, traits.between("age"))


def brow_color(traits: Traits) -> Tensor:
    """[B,3,1,1]: the hair's colour, darker, and slower to turn grey."""
    brown = mix(hair_color(traits) * 0.58, rgb(0.24, 0.15, 0.10), torch.tensor(0.3))
    return mix(brown, rgb(0.46, 0.46, 0.48), 0.5 * grayness(traits)[:, None])
