"""Arrays in files of any tool as tensors of real numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..checkpoints.pickles.rebuild import TensorRef
from ..errors import UnsupportedCheckpointError

MAX_NUMBERS = 1 << 24  # of all directions in a file
Array: TypeAlias = TensorRef | np.ndarray


def is_array(value: Any) -> bool:
    """Whether a value read from a file is a tensor or an array."""
    return isinstance(value, TensorRef | np.ndarray)


def shape_of(value: Array) -> tuple[int, ...]:
    """An array's size."""
    return tuple(value.size) if isinstance(value, TensorRef) else value.shape


def as_numbers(name: str, value: Array) -> Tensor:
    """A copy in float32. Raises UnsupportedCheckpointError where it holds something else than real numbers."""
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


def check_count(values: Iterable[Any]) -> None:
    """Raise UnsupportedCheckpointError, before memory is taken, for more numbers than directions have."""
    count = sum(math.prod(shape_of(value)) for value in values if is_array(value))
    if count > MAX_NUMBERS:
        raise UnsupportedCheckpointError(
            f"it holds more than {MAX_NUMBERS} numbers; expected a direction as one array, or several by their names"
        )
