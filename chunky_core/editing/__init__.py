"""Codes to codes: directions, and the edits that move segments along them."""

from __future__ import annotations

from .directions import load_directions
from .edits import edit, edited_code, parse_edit
from .own_directions import save_directions

__all__ = ["edit", "edited_code", "load_directions", "parse_edit", "save_directions"]
