"""Photo and masks to latent codes: the projection, its losses, and the record it makes."""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from ..losses import LossConfig
from .config import ProjectionConfig
from .inversion_files import load_inversion, save_inversion
from .original_crop import Alignment
from .projector import StopProjection, project
from .record import Edit, Inversion, ProjectionState, SegmentCode, check_generator

__all__ = [
    "Alignment",
    "Edit",
    "Inversion",
    "LossConfig",
    "ProjectionConfig",
    "ProjectionState",
    "SegmentCode",
    "StopProjection",
    "check_generator",
    "load_inversion",
    "project",
    "save_inversion",
]
__path__.append(old_modules("inversion"))
__getattr__ = old_names(__name__)
