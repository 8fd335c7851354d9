"""Networks from ONNX files, made differentiable by the optional package onnx2torch.

A file is held to what a network of pictures needs, before anything of it is converted: see `onnx_checks` for its
operators and `onnx_sizes` for what it would compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...checkpoints.containers.content import open_content
from ...errors import ChunkyError, MissingWeightsError, UnsupportedCheckpointError
from ..resize import Size
from .checks import BEST_OPSET, check_operators, check_version, convert_hint
from .graph import plain_model
from .network import ComputedGraph
from .sizes import check_sizes

LARGEST_FILE = 1 << 30  # bytes; a ResNet-100 has 260 MB


@dataclass(frozen=True)
class OnnxNetwork:
    """run: pictures [B,3,h,w] -> what the file's outputs hold, a tensor or a tuple of them; frozen.

    size: (height, width) that the file declares for its pictures, None where it leaves them open.
    """

    run: Callable[[Tensor], Any]
    size: Size | None


def load_onnx(path: Path, device: torch.device, nominal: Size, *, several: bool = False) -> OnnxNetwork:
    """The network of a file, on `device`; it takes one picture [B,3,h,w] in float32.

    nominal: (height, width) at which the work is judged where the file declares no size. several: whether it
    may have more than one output. Raises MissingWeightsError without onnx2torch, UnsupportedCheckpointError if
    the file is damaged, in several parts, of another opset, or has operators, sizes or outputs beyond what such a
    network needs.
    """
    try:
        import onnx2torch  # noqa: F401 - used by ComputedGraph
        from onnx import checker, shape_inference
    except ImportError as error:
        raise MissingWeightsError(
            f"{path.name} needs the package onnx2torch, which is not installed; run `pip install onnx2torch`, "
            'or use the network "demo"'
        ) from error
    model = _parsed(path)
    check_version(path.name, model)
    with _own_errors(f"{path.name} is damaged or no valid ONNX network", "get a fresh copy of it"):
        size = plain_model(path.name, model, several=several)
        check_operators(path.name, model)
        checker.check_model(model)
        fixed = check_sizes(path.name, model, size or nominal)
    _check_converters(path.name, model)
    remedy = f"export it again with opset_version={BEST_OPSET}, pads as numbers, for pictures of one size"
    # Building layers draws random weights first: the caller's random state must not move.
    with _own_errors(f"{path.name} can't be made differentiable by onnx2torch", remedy):
        with torch.random.fork_rng(devices=[]):
            any_size = several and size is None
            network = ComputedGraph(shape_inference.infer_shapes(model) if any_size else fixed)
        return OnnxNetwork(network.requires_grad_(False).eval().to(device), size)


def _check_converters(name: str, model: Any) -> None:
    from onnx2torch.node_converters import get_converter

    version = model.opset_import[0].version
    for operator in sorted({node.op_type for node in model.graph.node}):
        try:
            get_converter(operation_type=operator, version=version, domain="")
        except NotImplementedError as error:
            raise UnsupportedCheckpointError(
                f"{name}: onnx2torch doesn't convert {operator} of ONNX opset {version}; {convert_hint(name)}"
            ) from error


def _parsed(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise UnsupportedCheckpointError(
            f"{path.name} has {size >> 20} MB; expected a network of at most {LARGEST_FILE >> 20} MB"
        )
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except (DecodeError, OSError) as error:
        raise UnsupportedCheckpointError(not_onnx(path)) from error
    if not model.graph.node:
        raise UnsupportedCheckpointError(not_onnx(path))
    return model


def not_onnx(path: Path) -> str:
    """One sentence on a file that isn't ONNX: what it is, and what was expected."""
    try:
        with open_content(path) as content:
            found = f"it is a file of weights ({content.container}) without a network"
    except ChunkyError as error:
        found = str(error).removeprefix(f"{path.name}: ").partition(";")[0]
        if "ONNX" in found:
            found = "its contents can't be parsed"
    return f"{path.name} is damaged or no ONNX file: {found}; expected a whole network in one .onnx file"


@contextmanager
def _own_errors(found: str, remedy: str) -> Iterator[None]:
    """Turns whatever the packages raise on a damaged or unusual network into this package's error."""
    try:
        yield
    except ChunkyError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UnsupportedCheckpointError(f"{found} ({lines[0].strip()[:200]}); {remedy}") from error
