"""Directions found in a generator itself, or in pictures: SeFa, GANSpace, two groups of pictures, scores."""

from __future__ import annotations

from .ganspace import feature_directions, ganspace_directions
from .labeled_codes import direction_from_groups, direction_from_scores, space_of_direction
from .methods import METHODS, Method, find_components
from .picture_codes import codes_of_inversions, codes_of_pictures
from .scored_samples import ScoredSamples, scored_samples
from .sefa import sefa_directions

__all__ = [
    "METHODS",
    "Method",
    "ScoredSamples",
    "codes_of_inversions",
    "codes_of_pictures",
    "direction_from_groups",
    "direction_from_scores",
    "feature_directions",
    "find_components",
    "ganspace_directions",
    "scored_samples",
    "sefa_directions",
    "space_of_direction",
]
