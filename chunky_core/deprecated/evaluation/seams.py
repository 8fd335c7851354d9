"""Now `chunky_core.evaluation.seam_visibility`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
