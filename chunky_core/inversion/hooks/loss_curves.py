"""Loss curves: one value per segment and step."""

from __future__ import annotations

import torch
from torch import Tensor

from ...boxes import Box, crop
from ..loss_regions import PyramidLevel
from ..objectives import LossAndGrads
from ..projection import Hook, Projection

TOGETHER = "together"  # the curve of the loss that all segments share in joint mode


class LossCurves(Hook):
    """Each segment's loss, or in joint mode its mean squared error; while one code stands for all, its loss.

    The curves are the projection's. A value counts once its step is made.
    """

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def before_step(self, run: Projection, found: LossAndGrads) -> None:
        if run.config.mode == "joint":
            errors = found.per_segment_mse
            if run.is_shared:
                errors = _errors(run.stage.level, found.crops[0], run.stage.objective.boxes[0])
            self._last = dict(zip(run.names, torch.stack(errors).tolist(), strict=True))
            self._last[TOGETHER] = found.values[0]
        elif run.is_shared:
            self._last = dict.fromkeys(run.names, found.values[0])
        else:
            names = (run.names[i] for i in run.stage.which)
            self._last = dict(zip(names, found.values, strict=True))

    def after_step(self, run: Projection) -> None:
        for name, value in self._last.items():
            run.curves[name].append(value)
        self._last = {}

    def at_end(self, run: Projection) -> None:
        if not run.stopped:  # of codes that were judged once more
            self.after_step(run)


def _errors(level: PyramidLevel, rendering: Tensor, box: Box) -> list[Tensor]:
    """Each segment's mean squared error where one crop [1,3,h,w] shows all of them; scalars."""
    error = (rendering - crop(level.photo, box)).square().mean(dim=1)
    masks = crop(level.masks.masks, box)
    return [(error * mask).sum() / mask.sum() for mask in masks]
