"""Now `chunky_core.segments.tiles`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
