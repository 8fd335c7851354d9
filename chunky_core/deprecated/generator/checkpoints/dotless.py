"""Now `chunky_core.checkpoints.lit_ema`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
