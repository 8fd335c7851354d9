"""Now `chunky_core.checkpoints.completion`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
