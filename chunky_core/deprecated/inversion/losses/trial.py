"""Now `chunky_core.losses.trial_run`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
