"""Now `chunky_core.compositing.correction_mask`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
