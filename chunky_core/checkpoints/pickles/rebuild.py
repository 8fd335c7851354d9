"""The inert data that objects in a file become: tensors, arrays, records, with every size checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ...errors import UnsupportedCheckpointError
from ..formats.tool_signatures import WEIGHTS_ALONE, refusal_of_global

MAX_DIMENSIONS = 16
MAX_REPEATED = 1 << 22  # elements of a tensor that shows the same numbers again and again
MAX_KEY_BYTES = 1024
MAX_KEY_NUMBER = 1 << 60


@dataclass(eq=False)
class Record:
    """An object read as data. name: its class or function, dotted; args: what it was made with; state: its
    attributes or None; items: what was put into it, if it is a container; unknown: whether its class is not on the
    list.
    """

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] | list[Any] | None = None
    unknown: bool = False


@dataclass(eq=False)
class Storage:
    """The bytes of one or more tensors. data is None until the part of the file that has them is reached."""

    dtype: torch.dtype
    numel: int
    data: memoryview | bytes | None = None


@dataclass(frozen=True, eq=False)
class TensorRef:
    """A tensor in a file: `size` elements at `offset` (in elements) of a storage. Made by `tensor_ref`."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @property
    def numel(self) -> int:
        return math.prod(self.size)

    def tensor(self) -> torch.Tensor:
        """A view of the file's bytes, [*size]; neither contiguous nor aligned in memory for certain."""
        if not self.numel:
            return torch.empty(self.size, dtype=self.dtype)
        assert self.storage.data is not None
        last = sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        start = self.offset * self.dtype.itemsize
        flat = torch.frombuffer(self.storage.data, dtype=self.dtype, count=last + 1, offset=start)
        return flat.as_strided(self.size, self.stride)


@dataclass(frozen=True, eq=False)
class OddTensor:
    """A tensor that is stored in another way than as plain numbers. kind: which, e.g. "a sparse tensor"; advice: how
    to save it plainly.
    """

    kind: str
    advice: str


@dataclass(eq=False)
class NumpyType:
    """A numpy dtype, whose byte order comes after its name."""

    value: np.dtype[Any]


@dataclass(eq=False)
class EmptyArray:
    """A numpy array before its contents are known; `places` are the memo keys that must see the array then."""

    places: list[str] = field(default_factory=list)


Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Known:
    """A global on the allow-list. call: what calling it gives; new: what making an empty instance gives; keyed:
    whether its arguments become keys of a dict or elements of a set.
    """

    name: str
    call: Function | None = None
    new: Function | None = None
    dtype: torch.dtype | None = None
    keyed: bool = False


@dataclass(frozen=True, eq=False)
class Unknown(Known):
    """A global that is not on the allow-list: calling it is refused, an instance of it becomes an inert Record."""


def unknown_class(name: str) -> Unknown:
    """What stands for a global of this dotted name; nothing is looked up."""
    return Unknown(name, new=lambda *args: Record(name, args, unknown=True))


def unknown_in(root: object) -> str | None:
    """The name of the first global off the list, or class of an object, that a value reaches; None where all are known.

    root: what `read_pickle` gives, which has no cycles.
    """
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Unknown) or isinstance(value, Record) and value.unknown:
            return value.name
        if isinstance(value, Record):
            waiting += [value.items, value.state, value.args]
        elif isinstance(value, dict | list | tuple):
            waiting += reversed(list(value.values() if isinstance(value, dict) else value))
    return None


def damaged(found: str) -> UnsupportedCheckpointError:
    """The error for contents that no tool writes."""
    return UnsupportedCheckpointError(f"{found}; it is damaged or hostile, get a fresh copy of it")


def cut_off() -> UnsupportedCheckpointError:
    """The error for a file that ends too early."""
    return UnsupportedCheckpointError(
        "it ends in the middle of its contents, as an unfinished download or a damaged file; download it again"
    )


def unneeded(found: str) -> UnsupportedCheckpointError:
    """The error for contents that some tool may write, but none of StyleGAN's."""
    return UnsupportedCheckpointError(
        f"{found}, which no StyleGAN file needs, so it isn't opened; {WEIGHTS_ALONE}"
    )


def refused(name: str) -> UnsupportedCheckpointError:
    """The error for a global that is not on the allow-list."""
    return UnsupportedCheckpointError(refusal_of_global(name))


def as_key(value: object) -> Any:
    """A value as a dict's key or a set's element; raises for what hashes or compares slowly."""
    if isinstance(value, memoryview) and value.nbytes <= MAX_KEY_BYTES:
        return bytes(value)
    if isinstance(value, int) and abs(value) >= MAX_KEY_NUMBER:
        raise damaged("it has a number as a key that is too large")
    if isinstance(value, str | bytes | memoryview) and len(value) > MAX_KEY_BYTES:
        raise damaged(f"it has a text of {len(value)} characters as a key; expected at most {MAX_KEY_BYTES}")
    if value is None or isinstance(value, str | int | float | bytes | torch.dtype):
        return value
    raise unneeded(f"it has a {type(value).__name__} as a key")


def dimensions(value: object) -> tuple[int, ...]:
    """A tensor's shape or strides, checked."""
    if not isinstance(value, tuple | list) or len(value) > MAX_DIMENSIONS:
        raise damaged(f"it has a tensor whose shape is no list of up to {MAX_DIMENSIONS} numbers")
    return tuple(_count(entry) for entry in value)


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise damaged("it has a size that is not a number of elements")
    return value


def tensor_ref(
    storage: object, offset: object, size: object, stride: object, dtype: torch.dtype | None = None
) -> TensorRef:
    """A tensor within its storage, whose numbers it may read as another dtype.

    An expanded tensor, which shows stored numbers several times, may have up to MAX_REPEATED elements.
    Raises UnsupportedCheckpointError where it would reach outside or have more elements than that.
    """
    if not isinstance(storage, Storage):
        raise damaged("it has a tensor without a storage")
    shape, strides, start = dimensions(size), dimensions(stride), _count(offset)
    if len(shape) != len(strides):
        raise damaged(f"it has a tensor of {len(shape)} dimensions with {len(strides)} strides")
    kind = storage.dtype if dtype is None else dtype
    available = storage.numel * storage.dtype.itemsize // kind.itemsize
    numel = math.prod(shape)
    last = start + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if numel and (last >= available or numel > max(available, MAX_REPEATED)):
        raise damaged(f"it has a tensor of shape {shape} that does not fit its {available} stored numbers")
    return TensorRef(storage, start, shape, strides, kind)


def array(data: object, dtype: object, shape: object, fortran: object = False) -> np.ndarray:
    """A view of bytes as a numpy array, whose size must be exactly that of the bytes."""
    content = data.encode("latin-1") if isinstance(data, str) else data
    if not isinstance(dtype, NumpyType) or not isinstance(content, memoryview | bytes):
        raise unneeded("it has an array of objects or without contents")
    sizes = dimensions(shape)
    if math.prod(sizes) * dtype.value.itemsize != len(content):
        raise damaged(f"it has an array of shape {sizes} and {dtype.value} in {len(content)} bytes")
    if not len(content):
        return np.empty(sizes, dtype.value)
    return np.frombuffer(content, dtype.value).reshape(sizes, order="F" if fortran else "C")


def sequence(values: object) -> Iterable[Any]:
    """A container's entries, checked to be one."""
    if not isinstance(values, list | tuple | set | frozenset):
        raise damaged("it makes a container from something else")
    return values


def instance(kind: object, args: tuple[Any, ...]) -> Any:
    """An empty object of a class on the list; raises where it is no such class."""
    if not isinstance(kind, Known):
        raise damaged("it makes an object of something that is not a class")
    if kind.new is None:
        raise refused(kind.name)
    return kind.new(*args)


def call(function: object, args: tuple[Any, ...]) -> Any:
    """The result of a function on the list; raises where it is no such function."""
    if not isinstance(function, Known):
        raise damaged("it calls something that is not a function")
    if function.call is None:
        raise refused(function.name)
    return function.call(*args)


def build(value: object, state: object) -> Any:
    """What an object becomes with its state, usually itself."""
    if isinstance(value, EmptyArray):
        _, shape, dtype, fortran, data = sequence(state)  # the first is a version
        return array(data, dtype, shape, fortran)
    if isinstance(value, NumpyType):
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "|"
        if order not in ("<", ">", "=", "|"):
            raise damaged("it has an array of unknown byte order")
        value.value = np.dtype(f"{order}{value.value.str[1:]}")
    elif isinstance(value, Record):
        value.state = state
    elif not isinstance(
        value, dict | TensorRef | OddTensor
    ):  # a dict's attributes, e.g. torch's _metadata, say nothing
        raise damaged(f"it gives a state to a {type(value).__name__}")
    return value
