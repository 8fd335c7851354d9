"""What holds the codes to a reference code, and the noise maps to white noise.

P2 = Subrtova et al. 2022, K = Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix D.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..generator.generator import Generator
from ..generator.spaces import SPACES, LatentCode, convert

_SMALLEST = 8  # side in pixels of the last noise map of the pyramid (K)


def code_regularizers(
    generator: Generator,
    codes: Sequence[LatentCode],
    reference_codes: Sequence[Tensor | None],
    lambda_reg: float,
    lambda_mean: float,
) -> list[Tensor]:
    """For each code lambda_reg ||X_i - X_mu||^2 (P2 eq. 2) + lambda_mean ||X_i - reference||^2, both as means per
    number of the code; differentiable scalars.

    X_mu is the mean over the codes, in the first space that all of them can be brought into. It counts as a
    constant, which is exact: the sum over i has no gradient through X_mu. reference_codes: only for lambda_mean.
    """
    losses = [code.tensor.new_zeros(()) for code in codes]
    if lambda_reg:
        common = max((code.space for code in codes), key=SPACES.index)
        moved = [convert(generator, code, common).tensor.float() for code in codes]
        mean = torch.stack([one.detach() for one in moved]).mean(dim=0)
        losses = [
            loss + lambda_reg * (one - mean).square().mean() for loss, one in zip(losses, moved, strict=True)
        ]
    return [
        loss if reference is None else loss + lambda_mean * (code.tensor - reference).square().mean()
        for loss, code, reference in zip(losses, codes, reference_codes, strict=True)
    ]


def noise_regularizer(noise_maps: Sequence[Tensor]) -> Tensor:
    """Sum over the maps and their pyramids of squared correlations with the next pixel, down to 8x8 (K eq. 12
    ff.); maps [r,r]; 0 for white noise, a scalar.
    """
    total = noise_maps[0].new_zeros(())
    for noise_map in noise_maps:
        level = noise_map[None, None]
        while True:
            for axis in (2, 3):
                total = total + (level * level.roll(1, dims=axis)).mean().square()
            if level.shape[-1] <= _SMALLEST:
                break
            level = F.avg_pool2d(level, 2) * 2  # keeps the deviation of white noise
    return total


@torch.no_grad()
def normalize_noise(noise_maps: Sequence[Tensor]) -> None:
    """Bring each map to mean 0 and deviation 1, in place (K)."""
    for noise_map in noise_maps:
        noise_map -= noise_map.mean()
        noise_map *= noise_map.square().mean().rsqrt()
