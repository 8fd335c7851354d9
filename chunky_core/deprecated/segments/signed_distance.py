"""Now `chunky_core.segments.level_set.narrow_band`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
