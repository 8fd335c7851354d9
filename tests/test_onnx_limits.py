"""What an ONNX file may ask for is known before any of it is converted or run."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chunky_core.errors import ChunkyError, UnsupportedCheckpointError
from chunky_core.losses.onnx import files as onnx_files
from chunky_core.losses.resize import resize
from tests.embedders import embedder, faces, graph_file, load, onnx_file
from tests.fuzz.onnx_files import load_onnx_case, write_onnx_seed
from tests.fuzz.onnx_mutate import mutated_onnx

onnx = pytest.importorskip("onnx", reason="networks in ONNX need onnx and onnx2torch")
pytest.importorskip("onnx2torch", reason="networks in ONNX need onnx and onnx2torch")


@pytest.fixture
def unconverted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_files, "ComputedGraph", lambda *_: pytest.fail("it was converted"))


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def vector(*nodes: Any) -> list[Any]:
    """`nodes`, the last of which gives "y", and what makes a vector of it."""
    return [*nodes, onnx.helper.make_node("Flatten", ["y"], ["o"])]


make = onnx.helper.make_node
ROW = ["x", "a", "b", "c", "y"]
HUGE: dict[str, tuple[list[Any], dict[str, np.ndarray]]] = {
    "numbers": (vector(make("Expand", ["x", "s"], ["y"])), {"s": whole(4000, 3, 112, 112)}),
    "numbers by a pad": (vector(make("Pad", ["x", "s"], ["y"])), {"s": whole(0, 0, 0, 0, 0, 0, 8000, 8000)}),
    "numbers by a row": (
        vector(*(make("Concat", [ROW[i]] * 8, [ROW[i + 1]], axis=3) for i in range(len(ROW) - 1))),
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HUGE))
def test_results_beyond_any_network_are_refused(name: str, tmp_path: Path, unconverted: None) -> None:
    nodes, weights = HUGE[name]
    path = graph_file(tmp_path / "net.onnx", nodes, weights, 112)
    assert path.stat().st_size < 10000
    with pytest.raises(UnsupportedCheckpointError, match=r"computes \d+ numbers.*at most 134217728"):
        load(path)


def test_products_beyond_any_network_are_refused(tmp_path: Path, unconverted: None) -> None:
    """Thirty convolutions by one weight of a few megabytes."""
    nodes = [make("Conv", ["x", "first"], ["y0"])]
    nodes += [make("Conv", [f"y{i}", "w"], [f"y{i + 1}"], pads=[7, 7, 7, 7]) for i in range(30)]
    nodes.append(make("Flatten", ["y30"], ["o"]))
    weights = {"first": np.zeros((64, 3, 1, 1), np.float32), "w": np.zeros((64, 64, 15, 15), np.float32)}
    with pytest.raises(UnsupportedCheckpointError, match=r"by \d+ products.*and 274877906944"):
        load(graph_file(tmp_path / "net.onnx", nodes, weights, 112))


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [10**9, 1]}, "'strides' = .*from 1 to 1024"),
        ("AveragePool", {"kernel_shape": [10**9, 10**9]}, "'kernel_shape' = .*from 1 to 1024"),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [0, 0, -5, 10**9]}, "'pads' = .*from 0 to 1024"),
        ("MaxPool", {"kernel_shape": [3, 3], "dilations": [0, 0]}, "'dilations' = .*from 1 to 1024"),
        ("MaxPool", {"kernel_shape": [3] * 100}, "'kernel_shape' = "),
        ("Tile", {}, r"the operators 'Tile', which aren't opened.*Conv"),
        ("RandomNormalLike", {}, "the operators 'RandomNormalLike'"),
        ("Loop\nx", {}, r"the operators 'Loop\\nx'"),
        ("Relu", {"domain": "com.example"}, "'com.example::Relu'"),
    ],
)
def test_operators_and_settings_out_of_range_are_named(
    kind: str, settings: dict[str, Any], said: str, tmp_path: Path, unconverted: None
) -> None:
    path = graph_file(tmp_path / "net.onnx", vector(make(kind, ["x"], ["y"], **settings)), {}, 112)
    with pytest.raises(UnsupportedCheckpointError, match=said) as error:
        load(path)
    assert "\n" not in str(error.value)


def test_a_network_of_endless_length_is_refused(tmp_path: Path, unconverted: None) -> None:
    nodes = [make("Neg", ["x" if not i else f"y{i}"], [f"y{i + 1}"]) for i in range(5000)]
    with pytest.raises(UnsupportedCheckpointError, match="5001 operators; expected at most 4096"):
        load(graph_file(tmp_path / "net.onnx", [*nodes, make("Flatten", ["y5000"], ["o"])], {}))


def change(path: Path, edit: Any) -> Path:
    model = onnx.load(str(path))
    edit(model)
    path.write_bytes(model.SerializeToString())
    return path


def picture_shape(*sides: int) -> Any:
    def edit(model: Any) -> None:
        for side, value in zip(model.graph.input[0].type.tensor_type.shape.dim, sides, strict=True):
            side.dim_value = value

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (picture_shape(1, 3, 10**6, 10**6), "pictures of 1000000x1000000; expected sides of 16 to 1024"),
        (picture_shape(1, 112, 112, 3), "sizes .1, 112, 112, 3.*expected one picture"),
        (
            lambda m: m.graph.initializer[0].dims.__setitem__(0, 2**40),
            "is damaged: its weight.*get a fresh copy",
        ),
        (lambda m: m.graph.initializer[0].dims.append(-1), "is damaged: its weight"),
        (lambda m: setattr(m.graph.initializer[0], "data_type", 4), "numbers of ONNX type 4.*quantisation"),
        (lambda m: m.graph.output.add(name="second"), "2 outputs; expected one picture.*one embedding"),
        (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 10), "float32"),
        (lambda m: m.functions.add(name="f"), "functions or sparse weights"),
        (lambda m: m.opset_import.add(version=17), "names 2 opsets"),
        (
            lambda m: m.graph.node[1].attribute.add(name="training_mode", type=2, i=1),
            "export it again after model.eval",
        ),
        (
            lambda m: m.graph.node.reverse(),
            "no valid ONNX network .Nodes in a graph must be topologically sorted",
        ),
    ],
)
def test_files_that_say_something_else_are_refused(
    edit: Any, said: str, tmp_path: Path, unconverted: None
) -> None:
    path = change(onnx_file(tmp_path / "net.onnx", embedder()), edit)
    with pytest.raises(UnsupportedCheckpointError, match=said) as error:
        load(path)
    assert "\n" not in str(error.value) and "net.onnx" in str(error.value)


def test_what_does_not_matter_is_taken(tmp_path: Path) -> None:
    """A batch of 64, weights that are inputs too (as of ONNX before 2019), no shape of the output, metadata."""
    path = onnx_file(tmp_path / "net.onnx", embedder())
    expected = load(path).embed(faces())

    def edit(model: Any) -> None:
        picture_shape(64, 3, 112, 112)(model)
        model.ir_version = 3
        for tensor in model.graph.initializer:
            kind = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            model.graph.input.add().CopyFrom(kind)
        model.graph.output[0].type.tensor_type.ClearField("shape")
        model.opset_import.add(domain="ai.onnx.ml", version=3)
        model.metadata_props.add(key="author", value="nobody\n")

    assert load(change(path, edit)).embed(faces()).equal(expected)


@pytest.mark.parametrize("used", [False, True])
def test_second_outputs_are_dropped_where_nobody_uses_them(used: bool, tmp_path: Path) -> None:
    """As of a Dropout in files of older exporters: the mask is no part of the result."""
    nodes = [make("Dropout", ["x"], ["d", "mask"]), make("MaxPool", ["d"], ["p", "at"], kernel_shape=[2, 2])]
    nodes += [make("Flatten", ["p"], ["f"]), make("Cast", ["mask"], ["m"], to=1), make("Neg", ["f"], ["o"])]
    path = graph_file(tmp_path / "net.onnx", nodes if used else [*nodes[:3], nodes[4]], {})
    if used:
        with pytest.raises(UnsupportedCheckpointError, match="second output of 'Dropout'"):
            load(path)
        return
    expected = -nn.functional.max_pool2d(resize(faces(), (16, 16)), 2, 1).flatten(1)
    assert torch.allclose(load(path).embed(faces()), nn.functional.normalize(expected), atol=1e-6)


def test_damaged_files_end_in_our_own_errors(tmp_path: Path, nothing_created: Path) -> None:
    path = tmp_path / "case.onnx"
    write_onnx_seed(path)
    data, loaded = path.read_bytes(), 0
    assert load_onnx_case(path).shape == (1, 5)
    for case in range(600):
        path.write_bytes(mutated_onnx(data, Random(f"onnx/test/{case}")))
        try:
            load_onnx_case(path)
            loaded += 1
        except ChunkyError as error:
            assert "\n" not in str(error) and len(str(error)) < 1500, case
    assert 20 < loaded < 580
