"""Now `chunky_core.compositing.color_shift`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
