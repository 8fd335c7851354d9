"""Opens any weights file by its content and gives what it holds as plain data. Nothing is executed."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ...errors import UnsupportedCheckpointError
from .machine import Budget
from .mapped_file import mapped, naming
from .rebuild import Storage, TensorRef, damaged, dimensions, tensor_ref
from .torch_files import is_legacy, read_archive, read_bare, read_legacy

MAX_HEADER = 16 << 20
_SAFE_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


@dataclass(frozen=True)
class Content:
    """What is in a weights file.

    container: "pickle", "torch zip", "torch legacy" or "safetensors"; value: dicts, lists, tuples, sets, numbers,
    text, bytes (as views), numpy arrays, TensorRef and Record; metadata: the header's strings (safetensors).
    """

    container: str
    value: Any
    metadata: dict[str, str] = field(default_factory=dict)


@contextmanager
def open_content(path: str | os.PathLike[str]) -> Iterator[Content]:
    """Opens a weights file. Tensors, arrays and bytes are views into it, to be used inside the `with` only.

    Writing to a view does not change the file.
    Raises MissingWeightsError where there is no such file; UnsupportedCheckpointError, naming the file, where it is
    damaged, of another kind, or names a function that is not on the list of what a StyleGAN file needs.
    """
    with mapped(path) as data:
        with naming(Path(path)):
            content = _content(data)
        yield content


def _content(data: memoryview) -> Content:
    start = bytes(data[:512])
    budget = Budget.for_file(len(data))
    if start[:4] == b"PK\x03\x04":
        return Content("torch zip", read_archive(data, budget))
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= MAX_HEADER:
        return _safetensors(data)
    if start[:1] == b"\x80" and is_legacy(data):
        return Content("torch legacy", read_legacy(data, budget))
    if start[:1] == b"\x80" or (bytes(data[-1:]) == b"." and start[:1] in b"(}])lcd"):
        return Content("pickle", read_bare(data, budget))
    raise UnsupportedCheckpointError(_unknown(start))


def _unknown(start: bytes) -> str:
    expected = "expected a StyleGAN network as .safetensors, .pkl or .pt"
    if start.startswith(b"version https://git-lfs"):
        return f"it is a Git LFS pointer, not the weights; {expected}; run `git lfs pull`"
    if start[257:262] == b"ustar":
        return f"it is a tar archive, as PyTorch before 0.1.10 wrote; {expected}; save it again"
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in start):
        return f"it is a text file, perhaps a web page saved in place of a download; {expected}"
    return f"it is of an unknown format; {expected}"


def _safetensors(data: memoryview) -> Content:
    (length,) = struct.unpack("<Q", data[:8])
    if length > len(data) - 8:
        raise damaged("it is a truncated or damaged .safetensors file")
    header = json.loads(str(data[8 : 8 + length], "utf-8"))
    if not isinstance(header, dict):
        raise damaged("its header is not a list of tensors")
    metadata = header.pop("__metadata__", {})
    body = data[8 + length :]
    value = {name: _safe_tensor(name, entry, body) for name, entry in header.items()}
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise damaged("its header's metadata is not text")
    return Content("safetensors", value, metadata)


def _safe_tensor(name: str, entry: Any, body: memoryview) -> TensorRef:
    dtype = _SAFE_TYPES.get(str(entry["dtype"]))
    begin, end = entry["data_offsets"]
    shape = dimensions(entry["shape"])
    if dtype is None:
        raise damaged(f"its tensor {name[:80]} is of the unknown type {str(entry['dtype'])[:20]}")
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end <= len(body):
        raise damaged(f"its tensor {name[:80]} lies outside of the file")
    numel = (end - begin) // dtype.itemsize
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    tensor = tensor_ref(Storage(dtype, numel, body[begin:end]), 0, shape, strides)
    if tensor.numel * dtype.itemsize != end - begin:
        raise damaged(f"its tensor {name[:80]} of shape {tensor.size} has {end - begin} bytes")
    return tensor
