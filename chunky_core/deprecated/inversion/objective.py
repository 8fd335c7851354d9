"""Now `chunky_core.inversion.objectives`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
