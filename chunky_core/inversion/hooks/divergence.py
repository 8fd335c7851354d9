"""Divergence: a run whose loss explodes or is no longer finite ends with the best codes before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..objectives import LossAndGrads
from ..projection import Hook, Projection

_DIVERGED = 100.0  # a loss this many times 1 + that of the first step will not come back


class Divergence(Hook):
    """Stops the run at a loss or gradient that isn't finite, and at a loss far above a code's first one.

    Its state: the limit of each code's loss, by index.
    """

    def __init__(self) -> None:
        self.limits: dict[int, float] = {}

    def at_stage(self, run: Projection) -> None:
        if run.stage.losses_are_new:
            self.limits = {}

    def before_step(self, run: Projection, found: LossAndGrads) -> None:
        bad = self.first_bad(run.stage.which, found.values, found.grads)
        if bad is not None:
            run.stopped = _reason(run, bad, found.values[run.stage.which.index(bad)])

    def first_bad(self, which: Sequence[int], losses: Sequence[float], grads: Sequence[Tensor]) -> int | None:
        """The first of the codes `which` that diverges; None if all is well."""
        finite = torch.stack([grad.isfinite().all() for grad in grads]).tolist()
        for index, loss, is_finite in zip(which, losses, finite, strict=True):
            limit = self.limits.setdefault(index, _DIVERGED * (1.0 + loss))
            if not is_finite or not loss < limit:  # written so that NaN counts too
                return index
        return None

    def store(self, numbers: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        numbers["limits"] = [self.limits.get(index) for index in range(len(numbers["spaces"]))]

    def restore(self, run: Projection, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        limits = enumerate(numbers["limits"])
        self.limits = {index: float(limit) for index, limit in limits if limit is not None}


def _reason(run: Projection, bad: int, loss: float) -> str:
    where = f"segment {run.names[bad]!r}"
    if run.is_shared:
        where = "the warm-up"
    elif run.config.mode == "joint":
        where = "the image"
    advice = "try a lower learning rate" if run.config.optimizer == "adam" else 'try "adam"'
    return (
        f"diverged at step {run.step + 1} of {run.config.num_steps}: {where} had loss {loss:.4g}; "
        f"the best codes before it are kept; {advice}"
    )
