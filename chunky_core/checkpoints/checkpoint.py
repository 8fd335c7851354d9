"""What a weights file turns out to be, in terms that all formats share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UnsupportedCheckpointError
from ..generator.architecture import Architecture
from .pickles.rebuild import OddTensor, Record, TensorRef

MAX_NAME = 200
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_SMALL_FLOATS = (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)

Weight = TensorRef | np.ndarray | OddTensor
Weights = dict[str, Weight]


@dataclass(frozen=True)
class Checkpoint:
    """A generator in a file.

    format: the kind of file, for people; architecture: its dimensions; state: the weights under NVlabs'
    names, views into the file that are valid while it is open; ignored: what else is in the file; notes: what
    had to be assumed or computed; metadata: what the file says of itself.
    """

    format: str
    architecture: Architecture
    state: dict[str, Tensor]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    metadata: dict[str, str]


@dataclass
class PartialCheckpoint:
    """A checkpoint before its dimensions are known.

    config_hints: settings that the weights' shapes cannot tell, e.g. conv_clamp.
    """

    format: str
    state: dict[str, Tensor]
    config_hints: dict[str, Any] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_weight(value: object) -> bool:
    """Whether a value read from a file is a tensor or an array."""
    return isinstance(value, Weight)


def weights_of(entries: Mapping[Any, Any]) -> Weights:
    """The tensors and arrays among entries, by name; PaddleGAN also stores an array as (its name, array)."""
    plain = ((str(name), _unnamed(value)) for name, value in entries.items())
    return {name: value for name, value in plain if is_weight(value)}


def _unnamed(value: Any) -> Any:
    named = isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)
    return value[1] if named and isinstance(value[1], np.ndarray) else value


def shape_of(value: object) -> tuple[int, ...]:
    """The shape of a tensor or an array; () for anything else."""
    return tuple(value.size) if isinstance(value, TensorRef) else tuple(getattr(value, "shape", ()))


def fields(value: object) -> Mapping[Any, Any]:
    """The entries of a dict or the attributes of an object read as data; empty for anything else."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Record):
        for part in (value.state, value.items):
            if isinstance(part, Mapping) and part:
                return part
    return {}


def text(value: object) -> str:
    """A short string as it is, anything else by its type: nested data may be too large to print."""
    return value[:40] if isinstance(value, str) else f"<{type(value).__name__}>"


def number(value: object) -> float | None:
    """A positive number of reasonable size, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
        return None
    return float(value)


def as_tensor(name: str, value: Weight) -> Tensor:
    """A view of the file's bytes (a copy only of reversed or foreign-endian arrays and of 8-bit floats).

    Raises UnsupportedCheckpointError where it does not hold floats, or is sparse, quantised or without numbers.
    """
    if isinstance(value, OddTensor):
        raise UnsupportedCheckpointError(
            f"the tensor {name[:MAX_NAME]} is {value.kind}; expected plain floats; {value.advice}"
        )
    if isinstance(value, TensorRef):
        if value.dtype in _SMALL_FLOATS:
            return value.tensor().float()
        if value.dtype not in _FLOATS:
            raise UnsupportedCheckpointError(f"the tensor {name} holds {value.dtype}; expected floats")
        return value.tensor()
    if value.dtype.kind != "f" or value.dtype.itemsize > 8:
        raise UnsupportedCheckpointError(f"the tensor {name} holds {value.dtype}; expected floats")
    native = value.astype(value.dtype.newbyteorder("="), copy=False)
    if min(native.strides, default=0) < 0:
        native = native.copy()
    return torch.from_numpy(np.require(native, requirements=["W"]))


def summary(names: list[str]) -> list[str]:
    """Tensor names grouped by their first part, e.g. "encoder.* (92 tensors)"."""
    counts: dict[str, int] = {}
    for name in names:
        head, dot, _ = name.partition(".")
        counts[head + (".*" if dot else "")] = counts.get(head + (".*" if dot else ""), 0) + 1
    return [f"{name} ({count} tensors)" if name.endswith(".*") else name for name, count in counts.items()]
