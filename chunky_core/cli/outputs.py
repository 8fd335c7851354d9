"""The folder or file that a command writes to, checked before any work."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from ..errors import InvalidInputError

INVERSION, GLOBAL, TUNED = "inversion.safetensors", "global.safetensors", "tuned.safetensors"
HARMONIZED = "harmonized.safetensors"
COMPOSITE, RECONSTRUCTION, SHEET = "composite.png", "reconstruction.png", "contact_sheet.png"
STRIP, FIGURES = "strengths.png", "figures.json"
NAMES = (INVERSION, GLOBAL, TUNED, HARMONIZED, COMPOSITE, RECONSTRUCTION, SHEET, STRIP, FIGURES)


def check_inputs_stay(folder: Path, inputs: Iterable[Path], more: Iterable[str] = ()) -> None:
    """Raise InvalidInputError where writing to `folder` would overwrite an input, or lie among the masks.

    more: names of files that are written beside those of every job.
    """
    written = {(folder / name).resolve() for name in (*NAMES, *more)} | {folder.resolve()}
    for path in inputs:
        if path.resolve() in written:
            raise InvalidInputError(
                f"{path} is an input, and pictures are to be written there; give another folder as --out"
            )


def prepare_folder(folder: Path, needed: int = 0) -> None:
    """Make the folder where it isn't there.

    needed: bytes that are going to be written. Raises InvalidInputError where it is a file, can't be written to, or
    its disk has no room for them.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise InvalidInputError(f"--out {folder} is a file; give a folder")
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as trial:
            trial.write(b"written")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise InvalidInputError(
            f"--out {folder} can't be written to ({error.strerror}); give another folder"
        ) from error
    if free < needed:
        raise InvalidInputError(
            f"--out {folder} has {free / 1e6:.1f} MB left on its disk, the results may need {needed / 1e6:.1f} MB; "
            "free some space or give another folder"
        )


def check_file(
    path: Path, suffix: str, inputs: Iterable[str | Path | None] = (), option: str = "--out"
) -> None:
    """Raise InvalidInputError for a file that can't be written, has another ending, or is among those that are read."""
    if path.suffix.lower() != suffix:
        raise InvalidInputError(f"{option} is {path.name}; expected a name that ends in {suffix}")
    if not path.parent.is_dir():
        raise InvalidInputError(f"the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder; choose another {option}")
    if any(one is not None and Path(one).resolve() == path.resolve() for one in inputs):
        raise InvalidInputError(f"{option} {path} would overwrite a file that is read; choose another name")
    try:
        with TemporaryFile(dir=path.parent) as trial:
            trial.write(b"written")
    except OSError as error:
        raise InvalidInputError(
            f"{option} {path} can't be written ({error.strerror}); choose another folder"
        ) from error
