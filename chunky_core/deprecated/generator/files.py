"""Now `chunky_core.checkpoints.generators`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
