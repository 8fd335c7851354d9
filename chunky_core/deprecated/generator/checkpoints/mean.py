"""Now `chunky_core.checkpoints.stored_means`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
