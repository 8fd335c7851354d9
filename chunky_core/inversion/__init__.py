"""Photo and masks to latent codes: the projection, its losses, and the record it makes."""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from ..losses import LossConfig
from .config import ProjectionConfig
from .files import load_inversion, save_inversion
from .inversion import Edit, Inversion, Segment, check_generator
from .original_crop import Alignment
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
__path__.append(old_modules("inversion"))
__getattr__ = old_names(__name__)
