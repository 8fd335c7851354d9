"""Now `chunky_core.checkpoints.supported`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
