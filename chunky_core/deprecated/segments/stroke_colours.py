"""Now `chunky_core.segments.painting.palette`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
