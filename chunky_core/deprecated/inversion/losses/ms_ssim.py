"""Now `chunky_core.losses.ms_ssim`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
