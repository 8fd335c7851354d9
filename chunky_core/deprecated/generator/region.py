"""Now `chunky_core.generator.region_plan`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
