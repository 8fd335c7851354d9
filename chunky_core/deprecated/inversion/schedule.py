"""Now `chunky_core.inversion.optimizers`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
