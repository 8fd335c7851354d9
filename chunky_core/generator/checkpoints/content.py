"""Opens any weights file by its content and gives what it holds as plain data. Nothing is executed."""

from __future__ import annotations

import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import MissingWeightsError, UnsupportedCheckpointError
from . import folders, foreign_files
from .foreign_text import LOOKED_AT
from .machine import Budget
from .rebuild import damaged
from .safetensors_files import is_safetensors, read_safetensors
from .torch_files import is_legacy, read_archive, read_bare, read_legacy

UNFINISHED = (".crdownload", ".part", ".partial", ".download", ".aria2", ".tmp")
# What reading damaged contents raises: indices, numbers, text, zip and JSON that are not what they should be.
_FAULTS = (
    ArithmeticError, LookupError, ValueError, TypeError, EOFError, NotImplementedError, RecursionError,
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Content:
    """What is in a weights file.

    container: "pickle", "torch zip", "torch legacy" or "safetensors"; value: dicts, lists, tuples, sets, numbers,
    text, bytes (as views), numpy arrays, TensorRef and Record; metadata: the header's strings (safetensors).
    """

    container: str
    value: Any
    metadata: dict[str, str] = field(default_factory=dict)


@contextmanager
def open_content(path: str | os.PathLike[str]) -> Iterator[Content]:
    """Opens a weights file. Tensors, arrays and bytes are views into it, to be used inside the `with` only.

    Writing to a view does not change the file.
    Raises MissingWeightsError where there is no such file; UnsupportedCheckpointError, naming the file and what it is,
    where it is damaged, of another kind, or names a function that is not on the list of what a StyleGAN file needs.
    """
    file = Path(path)
    if file.is_dir():
        raise MissingWeightsError(folders.described(file))
    if not file.is_file():
        raise MissingWeightsError(f"there is no file {file}; check the path")
    if not file.stat().st_size:
        raise UnsupportedCheckpointError(f"{file.name}: it is empty; get a fresh copy of it")
    with _mapped(file) as data:
        yield _read(file, data)


@contextmanager
def _mapped(file: Path) -> Iterator[memoryview]:
    try:
        with file.open("rb") as handle:
            # torch wants memory that could be written, hence a private copy on write
            pages = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise MissingWeightsError(
            f"{file} cannot be read ({error.strerror}); check its permissions"
        ) from error
    try:
        yield memoryview(pages)
    finally:
        with suppress(BufferError):  # views that are still alive keep it open
            pages.close()


def _read(file: Path, data: memoryview) -> Content:
    try:
        return _content(file, data)
    except UnsupportedCheckpointError as error:
        raise UnsupportedCheckpointError(f"{file.name}: {error}{_unfinished(file)}") from error
    except _FAULTS as error:
        raise UnsupportedCheckpointError(
            f"{file.name}: {damaged(str(error)[:200])}{_unfinished(file)}"
        ) from error


def _unfinished(file: Path) -> str:
    if file.suffix.lower() not in UNFINISHED:
        return ""
    return f"; its name ends in {file.suffix}: the download is not finished"


def _content(file: Path, data: memoryview) -> Content:
    start = bytes(data[:LOOKED_AT])
    budget = Budget()
    if start[:4] == b"PK\x03\x04":
        return Content("torch zip", read_archive(data, budget))
    if is_safetensors(start):
        return Content("safetensors", *read_safetensors(data))
    if start[:1] == b"\x80" and is_legacy(data):
        return Content("torch legacy", read_legacy(data, budget))
    if start[:1] == b"\x80" or _is_text_pickle(start, bytes(data[-1:])):
        return Content("pickle", read_bare(data, budget))
    raise UnsupportedCheckpointError(folders.of_storage(file) or foreign_files.described(data, file.name))


def _is_text_pickle(start: bytes, end: bytes) -> bool:
    """Whether a file may be a pickle of protocol 0 or 1, and no prose."""
    return end == b"." and start[:1] in b"(}])c" and b" " not in start.partition(b"\n")[0]
