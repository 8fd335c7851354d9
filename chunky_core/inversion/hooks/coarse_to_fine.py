"""Coarse to fine: the first steps at a quarter, then half of the resolution."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import ProjectionConfig
from ..projection import Hook, Projection

_SMALLEST_LEVEL = 32  # pixels; below it a face has no parts any more
Schedule = Sequence[tuple[int, int]]


def resolution_schedule(coarse: float, steps: int, resolution: int) -> tuple[tuple[int, int], ...]:
    """(first step, resolution) of each level, from coarse to fine. coarse: the fraction of steps below `resolution`."""
    until = round(coarse * steps)
    levels = [(0, resolution // 4), (until // 2, resolution // 2)] if until else []
    kept = [(step, size) for step, size in levels if size >= _SMALLEST_LEVEL]
    if kept:
        kept[0] = (0, kept[0][1])
    return (*kept, (until if kept else 0, resolution))


def scheduled(schedule: Schedule, step: int) -> int:
    """The resolution that a schedule has for a step."""
    return next(size for first, size in reversed(schedule) if first <= step)


class CoarseToFine(Hook):
    """Raises the resolution as scheduled; a run that is continued never falls back to a lower one.

    Its state is the projection's `resolution`.
    """

    def __init__(self, config: ProjectionConfig) -> None:
        self.config = config

    def resolution(self, step: int, full: int) -> int:
        """At which a step is made, in a run that ends at the resolution `full`."""
        return scheduled(resolution_schedule(self.config.coarse, self.config.num_steps, full), step)

    def before_loss(self, run: Projection) -> None:
        size = self.resolution(run.step, run.full.resolution)
        if size > run.resolution:
            run.resolution, run.losses_changed = size, True
