"""Weights files of any tool -> Generator, read as data: nothing stored in a file is ever executed.

A file's container is recognized by its content (containers/) and its pickles are rebuilt from an allow-list
(pickles/); among what it holds the generator is found (candidates, detect), brought to NVlabs' tensor names (formats/)
and completed; its dimensions are read off the tensors, and anything that would load as another network is refused.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .generators import load_generator, read_checkpoint, save_generator

__all__ = ["load_generator", "read_checkpoint", "save_generator"]


def __getattr__(name: str) -> Any:
    """Imports torch only once something is used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".generators", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
