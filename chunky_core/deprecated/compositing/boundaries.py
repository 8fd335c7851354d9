"""Now `chunky_core.compositing.refine_boundaries`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
