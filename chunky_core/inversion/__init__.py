"""Photo and masks to latent codes: the projection, its losses, and the record it makes."""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from ..losses import LossConfig
from .config import ProjectionConfig
from .fits import SegmentFit, fit_report
from .generated_masks import fit_mask_code
from .given_codes import inversion_from_code
from .inversion_files import load_inversion, save_inversion
from .latent_files import load_latent
from .original_crop import Alignment
from .presets import PRESETS, preset_phases, project_preset
from .projector import project
from .record import Edit, Inversion, ProjectionState, check_generator
from .segment_codes import SegmentCode, SegmentCodes
from .tuning import TuningConfig, tune
from .watching import StopProjection

__all__ = [
    "PRESETS",
    "Alignment",
    "Edit",
    "Inversion",
    "LossConfig",
    "ProjectionConfig",
    "ProjectionState",
    "SegmentCode",
    "SegmentCodes",
    "SegmentFit",
    "StopProjection",
    "TuningConfig",
    "check_generator",
    "fit_mask_code",
    "fit_report",
    "inversion_from_code",
    "load_inversion",
    "load_latent",
    "preset_phases",
    "project",
    "project_preset",
    "save_inversion",
    "tune",
]
__path__.append(old_modules("inversion"))
__getattr__ = old_names(__name__)
