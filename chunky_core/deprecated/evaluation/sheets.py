"""Now `chunky_core.visualization.sheets`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
