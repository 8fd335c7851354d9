"""A generator with a little added to some of its weights (pivotal tuning: Roich et al. 2021).

A delta is a mapping of tensors by the parameter's name: "synthesis.b8.conv0.weight" is added to that weight as it is;
of low rank it is the pair "synthesis.b8.conv0.weight.u" [O,r] and "synthesis.b8.conv0.weight.v" [r,rest], and u @ v is
added to the weight [O,...].
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..checks import check_shape
from ..deprecated import old_names
from ..errors import InvalidInputError
from .generator import Generator
from .replaced_parameters import with_parameters

LEFT, RIGHT = ".u", ".v"  # what the names of the two factors of a low rank end with
_ADVICE = "load the generator it was tuned for"


def with_weight_deltas(generator: Generator, delta: Mapping[str, Tensor]) -> Generator:
    """`generator` with a delta added to its weights: itself where the delta is empty. Only the weights that it changes
    are new; all others are the generator's own tensors.

    delta: see above; in any floating dtype and on any device.
    Raises InvalidInputError for names and shapes that the generator doesn't have, for a factor without the other, and
    for NaN and infinity.
    """
    if not delta:
        return generator
    generator = generator.to()  # fit for autograd, even if it was made in inference mode
    with torch.inference_mode(False), torch.no_grad():
        return with_parameters(generator, _sums(dict(generator.module.named_parameters()), delta))


def delta_bytes(delta: Mapping[str, Tensor]) -> int:
    """How many bytes the tensors of a delta take, in memory and in a file."""
    return sum(tensor.numel() * tensor.element_size() for tensor in delta.values())


def product(u: Tensor, v: Tensor, weight: Tensor) -> Tensor:
    """u: [O,r] @ v: [r,rest] as what is added to `weight`, in its shape and dtype; at least float32 on the way."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    return (u.to(weight.device, dtype) @ v.to(weight.device, dtype)).reshape(weight.shape).to(weight.dtype)


def sum_like(weight: Tensor, added: Tensor) -> Tensor:
    """weight + added, laid out in memory as the weight is."""
    return torch.add(weight, added, out=torch.empty_like(weight))


def _sums(parameters: Mapping[str, Tensor], delta: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The changed parameters, by name."""
    sums: dict[str, Tensor] = {}
    for name, tensor in delta.items():
        target = name.removesuffix(LEFT).removesuffix(RIGHT)
        if target not in parameters:
            raise InvalidInputError(
                f"a delta is for the parameter {target!r}, which this generator doesn't have; {_ADVICE}"
            )
        _check_numbers(name, tensor)
        weight = parameters[target].detach()
        if name.endswith(RIGHT):
            if target + LEFT not in delta:
                raise InvalidInputError(
                    f"a delta has {name!r} without {target + LEFT!r}; expected both factors"
                )
            continue
        if name.endswith(LEFT):
            added = _product(target, tensor, delta, weight)
        else:
            check_shape(tensor, f"the delta of {name}", tuple(weight.shape), _ADVICE)
            added = tensor.detach().to(weight)
        sums[target] = sum_like(sums.get(target, weight), added)
    return sums


def _product(target: str, u: Tensor, delta: Mapping[str, Tensor], weight: Tensor) -> Tensor:
    """The two factors of the delta of a parameter, multiplied."""
    v = delta.get(target + RIGHT)
    if v is None:
        raise InvalidInputError(
            f"a delta has {target + LEFT!r} without {target + RIGHT!r}; expected both factors"
        )
    _check_numbers(target + RIGHT, v)
    rows = weight.shape[0] if weight.ndim else 1
    check_shape(u, f"the delta {target + LEFT}", (rows, "r"), _ADVICE)
    check_shape(v, f"the delta {target + RIGHT}", (u.shape[1], weight.numel() // rows), _ADVICE)
    return product(u.detach(), v.detach(), weight)


def _check_numbers(name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point() or not tensor.isfinite().all():
        raise InvalidInputError(
            f"the delta of {name} holds {tensor.dtype}, NaN or infinity; expected numbers"
        )


__getattr__ = old_names(__name__)
