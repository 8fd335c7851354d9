"""Pixels -> picture: segments blended into the photo, seams removed."""

from __future__ import annotations

from .poisson import poisson_composite

__all__ = ["poisson_composite"]
