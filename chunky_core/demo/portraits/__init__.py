"""Procedural portraits: standard normal numbers in, pictures with exact labels out."""

from __future__ import annotations

from .attributes import ATTRIBUTES, EXTRAS, INDEX, LABEL, LABELS, PALETTE, PARTS, SHARED_ATTRIBUTES
from .painting import render

__all__ = [
    "ATTRIBUTES", "EXTRAS", "INDEX", "LABEL", "LABELS", "PALETTE", "PARTS", "SHARED_ATTRIBUTES",
    "render",
]  # fmt: skip
