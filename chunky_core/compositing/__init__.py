"""Pixels -> picture: segments blended into the photo, seams removed."""

from __future__ import annotations

from .composite import composite
from .modes import MODES, Mode, set_in
from .poisson import poisson_composite
from .render import render

__all__ = ["MODES", "Mode", "composite", "poisson_composite", "render", "set_in"]
