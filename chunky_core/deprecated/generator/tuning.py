"""Now `chunky_core.generator.weight_deltas`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
