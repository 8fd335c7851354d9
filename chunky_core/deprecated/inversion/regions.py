"""Now `chunky_core.inversion.loss_regions`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
