"""Now `chunky_core.inversion.inversion_files`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
