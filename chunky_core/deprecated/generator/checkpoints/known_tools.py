"""Now `chunky_core.checkpoints.formats.known_tools`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
