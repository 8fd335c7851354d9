"""Now `chunky_core.inversion.hooks.boundary_refinement`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
