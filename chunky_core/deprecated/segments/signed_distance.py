"""Now `chunky_core.segments.level_set.signed_distance`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
