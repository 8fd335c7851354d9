"""Now `chunky_core.checkpoints.containers.archive`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
