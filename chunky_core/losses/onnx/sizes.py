"""How much an ONNX network computes, known before any of it runs."""

from __future__ import annotations

import math
from typing import Any

from ...errors import UnsupportedCheckpointError
from ..resize import Size
from .checks import BEST_OPSET
from .shapes import Shape, fold_shapes

MAX_NUMBERS = 1 << 27  # in all results together: 512 MB; a ResNet-100 has 2^25
MAX_PRODUCTS = 1 << 38  # multiply-adds; a ResNet-100 has 2^35
_AREA_KERNELS = ("AveragePool", "MaxPool")

_MAX_PASSES = 32


def check_sizes(name: str, model: Any, size: Size) -> Any:
    """A copy of the model for pictures of (height, width) alone, with the size of every result in it.

    Raises UnsupportedCheckpointError where a size can't be told from the file, and where all of it is more than
    a network of pictures needs.
    """
    fixed = _at_one_size(model, size)
    shapes = _shapes(fixed.graph)
    numbers = products = 0
    for node in fixed.graph.node:
        for value in node.output:
            if value:
                numbers += math.prod(_known(name, node.op_type, shapes.get(value)))
        products += _products(node, shapes)
    if numbers > MAX_NUMBERS or products > MAX_PRODUCTS:
        raise UnsupportedCheckpointError(
            f"{name} computes {numbers} numbers by {products} products for a picture of {size[1]}x{size[0]}; expected "
            f"at most {MAX_NUMBERS} and {MAX_PRODUCTS}, as of a network for pictures"
        )
    return fixed


def _at_one_size(model: Any, size: Size) -> Any:
    """Shapes that the network would work out as it runs become numbers, from the first on, since later ones follow."""
    from onnx import shape_inference

    copy = type(model).FromString(model.SerializeToString())
    _set_shape(copy.graph.input[0], (1, 3, *size))
    for _ in range(_MAX_PASSES):
        for output in copy.graph.output:
            output.type.tensor_type.ClearField("shape")
        inferred = shape_inference.infer_shapes(copy, check_type=True, strict_mode=True, data_prop=True)
        if not fold_shapes(inferred, _shapes(inferred.graph)):
            break
        copy = inferred
        copy.graph.ClearField("value_info")
    return inferred


def _set_shape(value: Any, shape: Shape) -> None:
    value.type.tensor_type.ClearField("shape")
    for side in shape:
        value.type.tensor_type.shape.dim.add(dim_value=side)


def _shapes(graph: Any) -> dict[str, Shape | None]:
    """By name; None where a side isn't known."""
    found: dict[str, Shape | None] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        sides = [side.dim_value if side.HasField("dim_value") else -1 for side in kind.shape.dim]
        found[value.name] = tuple(sides) if kind.HasField("shape") and min(sides, default=0) >= 0 else None
    return found


def _known(name: str, operator: str, shape: Shape | None) -> Shape:
    if shape is None:
        raise UnsupportedCheckpointError(
            f"{name}: the size of what {operator} gives is known only when it runs; export it again for pictures of a "
            f"fixed size, without dynamic axes (opset_version={BEST_OPSET})"
        )
    return shape


def _products(node: Any, shapes: dict[str, Shape | None]) -> int:
    """Multiply-adds of a node, of the kinds that have many per result."""
    results = math.prod(shapes.get(node.output[0]) or ())
    first, second = (shapes.get(value) or () for value in [*node.input[:2], "", ""][:2])
    if node.op_type == "Conv":
        return results * math.prod(second[1:])
    if node.op_type in _AREA_KERNELS:
        kernel = next((entry.ints for entry in node.attribute if entry.name == "kernel_shape"), ())
        return results * math.prod(kernel)
    if node.op_type == "MatMul":
        return results * (first[-1] if first else 1)
    if node.op_type == "Gemm":
        return results * max(first, default=1)
    return results
