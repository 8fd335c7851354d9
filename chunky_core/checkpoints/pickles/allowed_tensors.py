"""The list of globals that pickled tensors of PyTorch may name, and what each gives; part of `allowed_globals`."""

from __future__ import annotations

from typing import Any

import torch

from .rebuild import Function, Known, OddTensor, TensorRef, call, damaged, sequence, tensor_ref


def _tensor_v2(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> TensorRef:
    return tensor_ref(storage, offset, size, stride)


def _tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> TensorRef:
    if not isinstance(dtype, torch.dtype):
        raise damaged("it has a tensor without a dtype")
    return tensor_ref(storage, offset, size, stride, dtype)


def _parameter(data: Any, *_: Any) -> TensorRef | OddTensor:
    if not isinstance(data, TensorRef | OddTensor):
        raise damaged("it has a parameter that is not a tensor")
    return data


def _tensor_with_attributes(function: Any, kind: Any, args: Any, *_: Any) -> TensorRef | OddTensor:
    """A tensor that carries Python attributes, or a torch.nn.Buffer: the tensor alone."""
    if not isinstance(kind, Known) or kind.name not in _TENSOR_CLASSES:
        raise damaged("it has a tensor with attributes of an unusual class")
    if not isinstance(function, Known) or not function.name.startswith("torch._utils._rebuild_"):
        raise damaged("it has a tensor with attributes that is made in an unusual way")
    return _parameter(call(function, tuple(sequence(args))))


def _odd(kind: str, advice: str) -> Function:
    return lambda *_: OddTensor(kind, advice)


def _layout(name: Any, *_: Any) -> str:
    """How a sparse tensor is stored; such tensors are told by name."""
    return name[:40] if isinstance(name, str) else ""


_STORAGES = {
    "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16, "Double": torch.float64,
    "Int": torch.int32, "Long": torch.int64, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool, "ComplexFloat": torch.complex64, "ComplexDouble": torch.complex128, "QInt8": torch.int8,
    "QUInt8": torch.uint8, "QInt32": torch.int32,
}  # fmt: skip
_OTHER_DTYPES = (
    torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.complex32, torch.uint16,
    torch.uint32, torch.uint64,
)  # fmt: skip
_TENSOR_CLASSES = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")
_QUANTISATIONS = (
    "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
    "per_channel_affine_float_qparams",
)  # fmt: skip
_ODD_TENSORS = {
    "_rebuild_sparse_tensor": ("a sparse tensor", "save it dense: tensor.to_dense()"),
    "_rebuild_sparse_csr_tensor": ("a sparse tensor", "save it dense: tensor.to_dense()"),
    "_rebuild_qtensor": ("a quantised tensor", "save it as floats: tensor.dequantize()"),
    "_rebuild_meta_tensor_no_storage": (
        "a tensor without numbers (device meta)",
        "save the network with its weights",
    ),
    "_rebuild_nested_tensor": ("a nested tensor", "save it as plain tensors"),
    "_rebuild_device_tensor_from_numpy": ("a tensor of another device", "save it from the CPU: tensor.cpu()"),
    "_rebuild_device_tensor_from_cpu_tensor": (
        "a tensor of another device",
        "save it from the CPU: tensor.cpu()",
    ),
    "_rebuild_xla_tensor": ("a tensor of another device", "save it from the CPU: tensor.cpu()"),
    "_rebuild_wrapper_subclass": ("a wrapped tensor", "save it as a plain tensor"),
}
_FUNCTIONS: dict[str, Function] = {
    "torch._utils _rebuild_tensor": _tensor_v2,
    "torch._utils _rebuild_tensor_v2": _tensor_v2,
    "torch._utils _rebuild_tensor_v3": _tensor_v3,
    "torch._utils _rebuild_parameter": _parameter,
    "torch._utils _rebuild_parameter_with_state": _parameter,
    "torch._tensor _rebuild_from_type": _tensor_with_attributes,
    "torch._tensor _rebuild_from_type_v2": _tensor_with_attributes,
    "torch.serialization _get_layout": _layout,
}


def entries() -> dict[str, Known | torch.dtype]:
    """What stands for tensors' functions, storages and types, by "module name"."""
    table: dict[str, Known | torch.dtype] = {}
    for name, dtype in _STORAGES.items():
        table[str(dtype).replace(".", " ")] = dtype
        table |= {
            f"{module} {name}Storage": Known(f"torch.{name}Storage", dtype=dtype)
            for module in ("torch", "torch.cuda")
        }
    table |= {str(dtype).replace(".", " "): dtype for dtype in _OTHER_DTYPES}
    table |= {f"torch {name}": Known(f"torch.{name}") for name in ("Tensor", *_QUANTISATIONS)}
    table |= {name: Known(name.replace(" ", "."), call=made) for name, made in _FUNCTIONS.items()}
    for name, words in _ODD_TENSORS.items():
        table[f"torch._utils {name}"] = Known(f"torch._utils.{name}", call=_odd(*words))
    untyped = Known("torch.storage.UntypedStorage", dtype=torch.uint8)
    return table | {"torch.storage UntypedStorage": untyped, "torch UntypedStorage": untyped}
