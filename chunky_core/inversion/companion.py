"""The warm-up's shared code, which goes on beside the segments' own codes as a second opinion.

A segment by itself can run into a corner that the whole picture would have kept it out of: an eye that looks the
wrong way, a mouth half open. Where the shared code fits a segment better than its own, the segment takes it over, so
no segment ends worse than with one code for everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..generator.spaces import SPACES, convert
from .fit import Fit
from .judge import Judge
from .objective import IndependentObjective
from .regions import Region, crop

CHECKS = (0.6, 0.8)  # fractions of the run at which segments compare; and once more at its end


class Companion:
    """One code for everything, fitted step by step beside the others."""

    def __init__(self, fit: Fit, judge: Judge) -> None:
        self.fit, self._judge = fit, judge
        self.objective: IndependentObjective | None = None

    def step(self, step: int, progress: float, learning_rate: float) -> None:
        """One step of Adam, at the same place of the schedule as the segments. A bad one is not made."""
        assert self.objective is not None
        verdict = self._judge(self.objective, self.fit, [0], progress)
        losses = [verdict.losses[0].item()]
        if self.fit.diverging([0], losses, verdict.gradients) is None:
            self.fit.remember([0], losses, step)
            self.fit.adam_step({0: verdict.gradients[0]}, (), learning_rate)

    @torch.no_grad()
    def lend(self, fit: Fit, regions: Mapping[int, Region], noise: Sequence[Tensor]) -> None:
        """Give the code to those segments that it fits better than their best one does.

        regions: what segments are judged by. Segments in an earlier space than the shared code's keep their own.
        """
        assert self.objective is not None
        code = self.fit.best_codes()[0]
        box = self.objective.boxes[0]
        picture = self.objective.draw([code], noise)[0]
        for index, region in regions.items():
            space = fit.spaces[index]
            if SPACES.index(space) < SPACES.index(code.space):
                continue
            loss = region.loss(crop(picture, region.box.within(box))).item()
            if loss < fit.best_loss(index):
                own = convert(self._judge.generator, code, space).tensor.float()
                fit.take_over(index, own, loss, self.fit if space == code.space else None)


def checks_of(steps: int) -> frozenset[int]:
    """The steps after which segments compare, the last one left out."""
    return frozenset(round(share * steps) for share in CHECKS) - {0, steps}
