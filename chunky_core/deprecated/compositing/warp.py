"""Now `chunky_core.alignment.perspective`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
