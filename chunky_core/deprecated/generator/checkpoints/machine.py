"""Now `chunky_core.checkpoints.pickles.stack_machine`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
