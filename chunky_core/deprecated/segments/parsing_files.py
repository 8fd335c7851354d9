"""Now `chunky_core.segments.parsing.settings`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
