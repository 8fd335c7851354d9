"""Now `chunky_core.losses.resize`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
