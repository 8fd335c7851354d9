"""Segment-wise projection of photos into a StyleGAN (chunky inversion) and local editing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoints.generators import load_generator
    from .generator.generator import Generator

__all__ = ["Generator", "load_generator"]

_HOMES = {"Generator": ".generator.generator", "load_generator": ".checkpoints.generators"}


def __getattr__(name: str) -> Any:
    """Imports the public names on first use, so that importing the package stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
