"""How codes move: by Adam with the schedule of Karras et al. 2020, or by L-BFGS with line searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .config import ProjectionConfig
from .latents import LatentOptimizer
from .objectives import LossAndGrads, Objective
from .projection_loss import ProjectionLoss
from .schedule import learning_rate_factor


class CodeStep(Protocol):
    """Moves the codes of a stage by what was found out about them.

    is_judged_at_end: whether its last step is worth judging; Adam's last ones are too small to matter.
    """

    is_judged_at_end: bool

    def __call__(self, latents: LatentOptimizer, found: LossAndGrads, progress: float) -> None: ...


@dataclass(frozen=True, eq=False)
class AdamStep:
    """One step of Adam for all of them, and for the noise maps."""

    config: ProjectionConfig
    which: Sequence[int]
    scales: Sequence[float]
    is_judged_at_end = False

    def __call__(self, latents: LatentOptimizer, found: LossAndGrads, progress: float) -> None:
        # Adam remembers the shared code's gradients for a thousand steps: beside them those of a small
        # segment, unscaled, would hardly count.
        scaled = [scale * grad for scale, grad in zip(self.scales, found.grads, strict=True)]
        rate = self.config.learning_rate * learning_rate_factor(progress)
        latents.adam_step(dict(zip(self.which, scaled, strict=True)), found.noise_grads, rate)


class LbfgsStep:
    """One line search for each group of codes that are judged together: all in joint mode, else each by itself.

    objectives: groups of codes, and what each is judged by. The history of the searches isn't saved: a run that is
    continued builds it up anew.
    """

    is_judged_at_end = True

    def __init__(
        self,
        loss: ProjectionLoss,
        latents: LatentOptimizer,
        which: Sequence[int],
        objectives: Sequence[tuple[Sequence[int], Objective]],
    ) -> None:
        self.loss, self.which, self.objectives = loss, which, objectives
        self.searches = [Lbfgs([latents.codes[i] for i in group]) for group, _ in objectives]

    def __call__(self, latents: LatentOptimizer, found: LossAndGrads, progress: float) -> None:
        by_code = dict(zip(self.which, zip(found.losses, found.grads, strict=True), strict=True))
        for search, (group, objective) in zip(self.searches, self.objectives, strict=True):

            def judge(
                group: Sequence[int] = group, objective: Objective = objective
            ) -> tuple[Tensor, list[Tensor]]:
                again = self.loss(objective, latents, group, progress)
                return again.losses[0], again.grads

            search.step((by_code[group[0]][0], [by_code[i][1] for i in group]), judge)


class Lbfgs:
    """L-BFGS with a strong Wolfe line search (torch.optim.LBFGS) over some tensors, one iteration at a time."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = tensors
        self._optimizer = torch.optim.LBFGS(tensors, max_iter=1, max_eval=12, line_search_fn="strong_wolfe")

    def step(
        self, known: tuple[Tensor, Sequence[Tensor]], judge: Callable[[], tuple[Tensor, Sequence[Tensor]]]
    ) -> None:
        """judge() -> the loss and its gradient by each of the tensors, as they stand; known: what it would say
        now.
        """
        results = [known]

        def closure() -> Tensor:
            loss, grads = results.pop() if results else judge()
            for tensor, grad in zip(self._tensors, grads, strict=True):
                tensor.grad = grad
            return loss

        self._optimizer.step(closure)
