"""The generator's noise maps under optimisation (K = Karras et al. 2020, "Analyzing and Improving the Image
Quality of StyleGAN", appendix D).

One set of maps serves the whole photo: a map is a picture, and the segments divide it among themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator

_SMALLEST = 8  # side in pixels of the last map of the pyramid (K)


def starting_maps(generator: Generator, rng: torch.Generator) -> list[Tensor]:
    """One map [r,r] of white noise per layer of `noise_layout`. InvalidInputError where there is none."""
    if not generator.noise_layout:
        raise InvalidInputError("this generator has no noise inputs; switch optimise_noise off")
    return [torch.randn(size, size, generator=rng).to(generator.device) for _, size in generator.noise_layout]


def noise_regulariser(maps: Sequence[Tensor]) -> Tensor:
    """Sum over the maps and their pyramids of squared correlations with the next pixel, down to 8x8 (K eq. 12
    ff.); maps [r,r]; 0 for white noise, a scalar.
    """
    total = maps[0].new_zeros(())
    for map_ in maps:
        level = map_[None, None]
        while True:
            for axis in (2, 3):
                total = total + (level * level.roll(1, dims=axis)).mean().square()
            if level.shape[-1] <= _SMALLEST:
                break
            level = F.avg_pool2d(level, 2) * 2  # keeps the deviation of white noise
    return total


@torch.no_grad()
def normalise_maps(maps: Sequence[Tensor]) -> None:
    """Bring each map to mean 0 and deviation 1, in place (K)."""
    for map_ in maps:
        map_ -= map_.mean()
        map_ *= map_.square().mean().rsqrt()
