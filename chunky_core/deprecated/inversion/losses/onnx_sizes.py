"""Now `chunky_core.losses.onnx.sizes`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
