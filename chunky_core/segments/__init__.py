"""Photo -> soft masks: segments that add up to one with a static rest, and the blend of their pictures."""

from __future__ import annotations

from .blend import blend
from .masks import mask_box
from .segments import Segments, segments_from_label_map, segments_from_masks, single

__all__ = ["Segments", "blend", "mask_box", "segments_from_label_map", "segments_from_masks", "single"]
