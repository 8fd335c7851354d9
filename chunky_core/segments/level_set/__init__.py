"""Boundaries that move to where photo and rendering disagree (P1 = Futschik et al. 2021, section 2.3)."""

from __future__ import annotations

from ...deprecated import old_names
from .evolution import boundary_speed, evolve, feature_speed, refine_segments

__all__ = ["boundary_speed", "evolve", "feature_speed", "refine_segments"]
__getattr__ = old_names(__name__)
