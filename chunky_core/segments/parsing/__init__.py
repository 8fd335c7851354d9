"""Face parsing: label maps from a SegFormer of the package transformers, read from a folder on the disk."""

from __future__ import annotations

from ...deprecated import old_names
from .network import CONFIG, PREPROCESSOR, WEIGHTS, FaceParser, load_parser

__all__ = ["CONFIG", "PREPROCESSOR", "WEIGHTS", "FaceParser", "load_parser"]
__getattr__ = old_names(__name__)
