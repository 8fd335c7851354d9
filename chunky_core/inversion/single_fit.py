"""The fit of one code by Adam, apart from any projection."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..generator.spaces import LatentCode
from .latents import USUAL_BETAS
from .schedule import learning_rate_factor

Judge = Callable[[LatentCode], tuple[float, Tensor]]


def fitted_code(
    judge: Judge,
    start: LatentCode,
    num_steps: int,
    learning_rate: float,
    betas: Sequence[float] = USUAL_BETAS,
) -> LatentCode:
    """The best code of `num_steps` of Adam and of those before and after each, by the schedule of Karras et al. 2020.

    judge: the loss of a code that wants gradients, and the gradient by its tensor. start: a code of its own, which
    stays as it is. Where a loss isn't finite the fit ends.
    """
    value = start.tensor.detach().clone().requires_grad_()
    adam = torch.optim.Adam([value], betas=(betas[0], betas[1]))
    best, least = value.detach().clone(), math.inf
    for step in range(num_steps + 1):
        loss, value.grad = judge(LatentCode(start.space, value))
        if not loss < math.inf:
            break
        if loss < least:
            best, least = value.detach().clone(), loss
        adam.param_groups[0]["lr"] = learning_rate * learning_rate_factor((step + 0.5) / (num_steps + 1))
        adam.step()
    return LatentCode(start.space, best)
