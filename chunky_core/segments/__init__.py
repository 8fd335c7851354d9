"""Photo -> soft masks: segments that add up to one with a static rest, and the blend of their pictures."""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from .blend import blend
from .masks import mask_box
from .segment_masks import Segments, segments_from_label_map, segments_from_masks, single

__all__ = ["Segments", "blend", "mask_box", "segments_from_label_map", "segments_from_masks", "single"]
__path__.append(old_modules("segments"))
__getattr__ = old_names(__name__)
