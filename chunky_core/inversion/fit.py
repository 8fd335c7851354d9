"""The optimiser's state: one code per region of the photo, all under one Adam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..generator.region import Box

_DIVERGED = 100.0  # a loss this many times 1 + that of the first step will not come back


@dataclass(frozen=True, eq=False)
class Region:
    """What one code answers for: a box of the photo, and there the photo [1,3,h,w] and the loss's mask
    [1,1,h,w].
    """

    box: Box
    target: Tensor
    mask: Tensor


class Fit:
    """Codes under optimisation, one per region, and the best state that each has had."""

    def __init__(self, codes: Sequence[Tensor], regions: Sequence[Region]) -> None:
        self.codes = [code.detach().clone().requires_grad_() for code in codes]
        self.regions = regions
        self.best = [code.detach().clone() for code in codes]
        self._optimizer = torch.optim.Adam(self.codes)
        self._best_losses = [float("inf")] * len(codes)
        self._limits: list[float] | None = None

    def split(self, regions: Sequence[Region]) -> Fit:
        """One code per region, each going on from this fit's only code with that code's own Adam state.

        Fresh moments would make Adam's first steps full ones in every direction, whatever the gradients.
        """
        parts = Fit([self.codes[0]] * len(regions), regions)
        state = self._optimizer.state[self.codes[0]]
        for code in parts.codes:
            parts._optimizer.state[code] = {key: value.clone() for key, value in state.items()}
        return parts

    def diverging(self, losses: Sequence[float], gradients: Sequence[Tensor]) -> int | None:
        """Index of the first region whose loss or gradient isn't finite, or whose loss has exploded; None if
        all is well.
        """
        if self._limits is None:
            self._limits = [_DIVERGED * (1.0 + loss) for loss in losses]
        finite = torch.stack([gradient.isfinite().all() for gradient in gradients]).tolist()
        for index, (loss, limit) in enumerate(zip(losses, self._limits, strict=True)):
            if not finite[index] or not loss < limit:  # written so that NaN counts too
                return index
        return None

    def step(self, losses: Sequence[float], gradients: Sequence[Tensor], learning_rate: float) -> None:
        """Remember the codes that gave the best losses so far, then take one step of Adam."""
        for index, loss in enumerate(losses):
            if loss < self._best_losses[index]:
                self._best_losses[index] = loss
                self.best[index] = self.codes[index].detach().clone()
        for code, gradient in zip(self.codes, gradients, strict=True):
            code.grad = gradient
        self._optimizer.param_groups[0]["lr"] = learning_rate
        self._optimizer.step()
