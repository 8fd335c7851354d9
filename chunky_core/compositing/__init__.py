"""Pixels -> picture: segments blended into the photo, seams removed."""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from .composite import COMPOSITE_MODES, CompositeMode, composite
from .detail import KEEP_DETAIL, KeepDetail, with_detail
from .modes import CLONE_MODES, CloneMode, seamless_clone
from .poisson import poisson_blend
from .render import render
from .replacement import REPLACE, Replace, edited_segments

__all__ = [
    "COMPOSITE_MODES",
    "KEEP_DETAIL",
    "CLONE_MODES",
    "REPLACE",
    "CompositeMode",
    "KeepDetail",
    "CloneMode",
    "Replace",
    "composite",
    "edited_segments",
    "poisson_blend",
    "render",
    "seamless_clone",
    "with_detail",
]
__path__.append(old_modules("compositing"))
__getattr__ = old_names(__name__)
