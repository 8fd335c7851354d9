"""Now `chunky_core.checkpoints.pickles.restricted_pickle`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
