"""Every ONNX operator that is opened computes what ONNX's own reference implementation does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chunky_core.losses.onnx.checks import OPERATORS
from chunky_core.losses.onnx.files import load_onnx
from tests.embedders import graph_file

onnx = pytest.importorskip("onnx", reason="networks in ONNX need onnx and onnx2torch")
reference = pytest.importorskip("onnx.reference", reason="networks in ONNX need onnx and onnx2torch")
pytest.importorskip("onnx2torch", reason="networks in ONNX need onnx and onnx2torch")

SIDE = 16
LAST = 2**63 - 1


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


NORM = {"scale": numbers(3), "bias": numbers(3), "mean": numbers(3), "var": np.abs(numbers(3)) + 0.1}
# Operator, its inputs after the picture [1,3,16,16], its settings.
Case = tuple[str, dict[str, np.ndarray], dict[str, Any]]
CASES: list[Case] = [
    *((kind, {}, {}) for kind in ("Abs", "Dropout", "Elu", "Erf", "Exp", "Flatten", "GlobalAveragePool")),
    *((kind, {}, {}) for kind in ("HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Neg", "ReduceL2")),
    *((kind, {}, {}) for kind in ("ReduceMean", "ReduceSum", "Relu", "Sigmoid", "Softmax", "Softplus", "Squeeze")),
    *((kind, {}, {}) for kind in ("Tanh", "Transpose")),
    *((kind, {"w": numbers(3, 1, 1)}, {}) for kind in ("Add", "Sub", "Mul", "Max", "Min", "PRelu")),
    ("Div", {"w": np.abs(numbers(3, 1, 1)) + 1}, {}),
    ("PRelu", {"w": numbers(1)}, {}),
    ("Sum", {"w": numbers(3, 1, 1), "v": numbers(1)}, {}),
    ("Max", {"w": numbers(3, 1, 1), "v": numbers(1)}, {}),
    ("Pow", {"e": np.float32(2)}, {}),
    ("AveragePool", {}, {"kernel_shape": [3, 3]}),
    ("AveragePool", {}, {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 1, 1, 1]}),
    ("AveragePool", {}, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "count_include_pad": 1}),
    ("AveragePool", {}, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("AveragePool", {}, {"kernel_shape": [2, 2], "auto_pad": "VALID"}),
    ("MaxPool", {}, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("MaxPool", {}, {"kernel_shape": [3, 3], "dilations": [2, 2]}),
    ("MaxPool", {}, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ("BatchNormalization", NORM, {"epsilon": 1e-2}),
    ("InstanceNormalization", {"a": numbers(3), "b": numbers(3)}, {"epsilon": 0.1}),
    ("LayerNormalization", {"a": numbers(16), "b": numbers(16)}, {"axis": -1, "epsilon": 1e-3}),
    ("Conv", {"w": numbers(4, 3, 3, 3), "b": numbers(4)}, {"strides": [2, 2], "pads": [1, 0, 2, 1]}),
    ("Conv", {"w": numbers(6, 1, 3, 3)}, {"group": 3, "dilations": [2, 2]}),
    ("Clip", {"least": np.float32(-0.5), "most": np.float32(0.3)}, {}),
    ("Clip", {"least": np.float32(-0.5)}, {}),
    ("Clip", {"": np.float32(0), "most": np.float32(0.3)}, {}),
    ("Concat", {"w": numbers(1, 2, 16, 16)}, {"axis": 1}),
    ("Concat", {"w": numbers(1, 3, 16, 2)}, {"axis": -1}),
    ("Elu", {}, {"alpha": 0.7}),
    ("Expand", {"shape": whole(2, 3, 16, 16)}, {}),
    ("Flatten", {}, {"axis": 2}),
    ("Gather", {"at": whole(2, 0)}, {"axis": 1}),
    ("Gather", {"at": np.int64(1)}, {"axis": 2}),
    ("HardSigmoid", {}, {"alpha": 0.1, "beta": 0.4}),
    ("LeakyRelu", {}, {"alpha": 0.2}),
    ("MatMul", {"w": numbers(16, 5)}, {}),
    ("Pad", {"pads": whole(0, 0, 1, 2, 0, 0, 3, 4), "value": np.float32(2)}, {}),
    ("Pad", {"pads": whole(0, 0, 1, 2, 0, 0, 3, 4)}, {"mode": "reflect"}),
    ("ReduceL2", {}, {"axes": [1], "keepdims": 0}),
    ("ReduceMean", {}, {"axes": [2, 3]}),
    ("ReduceSum", {"axes": whole(1)}, {"keepdims": 0}),
    ("Reshape", {"shape": whole(0, 0, 4, -1)}, {}),
    ("Slice", {"starts": whole(0, -5), "ends": whole(LAST, -1), "axes": whole(2, 3), "steps": whole(2, 2)}, {}),
    ("Softmax", {}, {"axis": 1}),
    ("Squeeze", {"axes": whole(0)}, {}),
    ("Transpose", {}, {"perm": [0, 2, 3, 1]}),
    ("Unsqueeze", {"axes": whole(-1, 0)}, {}),
    ("Cast", {}, {"to": 11}),
]  # fmt: skip
IN_ROWS = {"Sqrt", "Gemm", "Split", "Shape"}  # which need a node before or behind them


def compare(path: Path) -> None:
    """The file's outputs by the loaded network and by the reference."""
    picture = numbers(1, 3, SIDE, SIDE)
    expected = reference.ReferenceEvaluator(str(path)).run(None, {"x": picture})
    with torch.no_grad():
        found = load_onnx(path, torch.device("cpu"), (SIDE, SIDE), several=True).run(
            torch.from_numpy(picture)
        )
    for one, other in zip(found if isinstance(found, list | tuple) else [found], expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "weights", "settings"), CASES, ids=[f"{kind}-{list(s)}" for kind, _, s in CASES]
)
def test_an_operator_computes_what_the_reference_does(
    kind: str, weights: dict[str, np.ndarray], settings: dict[str, Any], tmp_path: Path
) -> None:
    node = onnx.helper.make_node(kind, ["x", *weights], ["o"], **settings)
    given = {name: np.asarray(array) for name, array in weights.items() if name}
    path = graph_file(tmp_path / "net.onnx", [node], given, SIDE)
    if settings.get("to"):
        model = onnx.load(str(path))
        model.graph.output[0].type.tensor_type.elem_type = settings["to"]
        onnx.save(model, str(path))
    compare(path)


def test_rows_of_operators_compute_what_the_reference_does(tmp_path: Path) -> None:
    """With the steps by which exporters write x.view(x.shape[0], -1), and constants in every form."""
    make = onnx.helper.make_node
    nodes = [
        make("Constant", [], ["two"], value_ints=[2]),
        make("Constant", [], ["half"], value_float=0.5),
        make("Abs", ["x"], ["a"]),
        make("Sqrt", ["a"], ["r"]),
        make("Split", ["r", "parts"], ["left", "right"], axis=3),
        make("Shape", ["left"], ["shape"]),
        make("Gather", ["shape", "zero"], ["batch"], axis=0),
        make("Unsqueeze", ["batch", "zeros"], ["rows"]),
        make("Slice", ["shape", "two", "last"], ["sides"]),
        make("Gather", ["sides", "zero"], ["height"], axis=0),
        make("Unsqueeze", ["height", "zeros"], ["heights"]),
        make("Mul", ["heights", "twelve"], ["columns"]),
        make("Concat", ["rows", "columns"], ["target"], axis=0),
        make("Reshape", ["left", "target"], ["flat"]),
        make("Identity", ["w"], ["same"]),
        make("Gemm", ["flat", "same", "b"], ["o"], transB=1, alpha=0.5),
        make("Mul", ["right", "half"], ["p"]),
    ]
    weights = {"parts": whole(4, 12), "zero": np.array(0, np.int64), "zeros": whole(0), "last": whole(LAST)}
    weights |= {"twelve": whole(12), "w": numbers(5, 192), "b": numbers(5)}
    compare(graph_file(tmp_path / "net.onnx", nodes, weights, SIDE, outputs=["o", "p"]))


def test_every_operator_that_is_opened_is_compared() -> None:
    assert {kind for kind, _, _ in CASES} | IN_ROWS == OPERATORS
