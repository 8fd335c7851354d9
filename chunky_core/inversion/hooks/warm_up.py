"""Warm-up and split: one code for the whole photo first, from which each segment's own code sets out.

A lone eye, started at the mean face, sees too little to find out where and how the head is turned. So even a single
segment with static surroundings begins with them.
"""

from __future__ import annotations

from ..initialization import nearest_in_spaces
from ..projection import Hook, Projection

_MOSTLY_STATIC = 0.5  # mean of the static mask
_SHARE = 0.4  # of the warm-up, where the code spends it on what is mostly static


class WarmUp(Hook):
    """Starts with one code, and splits it into one per segment after `steps` steps. It has no state of its own.

    Where most of the photo is static, and the warm-up looks at all of it, two fifths of the steps are enough: the
    segments need the others more.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def before_loss(self, run: Projection) -> None:
        if run.is_shared and run.step >= self._end(run):
            (code,) = run.latents.latent_codes()
            codes = nearest_in_spaces(run.generator, code, run.spaces, run.config.seed)
            run.shared_latents, run.latents = run.latents, run.latents.split(codes)
            run.losses_changed, run.is_shared = True, False

    def _end(self, run: Projection) -> int:
        static = run.full.masks.static.mean().item()
        if run.config.warmup_photo and static > _MOSTLY_STATIC and self.steps < run.config.num_steps:
            return round(_SHARE * self.steps)
        return self.steps
