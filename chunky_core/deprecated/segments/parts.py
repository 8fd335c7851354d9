"""Now `chunky_core.segments.connected_components`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
