"""StyleGAN generators: the networks, exact synthesis of a box, latent spaces and their statistics."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..deprecated import old_modules, old_names

if TYPE_CHECKING:
    from .generator import Generator

__all__ = ["Generator"]
__path__.append(old_modules("generator"))
_old_names = old_names(__name__)


def __getattr__(name: str) -> Any:
    """Imports torch only once something is used."""
    if name == "Generator":
        return import_module(".generator", __name__).Generator
    return _old_names(name)
