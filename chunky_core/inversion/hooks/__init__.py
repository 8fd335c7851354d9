"""The heuristics of the projection, an object each, and what watches it: previews and loss curves."""

from __future__ import annotations

from ..config import ProjectionConfig
from ..projection import Hook
from .boundary_refinement import BoundaryRefinement
from .coarse_to_fine import CoarseToFine, resolution_schedule, scheduled
from .divergence import Divergence
from .early_stopping import EarlyStopping
from .global_code import GlobalCode
from .loss_curves import TOGETHER, LossCurves
from .moving_masks import MovingMasks
from .preview import PreviewBuffer
from .warm_up import WarmUp

__all__ = [
    "TOGETHER",
    "BoundaryRefinement",
    "CoarseToFine",
    "Divergence",
    "EarlyStopping",
    "GlobalCode",
    "LossCurves",
    "MovingMasks",
    "PreviewBuffer",
    "WarmUp",
    "default_hooks",
    "resolution_schedule",
    "scheduled",
]


def default_hooks(config: ProjectionConfig) -> list[Hook]:
    """The hooks that a config asks for, in the order in which they act."""
    hooks: list[Hook] = []
    if config.warmup:
        hooks.append(WarmUp(round(config.warmup * config.num_steps)))
    if config.refine_every:
        hooks.append(BoundaryRefinement(config))
    if config.coarse:
        hooks.append(CoarseToFine(config))
    hooks += [Divergence(), PreviewBuffer()]
    if config.global_code and config.optimizer == "adam" and not config.judges_together:
        hooks.append(GlobalCode(config.num_steps))
    if config.plateau:
        hooks.append(EarlyStopping(config.plateau))
    return [*hooks, LossCurves()]
