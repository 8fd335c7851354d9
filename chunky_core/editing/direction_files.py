"""The named vectors in a file of directions, of whatever tool: NumPy's files, .safetensors, torch's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checkpoints.containers.archive import Archive
from ..checkpoints.containers.content import open_content
from ..checkpoints.containers.mapped_file import mapped, naming
from ..checkpoints.containers.numpy_files import is_npy, is_npz, read_npy, read_npz
from ..checkpoints.pickles.rebuild import TensorRef
from ..errors import UnsupportedCheckpointError

SUFFIXES = (".safetensors", ".npy", ".npz", ".pt", ".pth", ".pkl")
OWN_PREFIX = "directions/"
MAX_NUMBERS = 1 << 24  # of all directions in a file
_KINDS = "expected a direction as one array, or several by their names"


def named_vectors(path: Path) -> dict[str, Tensor]:
    """Float32 tensors by name. The container is told by the file's contents, an array without a name goes by the
    file's.

    Raises MissingWeightsError where there is no such file, UnsupportedCheckpointError, naming the file, where it
    is damaged or holds anything else than arrays of real numbers.
    """
    container = _numpy_container(path)
    if container:
        arrays: Any = read_npy(path) if container == "npy" else read_npz(path)
        with naming(path):
            return _alike(_converted(arrays, path.stem))
    with open_content(path) as content, naming(path):
        own = _own(content.value)
        return _converted(own, path.stem) if own else _alike(_converted(content.value, path.stem))


def _numpy_container(path: Path) -> str:
    with mapped(path) as data, naming(path):
        if is_npy(data):
            return "npy"
        return "npz" if bytes(data[:2]) == b"PK" and is_npz(Archive(data)) else ""


def _own(value: Any) -> dict[str, Any]:
    """This project's directions, which have a prefix; other tensors may lie beside them."""
    names = [name for name in value if str(name).startswith(OWN_PREFIX)] if isinstance(value, Mapping) else []
    return {name.removeprefix(OWN_PREFIX): value[name] for name in names}


def _alike(vectors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Vectors that nothing calls directions, which would otherwise be any network's biases."""
    widths = {vector.shape[-1] if vector.ndim else 1: name for name, vector in vectors.items()}
    if len(widths) > 1:
        found = ", ".join(f"{name[:40]!r} has {width}" for width, name in list(widths.items())[:3])
        raise UnsupportedCheckpointError(f"its arrays are of different widths ({found}); {_KINDS}")
    return vectors


def _converted(value: Any, stem: str) -> dict[str, Tensor]:
    entries = dict(_entries(value, stem))
    if (
        sum(entry.numel if isinstance(entry, TensorRef) else entry.size for entry in entries.values())
        > MAX_NUMBERS
    ):
        raise UnsupportedCheckpointError(f"it holds more than {MAX_NUMBERS} numbers; {_KINDS}")
    return {name: _numbers(name, entry) for name, entry in entries.items()}


def _entries(value: Any, stem: str) -> Iterator[tuple[str, TensorRef | np.ndarray]]:
    if isinstance(value, TensorRef | np.ndarray):
        yield stem, value
        return
    if not isinstance(value, Mapping) or not value:
        raise UnsupportedCheckpointError(f"it holds {_named(value)}; {_KINDS}")
    unnamed = list(value) == ["arr_0"]  # numpy.savez's name for an array without one
    for name, entry in value.items():
        if not isinstance(name, str) or not isinstance(entry, TensorRef | np.ndarray):
            raise UnsupportedCheckpointError(f"its entry {str(name)[:40]!r} is {_named(entry)}; {_KINDS}")
        yield (stem if unnamed else name), entry


def _named(value: Any) -> str:
    if isinstance(value, Mapping) and not value:
        return "no entries"
    return "entries of their own" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def _numbers(name: str, value: TensorRef | np.ndarray) -> Tensor:
    """A copy in float32."""
    tensor: Tensor | None = None
    if isinstance(value, TensorRef):
        tensor = value.tensor()
    elif value.dtype.kind in "iuf" and value.dtype.itemsize <= 8:
        tensor = torch.from_numpy(value.astype(value.dtype.newbyteorder("="), order="C"))
    if tensor is None or tensor.is_complex() or tensor.dtype == torch.bool:
        raise UnsupportedCheckpointError(
            f"its array {name[:80]!r} holds {value.dtype}; expected real numbers"
        )
    return tensor.to(torch.float32, copy=True)
