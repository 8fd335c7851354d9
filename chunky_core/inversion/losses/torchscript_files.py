"""Networks from TorchScript files. These are programs: only what computes on tensors may be in one."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from ...errors import UnsupportedCheckpointError
from ...generator.checkpoints.archive import Archive

_MAX_CODE = 32 << 20  # bytes; that of a ResNet-100 is about 200 kB
# Loading runs __setstate__ and the constructors of torch.classes; the rest would run with the network.
_FORBIDDEN_TEXT = re.compile(
    rb"__setstate__|torch\s*\.\s*classes|\bops\b(?!\s*\.\s*(?:aten|prim)\b)"
    rb"|\b(?:from_file|save|fork|rpc_\w+|seed|manual_seed|record_stream)\b"
)
_FORBIDDEN_ATEN = re.compile(
    r"from_file|save|fork|wait|.*seed|record_stream|set_.*|.*resize_.*|as_strided.*|backward|_.*"
)
_PRIVATE_ATEN = {"_convolution", "_set_item", "_weight_norm"} | {f"__{name}__" for name in (
    "getitem", "contains", "is", "isnot", "not", "and", "or", "derive_index", "range_length",
)}  # fmt: skip
_PRIM = {
    "Constant", "ConstantChunk", "DictConstruct", "GetAttr", "If", "ListConstruct", "ListUnpack", "Loop", "NumToTensor",
    "RaiseException", "TupleConstruct", "TupleIndex", "TupleUnpack", "Uninitialized", "data", "device", "dtype",
    "is_cuda", "isinstance", "itemsize", "layout", "max", "min", "requires_grad", "unchecked_cast",
    "unchecked_unwrap_optional",
}  # fmt: skip


def load_torchscript(path: Path, device: torch.device) -> tuple[Any, None]:
    """The network of a file, frozen on `device`, and None, as such a file declares no size of its pictures.

    Raises UnsupportedCheckpointError if the file is damaged, or if its program does anything but compute.
    """
    data = path.read_bytes()
    refuse_dangerous_text(path.name, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", FutureWarning
            )  # TorchScript is old, and such files are all there is
            module = torch.jit.load(BytesIO(data), map_location=device).eval()
            refuse_dangerous_operators(path.name, module)  # before freezing, which runs parts of it
            return torch.jit.freeze(module), None
    except (RuntimeError, AttributeError, ValueError) as error:
        if isinstance(error, UnsupportedCheckpointError):
            raise
        raise UnsupportedCheckpointError(
            f"{path.name} can't be read as TorchScript ({str(error).strip()[:200]}); save it again"
        ) from error


def refuse_dangerous_text(name: str, data: bytes) -> None:
    """Looks at a TorchScript archive before anything of it is loaded; UnsupportedCheckpointError if it must not
    be.
    """
    try:
        archive = Archive(memoryview(bytearray(data)))
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise UnsupportedCheckpointError(f"{name} is no TorchScript archive ({error})") from error
    sources = [member for member in archive.members if member.endswith((".py", ".pkl"))]
    if not any("/code/" in member for member in sources):
        raise UnsupportedCheckpointError(f"{name} holds no TorchScript program; save it by torch.jit.save")
    for member in sources:
        text = bytes(archive.read(member))
        if len(text) > _MAX_CODE:
            raise UnsupportedCheckpointError(f"{name}: its program {member[:80]} is larger than any real one")
        found = _FORBIDDEN_TEXT.search(text)
        if found:
            raise _refused(name, found.group().decode("ascii", "replace"))


def refuse_dangerous_operators(name: str, module: torch.jit.ScriptModule) -> None:
    """Looks at the compiled program: here no spelling can hide an operator."""
    for kind in _kinds(module.inlined_graph):
        space, _, operator = kind.partition("::")
        allowed = operator in _PRIM
        if space == "aten":
            allowed = operator in _PRIVATE_ATEN or not _FORBIDDEN_ATEN.fullmatch(operator)
        if space not in ("aten", "prim") or not allowed:
            raise _refused(name, kind)


def _kinds(block: Any) -> Iterator[str]:
    for node in block.nodes():
        yield node.kind()
        for inner in node.blocks():
            yield from _kinds(inner)


def _refused(name: str, found: str) -> UnsupportedCheckpointError:
    return UnsupportedCheckpointError(
        f"{name}: its program uses {found}, which an embedding network has no need of, so it isn't run; "
        "expected operators that compute on tensors"
    )
