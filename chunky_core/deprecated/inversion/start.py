"""Now `chunky_core.inversion.initialization`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
