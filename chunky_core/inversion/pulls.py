"""Pulls on the codes themselves: to the mean code of the segments, and to the generator's mean code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..generator.generator import Generator
from ..generator.spaces import SPACES, LatentCode, convert


def code_pulls(
    generator: Generator,
    codes: Sequence[LatentCode],
    anchors: Sequence[Tensor | None],
    lambda_reg: float,
    lambda_mean: float,
) -> list[Tensor]:
    """For each code lambda_reg ||X_i - X_mu||^2 (P2 = Subrtova et al. 2022, eq. 2) + lambda_mean
    ||X_i - anchor||^2, both as means per number of the code; differentiable scalars.

    X_mu is the mean over the codes, in the first space that all of them can be brought into. It counts as a
    constant, which is exact: the sum over i has no gradient through X_mu. anchors: only for lambda_mean.
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
        loss if anchor is None else loss + lambda_mean * (code.tensor - anchor).square().mean()
        for loss, code, anchor in zip(losses, codes, anchors, strict=True)
    ]
