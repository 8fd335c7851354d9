"""Which weights are tuned, and how: each number of small ones, the factors of a low rank of large ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from ...errors import InvalidInputError
from ...generator.generator import Generator

_COARSEST = 16  # pixels of the longer side
WHOLE = 0  # in the place of a rank: every number by itself
Layout = Mapping[str, int]  # rank by the parameter's name


def tunable_parameters(generator: Generator) -> dict[str, Tensor]:
    """The weights and biases of the synthesis network's convolutions, by name, in the order of synthesis.

    Its affine layers stay: what a code is in style space, and with it every direction there, is not to change. So do
    StyleGAN2's layers below 16 pixels, where bytes and time bring less than further up.
    """
    coarsest = min(_COARSEST, generator.img_resolution)
    blocks = {name.partition(".")[0]: resolution for name, resolution in generator.noise_layout}
    skipped = tuple(f"synthesis.{name}." for name, resolution in blocks.items() if resolution < coarsest)
    return {
        name: parameter.detach()
        for name, parameter in generator.module.named_parameters()
        if _is_tunable(name) and not name.startswith(skipped)
    }


def _is_tunable(name: str) -> bool:
    return name.startswith("synthesis.") and ".affine." not in name and name.endswith((".weight", ".bias"))


def number_count(generator: Generator) -> int:
    """How many numbers the generator's weights and buffers have: its size in a file."""
    return sum(tensor.numel() for tensor in generator.module.state_dict().values())


def layout_of(generator: Generator, size: float, rank: int = 0, count: int = 1) -> dict[str, int]:
    """How each of the `tunable_parameters` is tuned, so that `count` deltas have at most a share `size` of the
    generator's numbers together.

    rank: of all large weights; 0 = as high as `size` allows.
    Raises InvalidInputError where that rank needs more, or nothing fits.
    """
    parameters, room = tunable_parameters(generator), int(size / count * number_count(generator))
    if rank:
        layout = _at_rank(parameters, rank)
        needed = _total(parameters, layout)
        if needed > room:
            raise _no_room(f"{_deltas(count)} of rank {rank}", size, count * needed / number_count(generator))
        return layout
    highest = max(max(_sides(one)) for one in parameters.values())
    low, high = 0, highest  # the highest rank that fits lies in [low, high]
    while low < high:
        middle = (low + high + 1) // 2
        if _total(parameters, _at_rank(parameters, middle)) <= room:
            low = middle
        else:
            high = middle - 1
    if not low:
        least = _total(parameters, _at_rank(parameters, 1))
        raise _no_room(_deltas(count), size, count * least / number_count(generator))
    return _filled(parameters, _at_rank(parameters, low), room)


def _deltas(count: int) -> str:
    return "a delta" if count == 1 else f"{count} deltas, one for each segment,"


def _no_room(what: str, size: float, needed: float) -> InvalidInputError:
    fewer = "" if "deltas" not in what else ", fewer segments, or one delta that they share"
    return InvalidInputError(
        f"{what} of this generator can't be as small as {size:.2%} of its bytes; set size to at least "
        f"{math.ceil(1e4 * needed) / 1e4:.2%}{fewer}"
    )


def _at_rank(parameters: Mapping[str, Tensor], rank: int) -> dict[str, int]:
    return {name: _fitting(parameter, rank) for name, parameter in parameters.items()}


def _fitting(parameter: Tensor, rank: int) -> int:
    """The rank, or WHOLE where the factors would have as many numbers."""
    rows, columns = _sides(parameter)
    return rank if rank * (rows + columns) < rows * columns else WHOLE


def _filled(parameters: Mapping[str, Tensor], layout: dict[str, int], room: int) -> dict[str, int]:
    """The layout, and the room that is left for the last layers first: whole where that fits, else a rank more."""
    for name in reversed(list(parameters)):
        if layout[name] == WHOLE:
            continue
        for rank in (WHOLE, layout[name] + 1):
            wider = layout | {name: rank}
            if _total(parameters, wider) <= room:
                layout = wider
                break
    return layout


def _total(parameters: Mapping[str, Tensor], layout: Layout) -> int:
    return sum(_numbers(parameters[name], rank) for name, rank in layout.items())


def _numbers(parameter: Tensor, rank: int) -> int:
    return parameter.numel() if rank == WHOLE else rank * sum(_sides(parameter))


def _sides(parameter: Tensor) -> tuple[int, int]:
    """The parameter as a matrix [O,rest]."""
    return parameter.shape[0], parameter.numel() // parameter.shape[0]
