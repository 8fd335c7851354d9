"""The heuristics of the projection, an object each, and what watches it: previews and loss curves."""

from __future__ import annotations

import torch

from ..config import ProjectionConfig
from ..projection import Hook
from .boundary_refinement import BoundaryRefinement
from .coarse_to_fine import CoarseToFine, resolution_schedule, scheduled
from .divergence import Divergence
from .early_stopping import EarlyStopping
from .global_code import GlobalCode
from .loss_curves import TOGETHER, LossCurves
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
    "PreviewBuffer",
    "WarmUp",
    "default_hooks",
    "resolution_schedule",
    "scheduled",
]


def default_hooks(config: ProjectionConfig, device: torch.device, *, warm_up_steps: int = 0) -> list[Hook]:
    """The hooks that a config asks for, in the order in which they act. warm_up_steps: 0 = no warm-up."""
    hooks: list[Hook] = []
    if warm_up_steps:
        hooks.append(WarmUp(warm_up_steps))
    if config.refine_every:
        hooks.append(BoundaryRefinement(config))
    if config.coarse:
        hooks.append(CoarseToFine(config))
    hooks += [Divergence(), PreviewBuffer()]
    if config.global_code and config.optimizer == "adam" and not config.judges_together:
        hooks.append(GlobalCode(config.num_steps, device))
    if config.plateau:
        hooks.append(EarlyStopping(config.plateau))
    return [*hooks, LossCurves()]
