"""Now `chunky_core.alignment.face_detection`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
