"""The good ONNX file that the fuzzer damages, and what loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from chunky_core.losses.identity import load_identity_network

from .mutate import WEIGHT

SIDE = 16
# Operator, inputs, result, settings: an embedding network with the layers of ArcFace's and the steps of shapes that
# exporters add.
STEPS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("Identity", "g", "g2", {}),
    ("Conv", "x w b", "conv", {"strides": [2, 2], "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}),
    ("BatchNormalization", "conv g2 b b v", "norm", {"epsilon": 1e-5}),
    ("PRelu", "norm s", "act", {}),
    ("Conv", "act w2", "conv2", {"group": 4, "dilations": [2, 2], "pads": [2, 2, 2, 2]}),
    ("Add", "act conv2", "sum", {}),
    ("AveragePool", "sum", "pool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Dropout", "pool", "drop", {}),
    ("Shape", "pool", "shape", {}),
    ("Gather", "shape zero", "batch", {"axis": 0}),
    ("Unsqueeze", "batch zeros", "batch1", {}),
    ("Concat", "batch1 rest", "target", {"axis": 0}),
    ("Reshape", "drop target", "flat", {}),
    ("Gemm", "flat k l", "vector", {"transB": 1, "alpha": 1.0, "beta": 1.0}),
    ("Clip", "vector low high", "e", {}),
)


def write_onnx_seed(path: Path) -> None:
    """An embedder of 16 x 16 pictures in opset 17, 5 numbers per picture, all weights alike."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    shapes = {"w": (4, 3, 3, 3), "w2": (4, 1, 3, 3), "s": (4, 1, 1), "k": (5, 64), "l": (5,)}
    shapes |= dict.fromkeys("gbv", (4,))
    arrays = {name: np.full(shape, WEIGHT, np.float32) for name, shape in shapes.items()}
    arrays |= {
        "low": np.float32(-9),
        "high": np.float32(9),
        "zero": np.int64(0),
        "zeros": np.zeros(1, np.int64),
    }
    arrays["rest"] = np.array([-1], np.int64)
    nodes = [helper.make_node(kind, names.split(), [out], **options) for kind, names, out, options in STEPS]
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, str(path))


def load_onnx_case(path: Path) -> torch.Tensor:
    """What the network of a file, whose name ends in .onnx, makes of a picture [1,5]; or a ChunkyError."""
    with torch.no_grad():
        return load_identity_network(str(path)).embed(torch.zeros(1, 3, SIDE, SIDE))
