"""Now `chunky_core.compositing.segment_seams`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
