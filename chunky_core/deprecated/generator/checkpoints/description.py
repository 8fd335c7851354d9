"""Now `chunky_core.checkpoints.contents_summary`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
