"""Now `chunky_core.segments.segment_masks`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
