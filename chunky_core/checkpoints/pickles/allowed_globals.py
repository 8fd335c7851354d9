"""The list of globals that pickled StyleGAN files may name, and what each gives.

No name is ever imported or looked up: each stands for a function of this module. A class that needs to be
recognised but not understood becomes a `Record` of its name, arguments and state.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import torch

from .allowed_tensors import entries as tensor_entries
from .rebuild import (
    EmptyArray,
    Function,
    Known,
    NumpyType,
    Record,
    array,
    as_key,
    build,
    call,
    damaged,
    dimensions,
    instance,
    sequence,
    unneeded,
)

MAX_SCALAR_BYTES = 256


def _dtype(spelling: Any, *_: Any) -> NumpyType:
    if not isinstance(spelling, str) or not re.fullmatch(
        r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,3}", spelling
    ):
        raise unneeded("it has an array of objects or of an unusual type")
    return NumpyType(np.dtype(spelling))


def _array_of_buffer(
    data: Any, dtype: Any, shape: Any, order: Any = "C", axis_order: Any = None, *_: Any
) -> np.ndarray:
    """As numpy's function of that name: `axis_order` counts in the order "K" only, where `shape` is that before."""
    if order != "K":
        if order not in ("C", "F", "A"):
            raise damaged("it has an array of unknown order")
        return array(data, dtype, shape, order == "F")
    axes, found = dimensions(axis_order), array(data, dtype, shape)
    if sorted(axes) != list(range(found.ndim)):
        raise damaged(f"it has an array of {found.ndim} dimensions whose axes are put in the order {axes}")
    return found.transpose(axes)


def _scalar(dtype: Any, data: Any) -> Any:
    if isinstance(dtype, NumpyType) and dtype.value.itemsize > MAX_SCALAR_BYTES:
        raise damaged(f"it has one number or word of {dtype.value.itemsize} bytes")
    return array(data, dtype, ()).item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise damaged("it has bytes in an unusual encoding")
    return text.encode("latin-1")


def _same_bytes(data: Any = b"", *encoding: Any) -> Any:
    if isinstance(data, memoryview | bytes):
        return data
    return _encode(data, *encoding)


def _set(values: Any = ()) -> set[Any]:
    return {as_key(value) for value in sequence(values)}


def _frozenset(values: Any = ()) -> frozenset[Any]:
    return frozenset(_set(values))


def _dict(entries: Any = (), *_: Any) -> dict[Any, Any]:
    if isinstance(entries, dict):
        return dict(entries)
    result = {}
    for entry in sequence(entries):
        name, value = sequence(entry)
        result[as_key(name)] = value
    return result


def _default_dict(_factory: Any = None, *entries: Any) -> dict[Any, Any]:
    return _dict(*entries)


def _complex(real: Any, imaginary: Any = 0.0) -> complex:
    if not isinstance(real, int | float) or not isinstance(imaginary, int | float):
        raise damaged("it makes a number from something else")
    return complex(real, imaginary)


def _size(values: Any = ()) -> tuple[int, ...]:
    return dimensions(values)


def _tuple(values: Any = ()) -> tuple[Any, ...]:
    return tuple(sequence(values))


def _dill_array(function: Any, args: Any, state: Any, *_: Any) -> Any:
    """A numpy array as the dill library stores it, with what makes it empty and what fills it."""
    if not isinstance(function, Known) or function.call is not _empty_array:
        raise damaged("it makes an array in an unusual way")
    if not isinstance(state, tuple) or any(isinstance(part, str) for part in state):  # text would be copied
        raise damaged("it fills an array in an unusual way")
    return build(call(function, tuple(sequence(args))), state)


def _empty_array(kind: Any, *_: Any) -> EmptyArray:
    if not isinstance(kind, Known) or kind.name != "numpy.ndarray":
        raise damaged("it makes an array of an unusual class")
    return EmptyArray()


def _reconstructed(kind: Any, _base: Any = None, contents: Any = None) -> Any:
    return instance(kind, () if contents is None else (contents,))


# What may be called. Where a class is also used by NEWOBJ, it is in _CLASSES too.
_FUNCTIONS: dict[str, Function] = {
    "torch Size": _size,
    "collections OrderedDict": _dict,
    "collections defaultdict": _default_dict,
    "collections Counter": _dict,
    "dnnlib.util EasyDict": _dict,
    "dnnlib EasyDict": _dict,
    "easydict EasyDict": _dict,
    "_codecs encode": _encode,
    "numpy dtype": _dtype,
    "dill._dill _create_array": _dill_array,
}
_BUILTINS: dict[str, Function | None] = {
    "set": _set, "frozenset": _frozenset, "complex": _complex, "bytearray": _same_bytes, "bytes": _same_bytes,
    "object": None, "list": None, "dict": None, "tuple": _tuple, "int": None, "float": None, "bool": None, "str": None,
}  # fmt: skip
_ARRAYS: dict[str, Function] = {"_reconstruct": _empty_array, "scalar": _scalar}
_KEYED = (_set, _frozenset, _dict, _default_dict)
_CLASSES = {name for name in _FUNCTIONS if name.endswith("Dict")}
_RECORDS = (
    "torch.nn.parameter Parameter",
    "torch.nn.parameter Buffer",
    "torch_utils.persistence _reconstruct_persistent_obj",
    "dnnlib.tflib.network Network",
    "torch.distributed.algorithms.join _JoinConfig",
    "torch.optim.swa_utils AveragedModel",
    "torch device",
    "argparse Namespace",
    "builtins slice",
    "builtins range",
    "__builtin__ slice",
    "__builtin__ xrange",
)
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath")
_NAMED = (
    "Generator|Discriminator|PixelNorm|EqualLinear|EqualConv2d|Upsample|Downsample|Blur|ScaledLeakyReLU|"
    "ModulatedConv2d|NoiseInjection|ConstantInput|StyledConv|ToRGB|ConvLayer|ResBlock|FusedLeakyReLU"
)
# Classes whose instances become records: torch's own layers, rosinality's and their copies in encoder projects.
_LAYER = re.compile(
    r"torch\.nn\.(modules\.[a-z]+|parallel\.(distributed|data_parallel)) _?[A-Z][A-Za-z0-9]*"
    rf"|(models\.)?(stylegan2\.)?(model|op\.fused_act) ({_NAMED})"
)


def find(module: str, name: str) -> Known | torch.dtype | None:
    """What a global stands for; None where it is not on the list."""
    spelled = f"{module} {name}"
    if spelled in _TABLE:
        return _TABLE[spelled]
    return _recorded(spelled) if _LAYER.fullmatch(spelled) else None


def _recorded(spelled: str) -> Known:
    dotted = spelled.replace(" ", ".")
    make = partial(_record, dotted)
    return Known(dotted, call=make, new=make)


def _record(dotted: str, *args: Any) -> Record:
    return Record(dotted, args)


def _known(spelled: str, function: Function | None) -> Known:
    new = function if spelled in _CLASSES else None
    return Known(spelled.replace(" ", "."), call=function, new=new, keyed=function in _KEYED)


def _table() -> dict[str, Known | torch.dtype]:
    table: dict[str, Known | torch.dtype] = {name: _known(name, made) for name, made in _FUNCTIONS.items()}
    table |= {name: _recorded(name) for name in _RECORDS}
    for module in ("pathlib", "pathlib._local"):
        table |= {f"{module} {name}": _recorded(f"{module} {name}") for name in _PATHS}
    for module in ("builtins", "__builtin__"):
        table |= {f"{module} {name}": _known(f"builtins {name}", made) for name, made in _BUILTINS.items()}
    for module in ("copyreg", "copy_reg"):
        table[f"{module} _reconstructor"] = Known("copyreg._reconstructor", call=_reconstructed, keyed=True)
    table |= _numpy_entries() | tensor_entries()
    return table


def _numpy_entries() -> dict[str, Known | torch.dtype]:
    table: dict[str, Known | torch.dtype] = {"numpy ndarray": Known("numpy.ndarray")}
    for core in ("numpy", "numpy.core", "numpy._core"):
        table |= {
            f"{core}.multiarray {name}": Known(f"{core}.{name}", call=made) for name, made in _ARRAYS.items()
        }
        table[f"{core}.numeric _frombuffer"] = Known(f"{core}.numeric._frombuffer", call=_array_of_buffer)
    return table


_TABLE = _table()
