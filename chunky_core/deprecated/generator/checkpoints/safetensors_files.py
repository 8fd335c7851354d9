"""Now `chunky_core.checkpoints.containers.safetensors_files`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
