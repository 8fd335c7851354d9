"""Now `chunky_core.losses.onnx.shapes`."""

from ...deprecated import old_names

__getattr__ = old_names(__name__)
