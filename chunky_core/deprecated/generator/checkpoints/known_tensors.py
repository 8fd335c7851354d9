"""Now `chunky_core.checkpoints.pickles.known_tensors`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
