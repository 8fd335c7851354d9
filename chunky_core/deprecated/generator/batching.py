"""Now `chunky_core.generator.batches`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
