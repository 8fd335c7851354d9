"""Photo and masks to latent codes: the projection, its losses, and the record it makes."""

from __future__ import annotations

from .config import ProjectionConfig
from .files import load_inversion, save_inversion
from .inversion import Edit, Inversion, Segment, check_generator
from .projection import project

__all__ = [
    "Edit",
    "Inversion",
    "ProjectionConfig",
    "Segment",
    "check_generator",
    "load_inversion",
    "project",
    "save_inversion",
]
