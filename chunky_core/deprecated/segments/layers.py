"""Now `chunky_core.segments.relayer`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
