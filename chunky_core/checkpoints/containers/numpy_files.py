"""NumPy's .npy and .npz files as arrays of numbers. Nothing is unpickled or evaluated, sizes come before memory."""

from __future__ import annotations

import math
import os
import re
import struct
from pathlib import Path

import numpy as np

from ...errors import UnsupportedCheckpointError
from ..pickles.rebuild import damaged, dimensions
from .archive import Archive
from .mapped_file import mapped, naming

MAGIC = b"\x93NUMPY"
MAX_HEADER = 1 << 16
MAX_DIGITS = 18
_LENGTHS = {1: ("<H", "latin-1"), 2: ("<I", "latin-1"), 3: ("<I", "utf-8")}  # by the format's version
_PAIR = r"""\s*['"](\w{1,20})['"]\s*:\s*(True|False|['"][^'"]{0,20}['"]|\([\d\sL,]{0,400}\))\s*"""
_HEADER = re.compile(rf"\s*\{{{_PAIR},{_PAIR},{_PAIR}(?:,\s*)?\}}\s*")
_RECORDS = re.compile(r"['\"]descr['\"]: [\[(]")
_NUMBERS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16)")

Source = str | os.PathLike[str] | memoryview


def read_npy(source: Source) -> np.ndarray:
    """The array in a .npy file, or in the bytes of one, in the machine's byte order. It is a copy.

    Booleans, integers, floats and complex numbers of up to 16 dimensions, in C's or Fortran's order.
    Raises MissingWeightsError where there is no such file, UnsupportedCheckpointError for damage, for more
    numbers than the bytes hold, and for objects, text and records, which the format stores as pickles or fields.
    """
    if isinstance(source, memoryview):
        return _array(source)
    with mapped(source) as data, naming(Path(source)):
        return _array(data)


def read_npz(source: Source) -> dict[str, np.ndarray]:
    """The arrays in a .npz archive by their names; see `read_npy` for what they may be and for the errors."""
    if isinstance(source, memoryview):
        return _arrays(source)
    with mapped(source) as data, naming(Path(source)):
        return _arrays(data)


def is_npy(data: memoryview) -> bool:
    """Whether bytes start as a .npy file does."""
    return bytes(data[: len(MAGIC)]) == MAGIC


def is_npz(archive: Archive) -> bool:
    """Whether a zip archive has what numpy.savez puts into it, and nothing else."""
    return bool(archive.members) and all(name.endswith(".npy") for name in archive.members)


def _arrays(data: memoryview) -> dict[str, np.ndarray]:
    if bytes(data[:2]) != b"PK":
        raise UnsupportedCheckpointError("it is no .npz archive; expected what numpy.savez writes")
    archive = Archive(data)
    if not is_npz(archive):
        names = ", ".join(name[:40] for name in list(archive.members)[:5])
        raise UnsupportedCheckpointError(
            f"its archive holds {names or 'nothing'}; expected arrays (.npy), as numpy.savez writes"
        )
    return {name.removesuffix(".npy"): _member(archive, name) for name in archive.members}


def _member(archive: Archive, name: str) -> np.ndarray:
    try:
        return _array(archive.checked(name))
    except UnsupportedCheckpointError as error:
        raise UnsupportedCheckpointError(f"in {name[:80]!r}: {error}") from error


def _array(data: memoryview) -> np.ndarray:
    header, body = _split(data)
    dtype, fortran, shape = _described(header)
    needed = math.prod(shape) * dtype.itemsize
    if needed > len(body):
        raise damaged(f"its array of shape {shape} needs {needed} bytes, {len(body)} are there")
    native = dtype.newbyteorder("=")
    if not needed:
        return np.empty(shape, native)
    flat = np.frombuffer(body, dtype, math.prod(shape))
    return flat.reshape(shape, order="F" if fortran else "C").astype(native, order="C")


def _split(data: memoryview) -> tuple[str, memoryview]:
    """The header's text and the numbers' bytes."""
    if not is_npy(data):
        raise UnsupportedCheckpointError("it is no .npy file; expected what numpy.save writes")
    version = data[6] if len(data) > 7 else 0
    if version not in _LENGTHS:
        raise UnsupportedCheckpointError(
            f"it is a .npy file of version {version}; expected 1 to {max(_LENGTHS)}"
        )
    form, encoding = _LENGTHS[version]
    start = 8 + struct.calcsize(form)
    (length,) = struct.unpack(form, data[8:start])
    if length > MAX_HEADER:
        raise damaged(f"its header has {length} bytes; expected at most {MAX_HEADER}")
    if start + length > len(data):
        raise damaged("it ends in the middle of its header")
    return str(data[start : start + length], encoding), data[start + length :]


def _described(header: str) -> tuple[np.dtype, bool, tuple[int, ...]]:
    """dtype, Fortran's order, shape."""
    if _RECORDS.search(header):
        raise _unusual("records")
    match = _HEADER.fullmatch(header)
    entries = dict(zip(match.groups()[::2], match.groups()[1::2], strict=True)) if match else {}
    if set(entries) != {"descr", "fortran_order", "shape"}:
        raise damaged("its header is not that of an array")
    if entries["fortran_order"] not in ("True", "False") or not entries["shape"].startswith("("):
        raise damaged("its header is not that of an array")
    return _dtype(entries["descr"]), entries["fortran_order"] == "True", _shape(entries["shape"])


def _dtype(spelled: str) -> np.dtype:
    found = spelled.strip("'\"")
    if not _NUMBERS.fullmatch(found):
        known = {"O": "objects", "U": "text", "S": "text"}
        raise _unusual(known.get(found.lstrip("<>=|")[:1], repr(found[:20])))
    return np.dtype(found)


def _unusual(kind: str) -> UnsupportedCheckpointError:
    return UnsupportedCheckpointError(
        f"its array holds {kind}; expected plain numbers: save it anew as an array of float32"
    )


def _shape(spelled: str) -> tuple[int, ...]:
    sizes = re.findall(r"\d+", spelled)
    if any(len(size) > MAX_DIGITS for size in sizes):
        raise damaged("its header has a size that no array has")
    return dimensions(tuple(int(size) for size in sizes))
