"""Pixels -> picture: segments blended into the photo, seams removed."""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from .composite import COMPOSITE_MODES, CompositeMode, composite
from .detail import KEEP_DETAIL, KeepDetail, with_detail
from .modes import MODES, Mode, set_in
from .poisson import poisson_composite
from .render import render
from .replaced import REPLACE, Replace, edited_segments

__all__ = [
    "COMPOSITE_MODES",
    "KEEP_DETAIL",
    "MODES",
    "REPLACE",
    "CompositeMode",
    "KeepDetail",
    "Mode",
    "Replace",
    "composite",
    "edited_segments",
    "poisson_composite",
    "render",
    "set_in",
    "with_detail",
]
__path__.append(old_modules("compositing"))
__getattr__ = old_names(__name__)
