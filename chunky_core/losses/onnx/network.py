"""An ONNX network run node by node, by the modules of onnx2torch.

The package would write Python code for the whole network and compile it; here nothing that is run comes from a file.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn


class _Step(NamedTuple):
    """inputs: of the node's module, "" where one is left out; done: values that no later node needs."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    done: Sequence[str]


class ComputedGraph(nn.Module):
    """Picture [B,3,h,w] -> the outputs of an ONNX graph, a tensor where there is one, else a tuple.

    model: checked, nodes in the order of running, with the sizes of its values.
    """

    def __init__(self, model: Any) -> None:
        from onnx2torch.node_converters import get_converter
        from onnx2torch.onnx_graph import OnnxGraph

        super().__init__()
        graph, version = OnnxGraph(model.graph), model.opset_import[0].version
        self.input_name, self.results = graph.input_values[0], tuple(graph.output_values)
        self.nodes, mappings = nn.ModuleList(), []
        for node in graph.nodes.values():
            converter = get_converter(domain="", operation_type=node.operation_type, version=version)
            module, mapping = converter(node, graph)
            self.nodes.append(module)
            mappings.append((tuple(mapping.inputs), tuple(node.output_values)))
        used = {name for inputs, _ in mappings for name in inputs}
        for name in sorted(used & set(graph.initializers)):
            self.register_buffer(name, graph.initializers[name].to_torch())
        self.steps = _steps(mappings, {*self.results, self.input_name})

    def forward(self, image: Tensor) -> Any:
        values: dict[str, Any] = dict(self.named_buffers(recurse=False))
        values[self.input_name] = image
        for step, module in zip(self.steps, self.nodes, strict=True):
            result = _run(module, [values[name] if name else None for name in step.inputs])
            several = len(step.outputs) > 1
            values.update(zip(step.outputs, result if several else [result], strict=True))
            for name in step.done:
                values.pop(name, None)
        found = tuple(values[name] for name in self.results)
        return found if len(found) > 1 else found[0]


def _steps(mappings: Sequence[tuple[Sequence[str], Sequence[str]]], kept: set[str]) -> list[_Step]:
    last = {name: index for index, (inputs, outputs) in enumerate(mappings) for name in (*inputs, *outputs)}
    done: dict[int, list[str]] = {}
    for name, index in last.items():
        if name not in kept:
            done.setdefault(index, []).append(name)
    return [_Step(inputs, outputs, done.get(index, [])) for index, (inputs, outputs) in enumerate(mappings)]


def _run(module: nn.Module, arguments: list[Tensor | None]) -> Any:
    if None not in arguments:
        return module(*arguments)
    first = arguments.index(None)
    names = list(inspect.signature(module.forward).parameters)[first:]
    rest = {name: value for name, value in zip(names, arguments[first:], strict=False) if value is not None}
    return module(*arguments[:first], **rest)
