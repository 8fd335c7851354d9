"""Whether a direction, and the layers that it is kept to, fit a generator."""

from __future__ import annotations

from collections.abc import Sequence

from ..checks import check_each, check_type
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import Direction, checked_layers


def check_direction(generator: Generator, direction: Direction) -> None:
    """Raise InvalidInputError for a direction of other generators."""
    check_type(direction, "the direction", Direction, "load_directions reads some by their names")
    expected = code_size(generator, direction.space)
    if tuple(direction.tensor.shape) != expected:
        raise misfit(generator, direction.name, tuple(direction.tensor.shape), direction.space)
    check_layers(generator, direction.space, direction.layers, f"the direction {direction.name[:80]!r}")


def check_layers(generator: Generator, space: str, layers: Sequence[int], whose: str) -> None:
    """Raise InvalidInputError for layers that a generator's codes of `space` don't have."""
    check_type(generator, "the generator", Generator, "it comes first; load_generator reads one")
    check_each(layers, f"the layers of {whose}", int, "parse_layers reads texts such as '4-7'")
    checked_layers(layers, whose)
    count = layer_count(generator, space)
    if layers and max(layers) >= count:
        raise InvalidInputError(
            f"{whose} moves layer {max(layers)}, this generator's of {space.upper()} are 0 to {count - 1}"
        )


def layer_count(generator: Generator, space: str) -> int:
    """How many layers the codes of a space have: styles of S, else vectors of W+."""
    return len(generator.style_layout) if space == "s" else generator.num_ws


def code_size(generator: Generator, space: str) -> tuple[int, ...]:
    """The shape of a direction of w, w+ or s."""
    sizes = {"w": (generator.w_dim,), "w+": (generator.num_ws, generator.w_dim)}
    return sizes.get(space, (sum(width for _, width in generator.style_layout),))


def misfit(
    generator: Generator, name: str, found: tuple[int, ...], space: str | None = None
) -> InvalidInputError:
    """The error for a direction of another size, with both. space: None = any of the generator's spaces."""
    if space is None:
        needed = " or ".join(
            f"{_text(code_size(generator, one))} ({one.upper()})" for one in ("w", "w+", "s")
        )
        message = f"has {_text(found)} numbers, a code of this generator {needed}"
    else:
        needed = _text(code_size(generator, space))
        message = f"has {_text(found)} numbers in {space.upper()}, a code of this generator {needed}"
    return InvalidInputError(f"the direction {name[:80]!r} {message}; use directions made for it")


def _text(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))
