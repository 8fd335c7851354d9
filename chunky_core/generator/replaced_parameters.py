"""A generator with other tensors in the place of some parameters, which shares all the rest with the first."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from .generator import Generator
from .layers import SynthesisLayer
from .stylegan3_layers import FilteredLayer

SomeModule = TypeVar("SomeModule", bound=nn.Module)


def with_parameters(generator: Generator, tensors: Mapping[str, Tensor]) -> Generator:
    """`generator` with `tensors` as its parameters of these names ("synthesis.b8.conv0.weight"); nothing is copied.

    tensors: of the shapes, dtype and layout in memory of those that they stand for. The layers of those that want
    gradients are differentiable by their weights; what other layers keep of theirs is shared, too.
    """
    return generator.with_module(_replaced(generator.module, tensors))


def _replaced(module: SomeModule, tensors: Mapping[str, Tensor]) -> SomeModule:
    """The module with these parameters, and new modules on the way to them."""
    own = copy.copy(module)
    own._parameters, own._buffers = dict(module._parameters), dict(module._buffers)
    own._modules = dict(module._modules)
    inner: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        child, _, rest = name.partition(".")
        if rest:
            inner.setdefault(child, {})[rest] = tensor
        else:
            own._parameters[name] = _parameter(tensor)
    for child, some in inner.items():
        own._modules[child] = _replaced(module.get_submodule(child), some)
    changed = [tensor for name, tensor in tensors.items() if "." not in name]
    if changed and isinstance(own, SynthesisLayer | FilteredLayer):
        own.weights_changed(trained=any(tensor.requires_grad for tensor in changed))
    return own


def _parameter(tensor: Tensor) -> Any:
    """A tensor that wants gradients stays as it is: they are taken by itself."""
    return tensor if tensor.requires_grad else nn.Parameter(tensor, requires_grad=False)
