"""Whether a projection's saved state can be gone on with: a file may hold anything where numbers are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..errors import InvalidInputError
from ..generator.spaces import SPACES
from .state import ProjectionState

COMPANION = "companion/"  # what the names of its tensors begin with
_MOMENTS = ("exp_avg", "exp_avg_sq")
_LARGEST = 1 << 31  # of a step; the projection itself takes at most some thousands


def check_state(state: ProjectionState, parts: int, resolution: int) -> None:
    """Raise InvalidInputError where a state isn't one of a projection.

    parts: segments, for which it may hold one code each, or one for all while it is in its warm-up; resolution: of the
    generator in pixels, at which, at half or at a quarter of which the state was judged last.
    """
    if not _is_count(state.step):
        raise _damaged("its step", state.step, "a whole number")
    numbers = state.numbers
    last = numbers.get("resolution", 0)
    if not _is_count(last) or last not in (0, resolution, resolution // 2, resolution // 4):
        raise _damaged("its resolution", last, f"{resolution}, a half or a quarter of it")
    _check_fit(numbers, state.tensors, (1, parts))
    if "companion" in numbers:
        own = numbers["companion"]
        if not isinstance(own, Mapping):
            raise _damaged("its shared code", own, "named numbers")
        prefix = len(COMPANION)
        tensors = {
            name[prefix:]: tensor for name, tensor in state.tensors.items() if name.startswith(COMPANION)
        }
        _check_fit(own, tensors, (1,))
    if "rng" not in state.tensors:
        raise _lacking("rng")


def _check_fit(numbers: Mapping[str, Any], tensors: Mapping[str, Tensor], counts: Sequence[int]) -> None:
    spaces = _list(numbers, "spaces", lambda space: isinstance(space, str) and space in SPACES, "spaces")
    count = len(spaces)
    if count not in counts:
        raise _damaged("its spaces", spaces, f"{' or '.join(map(str, counts))} of them")
    _list(numbers, "active", lambda one: isinstance(one, bool), "true or false", count)
    for name in ("best_losses", "references", "limits"):
        _list(numbers, name, lambda loss: loss is None or _is_loss(loss), "numbers or null", count)
    _list(numbers, "improved_at", _is_count, "steps", count)
    steps = _list(numbers, "adam_steps", _is_count, "whole numbers")
    if len(steps) < count:
        raise _damaged("its adam_steps", steps, f"at least {count} of them")
    for index, done in enumerate(steps):
        best = f"best/{index}" if index < count else f"best_maps/{index - count}"
        moments = [f"{moment}/{index}" for moment in _MOMENTS] if done else []
        _check_alike(tensors, [f"values/{index}", best, *moments])


def _check_alike(tensors: Mapping[str, Tensor], names: Sequence[str]) -> None:
    """All of them there, of floats, and of one shape."""
    for name in names:
        if name not in tensors:
            raise _lacking(name)
        found, wanted = tensors[name], tensors[names[0]]
        if not found.is_floating_point() or found.shape != wanted.shape:
            raise _damaged(
                f"its {name!r}", f"{found.dtype} {list(found.shape)}", f"floats {list(wanted.shape)}"
            )


def _list(numbers: Mapping[str, Any], name: str, fits: Any, what: str, count: int | None = None) -> list[Any]:
    found = numbers.get(name)
    if not isinstance(found, list | tuple) or not all(map(fits, found)) or count not in (None, len(found)):
        raise _damaged(f"its {name}", found, what if count is None else f"{count} {what}")
    return list(found)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST


def _is_loss(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e308 < value < 1e308


def _lacking(name: str) -> InvalidInputError:
    return InvalidInputError(
        f"the earlier projection's state is damaged: it lacks {name!r}; start from its codes only"
    )


def _damaged(what: str, found: object, expected: str) -> InvalidInputError:
    return InvalidInputError(
        f"the earlier projection's state is damaged: {what} is {str(found):.80}, expected {expected}; start from its "
        "codes only"
    )
