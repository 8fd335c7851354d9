"""Pixels -> picture: segments blended into the photo, seams removed."""

from __future__ import annotations

from .composite import composite
from .poisson import poisson_composite
from .render import render

__all__ = ["composite", "poisson_composite", "render"]
