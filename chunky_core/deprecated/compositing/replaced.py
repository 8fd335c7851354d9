"""Now `chunky_core.compositing.replacement`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
