"""Now `chunky_core.checkpoints.pickles.literals`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
