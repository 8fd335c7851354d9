"""A generator with a little added to some of its weights (pivotal tuning: Roich et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..checks import check_shape
from ..deprecated import old_names
from ..errors import InvalidInputError
from .architecture import build_module
from .generator import Generator


def with_weight_deltas(generator: Generator, delta: Mapping[str, Tensor]) -> Generator:
    """`generator` with delta added to its weights: itself where delta is empty, otherwise a copy.

    delta: by the parameter's name ("synthesis.b8.conv0.weight"), in any floating dtype and on any device.
    Raises InvalidInputError for names and shapes that the generator doesn't have, and for NaN and infinity.
    """
    if not delta:
        return generator
    state = dict(generator.module.state_dict())
    parameters = {name for name, _ in generator.module.named_parameters()}
    with torch.inference_mode(False):
        for name, added in delta.items():
            if name not in parameters:
                raise InvalidInputError(
                    f"a delta is for the parameter {name!r}, which this generator doesn't have; load the "
                    "generator it was tuned for"
                )
            state[name] = _sum(name, state[name].detach(), added.detach())
        module = build_module(generator.architecture, state, generator.device, generator.dtype)
    return Generator(module, generator.metadata, architecture=generator.architecture)


def _sum(name: str, weight: Tensor, added: Tensor) -> Tensor:
    check_shape(added, f"the delta of {name}", tuple(weight.shape), "load the generator it was tuned for")
    if not added.is_floating_point() or not added.isfinite().all():
        raise InvalidInputError(f"the delta of {name} holds {added.dtype}, NaN or infinity; expected numbers")
    return weight + added.to(weight)


__getattr__ = old_names(__name__)
