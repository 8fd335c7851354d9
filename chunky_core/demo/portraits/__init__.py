"""Procedural portraits: standard normal numbers in, pictures with exact labels out."""

from __future__ import annotations

from ...deprecated import old_modules, old_names
from .attributes import ATTRIBUTES, EXTRAS, INDEX, LABEL, LABELS, PALETTE, PARTS, SHARED_ATTRIBUTES
from .painting import draw_portraits

__all__ = [
    "ATTRIBUTES", "EXTRAS", "INDEX", "LABEL", "LABELS", "PALETTE", "PARTS", "SHARED_ATTRIBUTES",
    "draw_portraits",
]  # fmt: skip
__path__.append(old_modules("demo/portraits"))
__getattr__ = old_names(__name__)
