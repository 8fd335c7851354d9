"""Now `chunky_core.alignment.face_points`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
