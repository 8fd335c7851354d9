"""Codes to codes: directions, and the edits that move segments along them."""

from __future__ import annotations

from .directions import load_directions
from .edits import edited_code, parse_edit

__all__ = ["edited_code", "load_directions", "parse_edit"]
