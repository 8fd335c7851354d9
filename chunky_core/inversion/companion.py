"""The warm-up's shared code, which goes on beside the segments' own codes as a second opinion.

A segment by itself can run into a corner that the whole picture would have kept it out of: an eye that looks the
wrong way, a mouth half open. Where the shared code fits a segment better than its own, the segment takes it over, so
no segment ends worse than with one code for everything.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..boxes import crop
from ..generator.spaces import SPACES, LatentCode, convert
from .fit import Fit
from .judge import Judge
from .objective import IndependentObjective
from .regions import View

CHECKS = (0.6, 0.8)  # fractions of the run at which segments compare; and once more at its end


class Companion:
    """One code for everything, fitted step by step beside the others."""

    def __init__(self, fit: Fit, judge: Judge) -> None:
        self.fit, self._judge = fit, judge
        self.objective: IndependentObjective | None = None
        self.view: View | None = None  # what the objective looks at

    def step(self, step: int, progress: float, learning_rate: float) -> None:
        """One step of Adam, at the same place of the schedule as the segments. A bad one is not made."""
        assert self.objective is not None
        verdict = self._judge(self.objective, self.fit, [0], progress)
        losses = [verdict.losses[0].item()]
        if self.fit.diverging([0], losses, verdict.gradients) is None:
            self.fit.remember([0], losses, step)
            self.fit.adam_step({0: verdict.gradients[0]}, (), learning_rate)

    @torch.no_grad()
    def lend(
        self,
        fit: Fit,
        which: Sequence[int],
        objective: IndependentObjective,
        noise: Sequence[Tensor],
        step: int,
    ) -> None:
        """Give the code to those of the segments `which` that it fits better than their best one does, pulls
        included.

        objective: what these segments are judged by. Segments in an earlier space than the shared code's keep
        their own, and so do those in s whose toRGB styles shall not move.
        """
        assert self.objective is not None
        shared, box = self.fit.best_codes()[0], self.objective.boxes[0]
        picture = self.objective.draw([shared], noise)[0]
        best = fit.best_codes()
        drawn = objective.draw([best[index] for index in which], noise)
        for index, region, own in zip(which, objective.regions, drawn, strict=True):
            lent = self._carried(shared, fit.spaces[index])
            if lent is None:
                continue
            others = [*best[:index], lent, *best[index + 1 :]]
            mine = region.loss(own) + self._judge.pulls(best)[index]
            theirs = region.loss(crop(picture, region.box.within(box))) + self._judge.pulls(others)[index]
            if theirs < mine:
                giver = self.fit if lent.space == shared.space else None
                fit.take_over(index, lent.tensor, theirs.item(), step, giver)

    def _carried(self, shared: LatentCode, space: str) -> LatentCode | None:
        """The shared code in another space, if it may go there."""
        upward = SPACES.index(space) < SPACES.index(shared.space)
        moves_colours = space == "s" != shared.space and not self._judge.config.torgb
        if upward or moves_colours:
            return None
        return LatentCode(space, convert(self._judge.generator, shared, space).tensor.float())


def checks_of(steps: int) -> frozenset[int]:
    """The steps after which segments compare, the last one left out."""
    return frozenset(round(share * steps) for share in CHECKS) - {0, steps}
