"""Moved: see `chunky_core.deprecated`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
