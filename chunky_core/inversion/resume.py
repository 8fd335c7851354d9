"""Going on with an earlier projection: whether it can be, and whether its saved state is one at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import SPACES
from ..segments.segment_masks import Segments
from .config import ProjectionConfig
from .record import Inversion, ProjectionState, check_generator, photo_digest
from .stored_state import GLOBAL_CODE, MOMENTS

_LARGEST = 1 << 31  # of a step; the projection itself takes at most some thousands


def check_resumable(
    start: Inversion | None,
    generator: Generator,
    photo: Tensor,
    segments: Segments,
    spaces: tuple[str, ...],
    config: ProjectionConfig,
) -> tuple[Inversion, ProjectionState]:
    """The earlier inversion and its state, if `config` can go on with it.

    Raises WrongGeneratorError for another generator, InvalidInputError where there is no state, or one of
    another photo, of other segments, spaces or masks, or of another way of judging.
    """
    if start is None or start.state is None:
        raise InvalidInputError(
            "there is no projection to go on with; give an inversion that holds its state, or start anew"
        )
    check_generator(start, generator)
    if start.photo_digest != photo_digest(photo):
        raise InvalidInputError(
            "the earlier projection was of another photo; go on with that one, or start from its codes only"
        )
    earlier_spaces = tuple(segment.code.space for segment in start.segments)
    for what, found, wanted in (
        ("the segments", ", ".join(start.names), ", ".join(segments.names)),
        ("the spaces", ", ".join(earlier_spaces), ", ".join(spaces)),
        ("the mode", start.settings.get("mode"), config.mode),
        ("noise maps:", bool(start.noise), config.optimize_noise),
    ):
        if found != wanted:
            raise InvalidInputError(
                f"the earlier projection had {what} {found}, now {wanted}; go on with the same ones, or start "
                "from its codes only"
            )
    if not config.refine_every and not _same_masks(start.masks, segments):
        raise InvalidInputError(
            "the earlier projection had other masks; go on with the same ones, or start from its codes only"
        )
    steps = start.settings.get("steps", 0)
    if not isinstance(steps, int) or isinstance(steps, bool):
        raise InvalidInputError(
            f"the earlier projection's settings are damaged: its steps are {steps!r:.40}; start from its codes only"
        )
    check_state(start.state, len(segments.names), generator.img_resolution)
    return start, start.state


def _same_masks(one: Segments, other: Segments) -> bool:
    pairs = ((one.masks, other.masks), (one.static, other.static))
    return all(a.shape == b.shape and torch.allclose(a.cpu(), b.cpu(), atol=1e-6) for a, b in pairs)


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
        prefix = len(GLOBAL_CODE)
        tensors = {
            name[prefix:]: tensor for name, tensor in state.tensors.items() if name.startswith(GLOBAL_CODE)
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
        moments = [f"{moment}/{index}" for moment in MOMENTS] if done else []
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
