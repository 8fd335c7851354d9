"""The warm-up's code goes on for the whole photo, beside the segments' own codes, as a second opinion.

A segment by itself can run into a corner that the whole image would have kept it out of: an eye that looks the
wrong way, a mouth half open. Where the global code fits a segment better than its own, the segment adopts it, so
no segment ends worse than with one code for everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...boxes import crop
from ...generator.spaces import SPACES, LatentCode, convert
from ..latents import GLOBAL_CODE, LatentOptimizer, pack, unpack
from ..loss_regions import PyramidLevel, segment_regions
from ..objectives import IndependentObjective, LossAndGrads, shared_objective
from ..optimizers import AdamStep
from ..projection import Hook, Projection
from .divergence import Divergence

CHECKS = (0.6, 0.8)  # fractions of the run at which segments compare; and once more at its end


class GlobalCode(Hook):
    """Takes the shared code over when it is split, and makes a step of Adam with it beside each of the others'.

    Its state: the code with its optimizer, and its own limit of divergence.
    """

    def __init__(self, steps: int) -> None:
        self.latents: LatentOptimizer | None = None
        self.divergence = Divergence()
        self.checks = frozenset(round(share * steps) for share in CHECKS) - {0, steps}
        self._objective: IndependentObjective | None = None
        self._level: PyramidLevel | None = None  # what the objective looks at

    def before_loss(self, run: Projection) -> None:
        if run.shared_latents is not None:
            if len(run.names) > 1:  # beside a lone segment's own code it would see the same
                self.latents = run.shared_latents
            run.shared_latents = None

    def at_stage(self, run: Projection) -> None:
        if self.latents is None:
            return
        if run.stage.losses_are_new:
            self.latents.forget_losses(run.step)
        self.divergence.at_stage(run)
        if self._level is not run.stage.level:
            self._level = run.stage.level
            self._objective = shared_objective(run.generator, self._level, run.config, run.networks)

    def before_step(self, run: Projection, found: LossAndGrads) -> None:
        """A step at the same place of the schedule as the segments'. A bad one is not made."""
        if self.latents is None or self._objective is None:
            return
        own = run.loss(self._objective, self.latents, [0], run.progress)
        if self.divergence.first_bad([0], own.values, own.grads) is None:
            self.latents.remember([0], own.values, run.step)
            AdamStep(run.config, [0], [1.0])(self.latents, own, run.progress)

    def after_step(self, run: Projection) -> None:
        if run.step in self.checks:
            self._compare(run, run.stage.which)

    def at_end(self, run: Projection) -> None:
        if run.is_finished and not run.is_shared and run.resolution == run.full.resolution:
            self._compare(run, range(len(run.names)))

    def store(self, numbers: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        if self.latents is not None:
            own, held = pack(self.latents)
            self.divergence.store(own, held)
            numbers["companion"] = own
            tensors |= {f"{GLOBAL_CODE}{name}": tensor for name, tensor in held.items()}

    def restore(self, run: Projection, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.latents = self._level = self._objective = None
        if "companion" in numbers:
            own = numbers["companion"]
            held = {
                name.removeprefix(GLOBAL_CODE): tensor
                for name, tensor in tensors.items()
                if name.startswith(GLOBAL_CODE)
            }
            device, betas = run.generator.device, run.config.adam_betas
            self.latents = unpack(own, held, device, joint=False, betas=betas)
            self.divergence.restore(run, own, held)

    @torch.no_grad()
    def _compare(self, run: Projection, which: Sequence[int]) -> None:
        """Let those of the segments `which` that the code fits better than their best one adopt it.

        Regularizers count, too. Segments in an earlier space than the global code's keep their own, and so do those
        in s whose toRGB styles shall not move.
        """
        if self.latents is None or self._objective is None:
            return
        latents, objective = run.latents, _independent(run, which)
        code, best = self.latents.best()[0], latents.best()
        (image,) = self._objective.synthesizer.synthesize_all([code], latents.noise_maps)
        crops = objective.synthesizer.synthesize_all([best[index] for index in which], latents.noise_maps)
        owed = run.loss.regularizers(best)
        for index, region, own in zip(which, objective.regions, crops, strict=True):
            moved = _carried(run, code, run.spaces[index])
            if moved is None:
                continue
            others = [*best[:index], moved, *best[index + 1 :]]
            mine = region.loss(own) + owed[index]
            box = region.box.within(self._objective.boxes[0])
            theirs = region.loss(crop(image, box)) + run.loss.regularizers(others)[index]
            if theirs < mine:
                donor = self.latents if moved.space == code.space else None
                latents.adopt(index, moved.tensor, theirs.item(), run.step, donor)


def _independent(run: Projection, which: Sequence[int]) -> IndependentObjective:
    """What the segments `which` are judged by, each by itself: the stage's objective where it is just that."""
    if isinstance(run.stage.objective, IndependentObjective) and run.stage.which == list(which):
        return run.stage.objective
    level = run.stage.level
    regions = segment_regions(run.generator, level, run.config, run.networks, which)
    return IndependentObjective(run.generator, regions, level.resolution)


def _carried(run: Projection, code: LatentCode, space: str) -> LatentCode | None:
    """A code in another space, if it may go there."""
    upward = SPACES.index(space) < SPACES.index(code.space)
    moves_colors = space == "s" != code.space and not run.config.torgb
    if upward or moves_colors:
        return None
    return LatentCode(space, convert(run.generator, code, space).tensor.float())
