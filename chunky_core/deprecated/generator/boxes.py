"""Now `chunky_core.boxes`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
