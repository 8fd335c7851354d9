"""Small identity embedders and their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chunky_core.losses import IdentityNetwork, LossConfig, load_networks
from chunky_core.losses.resize import resize


class Embedder(nn.Module):
    """Of the layers that ArcFace's networks are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.prelu = nn.PReLU(6)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.linear = nn.Linear(24, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.pool(self.prelu(self.norm(self.conv(x)))).flatten(1))


def embedder(seed: int = 0) -> Embedder:
    """A small network of the layers that ArcFace's are made of, with seeded weights; 8 numbers per picture."""
    network = Embedder().eval()
    rng = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.4, generator=rng)
    return network


def faces(count: int = 2, side: int = 96) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return resize(torch.rand(count, 3, 9, 9, generator=rng) * 2 - 1, (side, side))


def load(path: Path | str, channels: str = "rgb") -> IdentityNetwork:
    """Loaded as under the host, that runs everything in inference mode."""
    config = LossConfig(identity=1.0, identity_net=str(path), identity_channels=channels)
    with torch.inference_mode():
        network = load_networks(config).identity
    assert network is not None
    return network


def scripted(path: Path, network: nn.Module) -> Path:
    """A TorchScript archive, which is a program."""
    torch.jit.script(network).save(str(path))
    return path


def exported(path: Path, network: nn.Module, side: int = 112, opset: int = 17, **options: Any) -> Path:
    """The network as PyTorch's own exporter writes it."""
    pytest.importorskip("onnx2torch")
    torch.onnx.export(
        network, torch.zeros(1, 3, side, side), str(path), opset_version=opset, dynamo=False, **options
    )
    return path


def onnx_file(path: Path, network: Embedder, side: int = 112, prefix: str = "") -> Path:
    """The network of `embedder` written by hand; `prefix` starts the name of every node and value."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnx2torch")
    make = onnx.helper
    norm = network.norm
    arrays: dict[str, Any] = {
        "w": network.conv.weight, "b": network.conv.bias, "g": norm.weight, "h": norm.bias, "m": norm.running_mean,
        "v": norm.running_var, "s": network.prelu.weight[:, None, None], "k": network.linear.weight,
        "l": network.linear.bias,
    }  # fmt: skip
    pooled = (side - 3) // 2 + 1
    steps: list[tuple[str, str, str, dict[str, Any]]] = [
        ("Conv", "x w b", "c", {"strides": [2, 2]}),
        ("BatchNormalization", "c g h m v", "n", {"epsilon": norm.eps}),
        ("PRelu", "n s", "p", {}),
        ("AveragePool", "p", "a", {"kernel_shape": [(pooled + 1) // 2] * 2, "strides": [pooled // 2] * 2}),
        ("Flatten", "a", "f", {}),
        ("Gemm", "f k l", "e", {"transB": 1}),
    ]
    nodes = [
        make.make_node(kind, [prefix + i for i in inputs.split()], [prefix + out], prefix + kind, **options)
        for kind, inputs, out, options in steps
    ]
    weights = [onnx.numpy_helper.from_array(t.detach().numpy(), prefix + name) for name, t in arrays.items()]
    kind = onnx.TensorProto.FLOAT
    graph = make.make_graph(
        nodes, "g", [make.make_tensor_value_info(prefix + "x", kind, [1, 3, side, side])],
        [make.make_tensor_value_info(prefix + "e", kind, [1, 8])], weights,
    )  # fmt: skip
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def graph_file(
    path: Path,
    nodes: list[Any],
    weights: dict[str, Any],
    side: int = 16,
    opset: int = 17,
    outputs: Sequence[str] = "o",
) -> Path:
    """An ONNX file of `nodes` that take the picture "x" and make `outputs`."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnx2torch")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = make.make_graph(
        nodes, "g", [make.make_tensor_value_info("x", kind, [1, 3, side, side])],
        [make.make_tensor_value_info(name, kind, None) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
