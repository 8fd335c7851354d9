"""Now `chunky_core.visualization.curves`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
