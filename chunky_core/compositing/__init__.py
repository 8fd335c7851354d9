"""Renderings to one image: segments blended into the photo, seams removed, boundaries refined, regions filled."""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from .composite import COMPOSITE_MODES, CompositeMode, composite
from .correction_mask import CorrectionPart
from .detail import KEEP_DETAIL, KeepDetail, with_detail
from .fill import fill_region
from .followed_masks import FollowedMasks, MaskFollower, with_followed_masks
from .generated_labels import mask_follower
from .harmonize import harmonize
from .label_transfer import transferred_labels
from .modes import CLONE_MODES, CloneMode, seamless_clone
from .poisson import poisson_blend
from .refine_boundaries import refine_boundaries
from .render import render
from .renderings import Renderings
from .replacement import REPLACE, Replace, edited_segments
from .series import composite_series

__all__ = [
    "COMPOSITE_MODES",
    "KEEP_DETAIL",
    "CLONE_MODES",
    "REPLACE",
    "CompositeMode",
    "CorrectionPart",
    "FollowedMasks",
    "KeepDetail",
    "MaskFollower",
    "CloneMode",
    "Renderings",
    "Replace",
    "composite",
    "composite_series",
    "edited_segments",
    "fill_region",
    "harmonize",
    "mask_follower",
    "poisson_blend",
    "refine_boundaries",
    "render",
    "seamless_clone",
    "transferred_labels",
    "with_detail",
    "with_followed_masks",
]
__path__.append(old_modules("compositing"))
__getattr__ = old_names(__name__)
