"""Which ONNX operators, settings and versions a network from a file may have."""

from __future__ import annotations

from typing import Any

from ...errors import UnsupportedCheckpointError

FIRST_OPSET, LAST_OPSET, BEST_OPSET = 9, 18, 17  # measured with onnx2torch 1.5.15, see docs/projection.md
# What embedding and feature networks for pictures are made of. None of them makes numbers of its own, reads
# anything but its inputs, or has a size that only running it would tell.
OPERATORS = frozenset((
    "Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Conv", "Div", "Dropout", "Elu",
    "Erf", "Exp", "Expand", "Flatten", "Gather", "Gemm", "GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity",
    "InstanceNormalization", "LayerNormalization", "LeakyRelu", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg",
    "PRelu", "Pad", "Pow", "ReduceL2", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Shape", "Sigmoid", "Slice",
    "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze",
))  # fmt: skip
MAX_NODES = 4096
MAX_INPUTS = 256  # of one node
_MAX_LIST = 64  # numbers in one setting
_RANGES = {
    "kernel_shape": (1, 1024),
    "strides": (1, 1024),
    "dilations": (1, 1024),
    "pads": (0, 1024),
    "group": (1, 1 << 16),
    "starts": (-(1 << 63), 1 << 63),
    "ends": (-(1 << 63), 1 << 63),
}
_ANY_INTEGER = (-(1 << 31), 1 << 31)


def check_version(name: str, model: Any) -> None:
    """Raises UnsupportedCheckpointError for another opset than onnx2torch converts, and for other domains'."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1:
        raise UnsupportedCheckpointError(
            f"{name} names {len(versions)} opsets; expected one, get a fresh copy of it"
        )
    if not FIRST_OPSET <= versions[0] <= LAST_OPSET:
        raise UnsupportedCheckpointError(
            f"{name} is of ONNX opset {versions[0]}; this program opens {FIRST_OPSET} to {LAST_OPSET}: "
            f"{convert_hint(name)}"
        )
    del model.opset_import[:]
    model.opset_import.add(version=versions[0])


def convert_hint(name: str) -> str:
    """How to bring a file to another opset."""
    return (
        f"export it again with opset_version={BEST_OPSET}, or convert it: import onnx, onnx.version_converter as v; "
        f"onnx.save(v.convert_version(onnx.load({name!r}), {BEST_OPSET}), 'converted.onnx')"
    )


def check_operators(name: str, model: Any) -> None:
    """Raises UnsupportedCheckpointError for operators outside OPERATORS and for settings out of range."""
    nodes = model.graph.node
    if len(nodes) > MAX_NODES:
        raise UnsupportedCheckpointError(f"{name} has {len(nodes)} operators; expected at most {MAX_NODES}")
    unknown = sorted({_shown(node) for node in nodes if node.domain or node.op_type not in OPERATORS})
    if unknown:
        raise UnsupportedCheckpointError(
            f"{name} has the operators {', '.join(unknown[:5])}, which aren't opened; expected a network for pictures "
            f"made of {', '.join(sorted(OPERATORS))}"
        )
    for node in nodes:
        if len(node.input) > MAX_INPUTS or len(node.output) > MAX_INPUTS:
            raise UnsupportedCheckpointError(
                f"{name}: {node.op_type} has more than {MAX_INPUTS} inputs or outputs"
            )
        for attribute in node.attribute:
            _check_setting(name, node.op_type, attribute)


def _shown(node: Any) -> str:
    return ascii(f"{node.domain}::{node.op_type}" if node.domain else node.op_type)[:60]


def _check_setting(name: str, operator: str, attribute: Any) -> None:
    values = [*attribute.ints, attribute.i]
    least, most = _RANGES.get(attribute.name, _ANY_INTEGER)
    if not attribute.HasField("i"):
        values.pop()
    if len(values) > _MAX_LIST or any(not least <= value <= most for value in values):
        raise UnsupportedCheckpointError(
            f"{name}: {operator} has {attribute.name[:40]!a} = {values[:8]}; expected numbers from {least} to {most}"
        )
    if operator == "BatchNormalization" and attribute.name == "training_mode" and attribute.i:
        raise UnsupportedCheckpointError(
            f"{name} was exported while it was being trained; export it again after model.eval()"
        )
