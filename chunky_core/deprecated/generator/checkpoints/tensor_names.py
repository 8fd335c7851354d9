"""Now `chunky_core.checkpoints.tensor_names`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
