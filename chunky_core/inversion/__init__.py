"""Photo and masks to latent codes: the projection, its losses, and the record it makes."""

from __future__ import annotations

from .alignment import Alignment
from .config import ProjectionConfig
from .files import load_inversion, save_inversion
from .inversion import Edit, Inversion, Segment, check_generator
from .losses import LossConfig
from .projection import StopProjection, project
from .state import ProjectionState

__all__ = [
    "Alignment",
    "Edit",
    "Inversion",
    "LossConfig",
    "ProjectionConfig",
    "ProjectionState",
    "Segment",
    "StopProjection",
    "check_generator",
    "load_inversion",
    "project",
    "save_inversion",
]
