"""Now `chunky_core.checkpoints.formats.native`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
