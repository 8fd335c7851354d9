"""The heuristics of the projection, an object each, and what watches it: previews and loss curves."""

from __future__ import annotations

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
    "resolution_schedule",
    "scheduled",
]
