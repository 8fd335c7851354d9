"""Now `chunky_core.losses.region_loss`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
