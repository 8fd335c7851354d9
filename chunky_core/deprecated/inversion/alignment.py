"""Now `chunky_core.inversion.original_crop`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
