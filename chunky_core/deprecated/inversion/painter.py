"""Now `chunky_core.inversion.segment_synthesis`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
