"""Opens any weights file by its content and gives what it holds as plain data. Nothing is executed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import MissingWeightsError, UnsupportedCheckpointError
from ..pickles.stack_machine import Budget
from . import folders, unsupported_files
from .mapped_file import mapped, naming
from .safetensors_files import is_safetensors, read_safetensors
from .torch_files import is_legacy, read_archive, read_bare, read_legacy
from .unsupported_text import LOOKED_AT

UNFINISHED = (".crdownload", ".part", ".partial", ".download", ".aria2", ".tmp")


@dataclass(frozen=True)
class Content:
    """What is in a weights file.

    container: "pickle", "torch zip", "torch legacy" or "safetensors"; value: dicts, lists, tuples, sets, numbers,
    text, bytes (as views), numpy arrays, TensorRef, OddTensor and Record; metadata: the header's strings
    (safetensors).
    """

    container: str
    value: Any
    metadata: dict[str, str] = field(default_factory=dict)


@contextmanager
def open_content(
    path: str | os.PathLike[str], unknown: bool = False, expected: str = unsupported_files.NETWORK
) -> Iterator[Content]:
    """Opens a weights file. Tensors, arrays and bytes are views into it, to be used inside the `with` only.

    Writing to a view does not change the file. unknown: whether objects of unknown classes become inert Records
    rather than that the file is refused; `unknown_in` finds them. expected: what the file should be, for errors.
    Raises MissingWeightsError where there is no such file; UnsupportedCheckpointError, naming the file and what it is,
    where it is damaged, of another kind, or names a function that is not on the list of what a StyleGAN file needs.
    """
    file = Path(path)
    with ExitStack() as stack:
        with _expecting(expected):
            with suppress(OSError):  # a name that is too long is no folder; `mapped` says so
                if file.is_dir():
                    raise MissingWeightsError(folders.described(file))
            data = stack.enter_context(mapped(file))
            with naming(file), _unfinished(file):
                content = _content(file, data, unknown)
        yield content


@contextmanager
def _expecting(expected: str) -> Iterator[None]:
    """Errors say what was expected, where that isn't a generator's network."""
    try:
        yield
    except (MissingWeightsError, UnsupportedCheckpointError) as error:
        if expected == unsupported_files.NETWORK:
            raise
        said = str(error)
        for usual in (unsupported_files.NETWORK, "a file of weights"):
            said = said.replace(usual, expected)
        raise type(error)(said if expected in said else f"{said}; expected {expected}") from error


@contextmanager
def _unfinished(file: Path) -> Iterator[None]:
    """Adds to an error that the file's name is one of an unfinished download."""
    try:
        yield
    except UnsupportedCheckpointError as error:
        if file.suffix.lower() not in UNFINISHED:
            raise
        message = f"{error}; the name ends in {file.suffix}, so the download is not finished"
        raise UnsupportedCheckpointError(message) from error


def _content(file: Path, data: memoryview, unknown: bool) -> Content:
    start = bytes(data[:LOOKED_AT])
    budget = Budget.for_file(len(data))
    if start[:4] == b"PK\x03\x04":
        return Content("torch zip", read_archive(data, budget, unknown))
    if is_safetensors(start):
        return Content("safetensors", *read_safetensors(data))
    if start[:1] == b"\x80" and is_legacy(data):
        return Content("torch legacy", read_legacy(data, budget, unknown))
    if start[:1] == b"\x80" or _is_text_pickle(start, bytes(data[-1:])):
        return Content("pickle", read_bare(data, budget, unknown))
    raise UnsupportedCheckpointError(folders.of_storage(file) or unsupported_files.described(data, file.name))


def _is_text_pickle(start: bytes, end: bytes) -> bool:
    """Whether a file may be a pickle of protocol 0 or 1, and no prose."""
    return end == b"." and start[:1] in b"(}])c" and b" " not in start.partition(b"\n")[0]
