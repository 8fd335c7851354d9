"""What keeps a node from writing its file, known before the work that the file is for."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST_NAME = 200  # bytes of a file's name, with room for a number and the ending


def problem_of_folder(folder: Path) -> str | None:
    """Why no file can be made in a folder, which itself may not be there yet; None if nothing is in the way."""
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        return f"{nearest.name!r} is no folder; choose another one"
    if not os.access(nearest, os.W_OK):
        return (
            f"the folder {nearest.name!r} can't be written to; choose another one or change its permissions"
        )
    return None
