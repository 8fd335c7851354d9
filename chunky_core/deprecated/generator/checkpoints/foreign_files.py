"""Now `chunky_core.checkpoints.containers.foreign_files`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
