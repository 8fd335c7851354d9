"""A second device for machines that have none: tensors that compute on the CPU, but say that they are elsewhere.

What a GPU refuses is refused: arithmetic between a tensor there and one on the CPU (numbers [] of the CPU are taken),
`.numpy()`, and, where asked for as on Apple's GPUs ("mps"), float64. What it can't show is a GPU's rounding and speed.

torch's "lazy" device lends its name: it is known to torch, runs its backward pass in the calling thread, and has no
kernels of its own in ordinary builds, so that nothing gets past `simulated_device`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from chunky_core import devices

DEVICE = torch.device("lazy", 0)
_MOVES = {"aten::copy_", "aten::_to_copy"}
_INDEXED = {
    "aten::index",
    "aten::index_put_",
    "aten::index_put",
    "aten::_index_put_impl_",
    "aten::_unsafe_index",
}
_LISTS = {"aten::cat", "aten::stack"}  # which take no numbers from the CPU


class DeviceTensor(Tensor):
    """A tensor on the simulated device; `values` has its numbers on the CPU."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> DeviceTensor:
        tensor = Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=DEVICE,
        )
        tensor.values = values
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, float64=True)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.tolist:
            return args[0].cpu().tolist()
        if func in (Tensor.data_ptr, Tensor.untyped_storage, Tensor.__format__):
            return func(args[0].values.detach(), *args[1:])
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[1], list):
            args = (
                args[0],
                torch.tensor(args[1], device="cpu"),
                *args[2:],
            )  # no kernel sees how torch makes it
        if func is Tensor.numpy:
            raise TypeError(f"can't convert {DEVICE} device type tensor to numpy; use Tensor.cpu() first")
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


class _Kernels(TorchDispatchMode):
    """Everything that reaches torch's kernels."""

    def __init__(self, float64: bool) -> None:
        super().__init__()
        self.float64 = float64

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, self.float64)


class _Constructors(TorchFunctionMode):
    """What makes tensors of Python's numbers, which no kernel sees."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.new_tensor and isinstance(args[0], DeviceTensor):
            kwargs = {"dtype": args[0].dtype, "device": DEVICE, **kwargs}
            func, args = torch.tensor, args[1:]
        device = kwargs.get("device")
        if func in (torch.tensor, torch.as_tensor) and device and torch.device(device).type == DEVICE.type:
            return func(*args, **{**kwargs, "device": torch.device("cpu")}).to(DEVICE)
        return func(*args, **kwargs)


@contextmanager
def _without_float64() -> Iterator[None]:
    """The library is told that the simulated device knows no float64, as it is of "mps"."""
    with mock.patch.object(devices, "WITHOUT_FLOAT64", {*devices.WITHOUT_FLOAT64, DEVICE.type}):
        yield


@contextmanager
def simulated_device(float64: bool = True) -> Iterator[torch.device]:
    """While it is entered, the device "lazy" works. float64: whether it knows this dtype."""
    module = mock.patch.object(
        torch, DEVICE.type, SimpleNamespace(), create=True
    )  # as torch.cuda; for checkpoints
    with module, _Kernels(float64), _Constructors(), nullcontext() if float64 else _without_float64():
        yield DEVICE


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], float64: bool) -> Any:
    """What `func` gives, on the device where a GPU's tensors would have it."""
    tensors = [one for one in _pytree.tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    there = any(isinstance(one, DeviceTensor) for one in tensors)
    wanted = kwargs.get("device")
    if wanted is not None and wanted.type == DEVICE.type:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    elif not there:
        return func(*args, **kwargs)
    if there:
        _check(func._schema.name, tensors, args)
    if isinstance(kwargs.get("generator"), torch.Generator):
        raise RuntimeError(f"expected a generator on {DEVICE}, found one on the CPU")
    own_args, own_kwargs = _pytree.tree_map_only(DeviceTensor, lambda one: one.values, (args, kwargs))
    result = func(*own_args, **own_kwargs)
    changed = _changed(func, args, kwargs)
    if changed is not None:
        return changed
    if wanted is not None and wanted.type != DEVICE.type:
        return result
    return _pytree.tree_map_only(Tensor, lambda values: _placed(values, float64), result)


def _placed(values: Tensor, float64: bool) -> Tensor:
    if values.dtype == torch.float64 and not float64:
        raise TypeError("the simulated device has no float64")
    return values if isinstance(values, DeviceTensor) else DeviceTensor(values)


def _check(name: str, tensors: Iterable[Tensor], args: tuple[Any, ...]) -> None:
    """Raises RuntimeError where a GPU would, for tensors of which one at least is there."""
    if name in _MOVES:
        return
    if name in _INDEXED:
        _check_index(name, args)
        return
    for one in tensors:
        if not isinstance(one, DeviceTensor) and (one.ndim or name in _LISTS):
            raise RuntimeError(
                f"{name}: expected all tensors to be on the same device, found {DEVICE} and {one.device}"
            )


def _check_index(name: str, args: tuple[Any, ...]) -> None:
    """An index may come from the CPU, but a tensor of the CPU takes none from there; what is put lies where it goes."""
    own, indices, *values = args
    there = isinstance(own, DeviceTensor)
    if not there and any(isinstance(one, DeviceTensor) for one in indices):
        raise RuntimeError(
            f"{name}: expected indices on the CPU, where the indexed tensor is, found {DEVICE}"
        )
    for one in values:
        if isinstance(one, Tensor) and one.ndim and isinstance(one, DeviceTensor) != there:
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, found {one.device}")


def _changed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The arguments that `func` writes into and returns, as they were given; None where there are none."""
    schema = func._schema
    if not schema.returns or not all(one.alias_info and one.alias_info.is_write for one in schema.returns):
        return None
    names = {}
    for place, argument in enumerate(schema.arguments):
        if argument.alias_info and argument.alias_info.is_write:
            value = kwargs[argument.name] if argument.name in kwargs else args[place]
            names[frozenset(argument.alias_info.after_set)] = value
    found = [names[frozenset(one.alias_info.after_set)] for one in schema.returns]
    return found[0] if len(found) == 1 else tuple(found)
