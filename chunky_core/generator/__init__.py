"""StyleGAN generators: networks, exact synthesis of a box, latent spaces, files in every common format."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .files import load_generator, read_checkpoint, save_generator
    from .generator import Generator

__all__ = ["Generator", "load_generator", "read_checkpoint", "save_generator"]

_HOMES = {
    "Generator": ".generator",
    "load_generator": ".files",
    "read_checkpoint": ".files",
    "save_generator": ".files",
}


def __getattr__(name: str) -> Any:
    """Imports torch only once something is used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
