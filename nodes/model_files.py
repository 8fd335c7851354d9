"""The files that nodes list: all that can be opened in the host's model folders. What can't be is named in the log,
once, and takes no node away.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

import folder_paths

from ..chunky_core.errors import MissingWeightsError

_named: set[tuple[str, str]] = set()  # (path, reason) of what the log has


def files_in(folder: str, endings: Collection[str]) -> list[str]:
    """Every file with one of `endings` below the registered folders, relative to them, sorted.

    folder: the name that the host knows the folders by. Not the host's own list: that follows the extensions of
    whichever pack registered a folder first, offers links to what is gone, and never ends where a folder holds itself.
    """
    found = {
        str(path.relative_to(root))
        for root in map(Path, folder_paths.get_folder_paths(folder))
        for path in files_below(root)
        if path.name.lower().endswith(tuple(endings)) and _can_be_listed(path)
    }
    return sorted(found)


def files_below(root: Path) -> Iterator[Path]:
    """All files below a folder. Links to folders are followed, each folder is entered once."""
    entered: set[str] = set()
    for place, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in entered else [name for name in folders if name != ".git"]
        if real not in entered:
            yield from (Path(place) / name for name in files)
        entered.add(real)


def file_in(folder: str, name: str) -> Path:
    """The file behind an entry of such a list. Raises MissingWeightsError."""
    found = folder_paths.get_full_path(folder, name)
    if found is None:
        places = " or ".join(folder_paths.get_folder_paths(folder))
        raise MissingWeightsError(
            f"there is no file {name!r} in {places}; put it there, press R and choose it"
        )
    return Path(found)


def stamp(path: str | os.PathLike[str]) -> str:
    """A text that is another one once the file has changed, or is gone."""
    try:
        status = Path(path).stat()
    except OSError:
        return "absent"
    return f"{status.st_mtime_ns} {status.st_size}"


def left_out(path: Path, reason: object) -> None:
    """Name a file that a list doesn't offer in the log, once for each reason."""
    if (str(path), str(reason)) not in _named:
        _named.add((str(path), str(reason)))
        logging.warning("ChunkyGAN leaves %s out of its lists: %s", path, reason)


def _can_be_listed(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        left_out(Path(repr(str(path))), "its name is no text; rename it")
        return False
    if not path.is_file():
        left_out(path, "it is a link to a file that isn't there, or no file; remove it")
        return False
    return True
