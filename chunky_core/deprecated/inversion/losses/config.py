"""Now `chunky_core.losses.loss_config`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
