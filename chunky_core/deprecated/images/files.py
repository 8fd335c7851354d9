"""Now `chunky_core.images.image_files`."""

from ..deprecated import old_names

__getattr__ = old_names(__name__)
