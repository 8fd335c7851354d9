"""An ONNX model reduced to its computation: numbers for names, constants in one place, nothing beside the graph."""

from __future__ import annotations

import math
from typing import Any

from ...errors import UnsupportedCheckpointError
from ..resize import Size

LARGEST_SIDE = 1024  # pixels
SMALLEST_SIDE = 16
_FLOAT = 1  # TensorProto.FLOAT
_LEAST = -3.4028234663852886e38  # of float32
_IR_VERSION = 8  # of the files that torch.onnx.export writes for opset 17
_MAX_RANK = 8
_MAX_OUTPUTS = 16
_ITEM_BYTES = {
    1: 4,
    10: 2,
    11: 8,
    6: 4,
    7: 8,
    9: 1,
}  # float, float16, double, int32, int64, bool of TensorProto
_TYPED = {
    1: "float_data",
    10: "int32_data",
    11: "double_data",
    6: "int32_data",
    7: "int64_data",
    9: "int32_data",
}


def plain_model(name: str, model: Any, *, several: bool = False) -> Size | None:
    """Checks and reduces `model` in place; the (height, width) that it declares for its pictures, or None.

    Raises UnsupportedCheckpointError for anything but nodes with attributes and weights in this file, and for
    other inputs than one picture.
    """
    _refuse_others(name, model)
    _fold_constants(model.graph)
    _fill_left_out(model.graph)
    _drop_second_outputs(name, model.graph)
    for tensor in model.graph.initializer:
        _check_tensor(name, tensor)
    size = _declared_size(name, model.graph, several)
    _rename(model.graph)
    for output in model.graph.output:
        output.type.tensor_type.shape.SetInParent()  # the checker wants one, even if it says nothing
    model.ir_version = _IR_VERSION
    for extra in ("training_info", "metadata_props", "producer_name", "doc_string", "domain"):
        model.ClearField(extra)
    for extra in ("value_info", "quantization_annotation", "metadata_props", "doc_string"):
        model.graph.ClearField(extra)  # sizes are found anew by shape inference
    return size


def _refuse_others(name: str, model: Any) -> None:
    if model.functions or model.graph.sparse_initializer:
        raise UnsupportedCheckpointError(
            f"{name} has functions or sparse weights; expected a plain ONNX network: export it again"
        )
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise UnsupportedCheckpointError(
                    f"{name} branches or loops ({node.op_type[:40]}); expected a plain ONNX network: export it "
                    "again by tracing (dynamo=False)"
                )


def _fold_constants(graph: Any) -> None:
    """Constant nodes become weights, and names for weights by Identity the weights' own: Conv takes its weights from
    there only.
    """
    weights, outputs = {tensor.name for tensor in graph.initializer}, {value.name for value in graph.output}
    same: dict[str, str] = {}
    kept = []
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        plain = not node.domain and len(node.output) == 1 and node.output[0] not in outputs
        constant = _constant(node) if plain and node.op_type == "Constant" else None
        if constant is not None:
            constant.name = node.output[0]
            weights.add(constant.name)
            graph.initializer.append(constant)
        elif plain and node.op_type == "Identity" and len(node.input) == 1 and node.input[0] in weights:
            same[node.output[0]] = node.input[0]
        else:
            kept.append(type(node).FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(kept)


def _constant(node: Any) -> Any:
    """The tensor of a Constant node, None where it is of another kind."""
    from onnx import TensorProto

    attribute = node.attribute[0] if len(node.attribute) == 1 else None
    if attribute is None:
        return None
    if attribute.name == "value" and attribute.HasField("t"):
        return TensorProto.FromString(attribute.t.SerializeToString())
    if attribute.name in ("value_int", "value_ints"):
        values = attribute.ints if attribute.name.endswith("s") else [attribute.i]
        tensor = TensorProto(data_type=TensorProto.INT64, int64_data=values)
    elif attribute.name in ("value_float", "value_floats"):
        values = attribute.floats if attribute.name.endswith("s") else [attribute.f]
        tensor = TensorProto(data_type=_FLOAT, float_data=values)
    else:
        return None
    if attribute.name.endswith("s"):
        tensor.dims.append(len(values))
    return tensor


def _fill_left_out(graph: Any) -> None:
    """onnx2torch takes no empty name for an input that is left out: at the end it is dropped, Clip's least becomes a
    number.
    """
    for node in graph.node:
        while node.input and not node.input[-1]:
            node.input.pop()
        if node.op_type == "Clip" and len(node.input) == 3 and not node.input[1]:
            least = graph.initializer.add(name=f"least of {node.output[0]}", data_type=_FLOAT)
            least.float_data.append(_LEAST)
            node.input[1] = least.name


def _drop_second_outputs(name: str, graph: Any) -> None:
    """Masks, indices and statistics that an operator may give beside its result, which onnx2torch takes for parts of
    it. Only Split has several results, and they can't be the network's.
    """
    outputs = {value.name for value in graph.output}
    used = {value for node in graph.node for value in node.input} | outputs
    for node in graph.node:
        split = node.op_type == "Split"
        if (
            outputs & set(node.output if split else node.output[1:])
            or not split
            and used & set(node.output[1:]) - {""}
        ):
            raise UnsupportedCheckpointError(
                f"{name} uses the second output of {node.op_type[:40]!a}, or a Split's as its own; expected operators "
                "with one result: export it again without it"
            )
        if not split:
            del node.output[1:]


def _check_tensor(name: str, tensor: Any) -> None:
    """A weight must lie in this file and have as many bytes as its shape says."""
    if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
        raise UnsupportedCheckpointError(
            f"{name} keeps weights in other files; save it as one file (save_as_external_data=False)"
        )
    shown = f"its weight {tensor.name[:60]!r}"
    item = _ITEM_BYTES.get(tensor.data_type)
    if item is None:
        raise UnsupportedCheckpointError(
            f"{name}: {shown} holds numbers of ONNX type {tensor.data_type}; expected floats, integers or booleans: "
            "export it without quantisation"
        )
    shape = list(tensor.dims)
    given = (
        len(tensor.raw_data) / item
        if tensor.HasField("raw_data")
        else len(getattr(tensor, _TYPED[tensor.data_type]))
    )
    if len(shape) > _MAX_RANK or min(shape, default=0) < 0 or math.prod(shape) != given:
        raise UnsupportedCheckpointError(
            f"{name} is damaged: {shown} of shape {shape[:_MAX_RANK]} has {given:.0f} numbers; get a fresh copy of it"
        )


def _declared_size(name: str, graph: Any, several: bool) -> Size | None:
    """(height, width) of the pictures, None where the file leaves them open; nothing else stays an input."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    sides = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
    limit = _MAX_OUTPUTS if several else 1
    if len(sides) != 4 or sides[1] not in (0, 3) or not 1 <= len(graph.output) <= limit:
        raise UnsupportedCheckpointError(
            f"{name} has {len(inputs)} inputs, of sizes {sides[:6]}, and {len(graph.output)} outputs; expected one "
            f"picture [B,3,h,w] and {'maps of features' if several else 'one embedding'}"
        )
    if inputs[0].type.tensor_type.elem_type != _FLOAT:
        raise UnsupportedCheckpointError(
            f"{name} doesn't take float32 pictures; export it in float32 (model.float())"
        )
    height, width = sides[2:]
    picture = type(inputs[0]).FromString(inputs[0].SerializeToString())
    del graph.input[:]
    graph.input.append(picture)
    if height <= 0 or width <= 0:
        return None
    if not SMALLEST_SIDE <= min(height, width) <= max(height, width) <= LARGEST_SIDE:
        raise UnsupportedCheckpointError(
            f"{name} takes pictures of {width}x{height}; expected sides of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels"
        )
    return height, width


def _rename(graph: Any) -> None:
    """Numbers in place of the file's own names, which needn't be names that PyTorch takes for weights."""
    names: dict[str, str] = {"": ""}

    def numbered(name: str) -> str:
        return names.setdefault(name, f"value_{len(names)}")

    graph.name = "graph"
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = numbered(value.name)
        value.doc_string = ""
    for index, node in enumerate(graph.node):
        node.name = f"node_{index}"
        node.doc_string = ""
        node.input[:] = [numbered(name) for name in node.input]
        node.output[:] = [numbered(name) for name in node.output]
