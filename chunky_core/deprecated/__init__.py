"""Names and places of version 0.1 that have changed since, importable for one release with a DeprecationWarning.

The folders in here hold a file for every module that has moved, under its old name. A room puts the folder of its own
name at the end of its `__path__` (`old_modules`), so that `import chunky_core.generator.files` still finds a module;
what is asked of it, or of a module some of whose names have changed, is looked up in the tables (`old_names`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from .names import MOVED, RENAMED

ROOT = __name__.rpartition(".")[0]  # the package may lie in a folder of any name
OLD_CALLS = "deprecated.old_calls"


def old_modules(room: str) -> str:
    """The folder with the old modules of a room, for its `__path__`."""
    return str(Path(__file__).parent / room)


def old_names(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module, by its `__name__`, for what it doesn't define itself."""
    place = module.removeprefix(f"{ROOT}.")

    def lookup(name: str) -> Any:
        if f"{place}.{name}" in MOVED:
            return import_module(f"{ROOT}.{place}.{name}")
        target = None if name.startswith("__") else new_place(place, name)
        if target is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, new = target
        try:
            found = getattr(import_module(f"{ROOT}.{home}"), new)
        except AttributeError:
            raise AttributeError(f"module {module!r} has no attribute {name!r}") from None
        now = found.__doc__ if home == OLD_CALLS else f"chunky_core.{home}.{new}"
        message = f"chunky_core.{place}.{name} is now {now}; the old name goes with version 0.3"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return found

    return lookup


def new_place(module: str, name: str) -> tuple[str, str] | None:
    """Module and name that stand for `name` of an old `module`, both without the package's name; None for none."""
    renamed = RENAMED.get(module, {}).get(name) or RENAMED.get(MOVED.get(module, ""), {}).get(name)
    if renamed is None:
        return (MOVED[module], name) if module in MOVED else None
    home, _, new = renamed.rpartition(":")
    return home or MOVED.get(module, module), new
