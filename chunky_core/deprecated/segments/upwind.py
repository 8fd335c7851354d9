"""Now `chunky_core.segments.level_set.upwind`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
