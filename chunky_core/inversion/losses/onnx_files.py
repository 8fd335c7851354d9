"""Networks from ONNX files, made differentiable by the optional package onnx2torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ...errors import MissingWeightsError, UnsupportedCheckpointError

_FAULTS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip


def load_onnx(path: Path, device: torch.device) -> tuple[Any, tuple[int, int] | None]:
    """The network of a file, frozen on `device`, and the (height, width) that it declares for its pictures.

    Raises MissingWeightsError without onnx2torch, UnsupportedCheckpointError if the file is damaged, in several
    parts, or uses what onnx2torch doesn't know.
    """
    try:
        import onnx2torch
        from onnx.shape_inference import InferenceError
    except ImportError as error:
        raise MissingWeightsError(
            f"{path.name} needs the package onnx2torch, which is not installed; run `pip install onnx2torch`, "
            "or use a TorchScript file"
        ) from error
    model = _read(path)
    size = _declared_size(path.name, model)
    _rename(model)
    try:
        network = onnx2torch.convert(model)
    except (*_FAULTS, InferenceError) as error:
        raise UnsupportedCheckpointError(
            f"{path.name} can't be made differentiable by onnx2torch ({str(error).strip()[:200]}); "
            "use a TorchScript file"
        ) from error
    return network.requires_grad_(False).eval().to(device), size


def _read(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise UnsupportedCheckpointError(
            f"{path.name} is damaged or no ONNX file; get a fresh copy"
        ) from error
    for tensor in _tensors(path.name, model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise UnsupportedCheckpointError(
                f"{path.name} keeps weights in other files; save it as one file (save_as_external_data=False)"
            )
    return model


def _tensors(name: str, model: Any) -> list[Any]:
    tensors = list(model.graph.initializer)
    if model.functions or model.graph.sparse_initializer:
        raise UnsupportedCheckpointError(
            f"{name} has functions or sparse weights; expected a plain ONNX network"
        )
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise UnsupportedCheckpointError(f"{name} branches or loops; expected a plain ONNX network")
            tensors += [attribute.t, *attribute.tensors]
    return tensors


def _declared_size(name: str, model: Any) -> tuple[int, int] | None:
    """(height, width) of the pictures, None where the file leaves them open."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    sides = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
    if len(sides) != 4 or sides[1] not in (0, 3) or len(model.graph.output) != 1:
        raise UnsupportedCheckpointError(
            f"{name} has {len(inputs)} inputs of sizes {sides} and {len(model.graph.output)} outputs; "
            "expected one picture [B,3,h,w] and one embedding"
        )
    height, width = sides[2:]
    return (height, width) if height > 0 and width > 0 else None


def _rename(model: Any) -> None:
    """Numbers in place of the file's own names: torch.fx makes Python code of them, which a file may not write."""
    names: dict[str, str] = {"": ""}

    def numbered(name: str) -> str:
        return names.setdefault(name, f"value_{len(names)}")

    graph = model.graph
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = numbered(value.name)
    for index, node in enumerate(graph.node):
        node.name = f"node_{index}"
        node.input[:] = [numbered(name) for name in node.input]
        node.output[:] = [numbered(name) for name in node.output]
    del graph.value_info[:]  # found anew by shape inference
