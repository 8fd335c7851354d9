"""Now `chunky_core.checkpoints.stored_w_avg`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
