"""Now `chunky_core.losses.feature_network`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
