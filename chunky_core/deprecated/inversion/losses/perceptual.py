"""Now `chunky_core.losses.perceptual`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
