"""Codes to codes: directions, and the edits that move segments along them."""

from __future__ import annotations

from .directions import load_directions
from .edit_list import change_edits, describe_edits
from .edits import edit, edited_code, parse_edit
from .own_directions import save_directions
from .strengths import parse_strengths, strength_series

__all__ = [
    "change_edits",
    "describe_edits",
    "edit",
    "edited_code",
    "load_directions",
    "parse_edit",
    "parse_strengths",
    "save_directions",
    "strength_series",
]
