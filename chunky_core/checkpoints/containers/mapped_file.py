"""A file's bytes as a view, and the errors of reading them as the package's own."""

from __future__ import annotations

import errno
import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import MissingWeightsError, UnsupportedCheckpointError
from ..pickles.rebuild import damaged

# What reading damaged contents raises: indices, numbers, text, zip and JSON that are not what they should be.
FAULTS = (
    ArithmeticError, LookupError, ValueError, TypeError, EOFError, NotImplementedError, RecursionError,
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextmanager
def mapped(path: str | os.PathLike[str]) -> Iterator[memoryview]:
    """A file's bytes, to be used inside the `with` only. Writing to the view does not change the file.

    Raises MissingWeightsError where there is no such file or it can't be read, UnsupportedCheckpointError where
    it is empty.
    """
    file = Path(path)
    pages = _pages(file)
    try:
        yield memoryview(pages)
    finally:
        with suppress(BufferError):  # views that are still alive keep it open
            pages.close()


def _pages(file: Path) -> mmap.mmap:
    try:
        if not file.is_file():
            raise MissingWeightsError(absent(file))
        if not file.stat().st_size:
            raise UnsupportedCheckpointError(f"{file.name}: it is empty; get a fresh copy of it")
        with file.open("rb") as handle:
            # torch wants memory that could be written, hence a private copy on write
            return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        remedy = (
            "it is too large to be opened here" if error.errno == errno.ENOMEM else "check its permissions"
        )
        raise MissingWeightsError(f"{file} cannot be read ({error.strerror}); {remedy}") from error


def absent(file: Path) -> str:
    """What a path is that leads to no file."""
    if file.is_dir():
        return f"{file} is a folder, no file; choose a file inside"
    if file.exists():
        return f"{file} is no regular file but a device, pipe or socket; choose a file on a disk"
    if file.is_symlink():
        return f"{file} is a link to {file.readlink()}, where there is no file; check where it leads"
    return f"there is no file {file}; check the path"


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """What reading damaged contents raises becomes one UnsupportedCheckpointError, which names the file."""
    try:
        yield
    except UnsupportedCheckpointError as error:
        raise UnsupportedCheckpointError(f"{file.name}: {one_line(error)}") from error
    except FAULTS as error:
        raise UnsupportedCheckpointError(f"{file.name}: {damaged(one_line(error)[:200])}") from error


def one_line(error: Exception) -> str:
    """An error's text, in which a file's own words may break lines."""
    return " ".join(str(error).split())
