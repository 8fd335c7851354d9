"""Now `chunky_core.losses.identity`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
