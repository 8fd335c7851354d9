"""Now `chunky_core.checkpoints.containers.mapped_file`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
