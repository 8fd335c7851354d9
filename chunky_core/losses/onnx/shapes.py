"""Shapes that an ONNX network works out as it runs, known before: exporters write `x.shape[0]` as a row of nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Shape = tuple[int, ...]
_INTEGERS = (6, 7)  # TensorProto.INT32, INT64
_LONGEST = 8  # numbers in a shape


def fold_shapes(model: Any, shapes: Mapping[str, Shape | None]) -> bool:
    """Nodes of `model` that only work out a shape, which is known, become weights; whether there was one.

    shapes: of the values by name, None where it isn't known.
    """
    from onnx import numpy_helper

    graph = model.graph
    known = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type in _INTEGERS and len(tensor.dims) <= 1 and math.prod(tensor.dims) <= _LONGEST
    }
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        result = None if outputs & set(node.output) else _result(node, shapes, known)
        if result is None:
            kept.append(type(node).FromString(node.SerializeToString()))
            continue
        known[node.output[0]] = result
        graph.initializer.append(numpy_helper.from_array(result, node.output[0]))
    changed = len(kept) < len(graph.node)
    del graph.node[:]
    graph.node.extend(kept)
    return changed


def _result(
    node: Any, shapes: Mapping[str, Shape | None], known: Mapping[str, np.ndarray]
) -> np.ndarray | None:
    """The integers that a node gives, a scalar or [n]; None where they aren't known or it is no step of a shape."""
    if node.op_type == "Shape":
        shape = shapes.get(node.input[0])
        return None if shape is None or node.attribute else np.array(shape, np.int64)
    step = _STEPS.get(node.op_type)
    if (
        step is None
        or node.op_type == "Slice"
        and node.attribute
        or not all(name in known for name in node.input)
    ):
        return None
    given = [known[name] for name in node.input]
    if node.op_type == "Cast" and node.attribute[0].i not in _INTEGERS:
        return None
    result = np.asarray(step(*given), np.int64)
    return result if result.ndim <= 1 and result.size <= _LONGEST else None


def _slice(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, *axes_steps: np.ndarray) -> np.ndarray:
    step = int(axes_steps[1][0]) if len(axes_steps) > 1 else 1
    return data[int(starts[0]) : int(ends[0]) : step]


def _quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if not b.all():
        raise ValueError("a shape is divided by zero")
    return np.trunc(a / b)


_STEPS: dict[str, Callable[..., Any]] = {
    "Gather": lambda data, at: data[at],
    "Unsqueeze": lambda data, *_: data[None],
    "Squeeze": lambda data, *_: data.reshape(()),
    "Concat": lambda *parts: np.concatenate(parts),
    "Slice": _slice,
    "Cast": lambda data: data,
    "Mul": np.multiply,
    "Div": _quotient,
    "Add": np.add,
    "Sub": np.subtract,
}
