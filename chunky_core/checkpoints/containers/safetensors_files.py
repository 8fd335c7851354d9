"""The .safetensors container: a header of JSON, then the tensors' bytes."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import torch

from ..pickles.rebuild import Storage, TensorRef, cut_off, damaged, dimensions, tensor_ref

MAX_HEADER = 16 << 20
_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


def is_safetensors(start: bytes) -> bool:
    """Whether a file that starts so has a header of a reasonable length."""
    return start[8:9] in (b"{", b" ") and int.from_bytes(start[:8], "little") <= MAX_HEADER


def read_safetensors(data: memoryview) -> tuple[dict[str, TensorRef], dict[str, str]]:
    """The tensors by name, and the header's metadata."""
    (length,) = struct.unpack("<Q", data[:8])
    if length > len(data) - 8:
        raise cut_off()
    header = json.loads(str(data[8 : 8 + length], "utf-8"))
    if not isinstance(header, dict):
        raise damaged("its header is not a list of tensors")
    metadata = header.pop("__metadata__", {})
    body = data[8 + length :]
    tensors = {name: _tensor(name, entry, body) for name, entry in header.items()}
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise damaged("its header's metadata is not text")
    return tensors, metadata


def _tensor(name: str, entry: Any, body: memoryview) -> TensorRef:
    dtype = _TYPES.get(str(entry["dtype"]))
    begin, end = entry["data_offsets"]
    shape = dimensions(entry["shape"])
    if dtype is None:
        raise damaged(f"its tensor {name[:80]} is of the unknown type {str(entry['dtype'])[:20]}")
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end <= len(body):
        raise (
            cut_off()
            if type(end) is int and end > len(body)
            else damaged(f"its tensor {name[:80]} has no place")
        )
    numel = (end - begin) // dtype.itemsize
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    tensor = tensor_ref(Storage(dtype, numel, body[begin:end]), 0, shape, strides)
    if tensor.numel * dtype.itemsize != end - begin:
        raise damaged(f"its tensor {name[:80]} of shape {tensor.size} has {end - begin} bytes")
    return tensor
