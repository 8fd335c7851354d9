"""Now `chunky_core.segments.parsing.sizes`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
