"""Now `chunky_core.segments.painting.color_unmixing`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
