"""Going on with an earlier projection: whether it can be, and from what state."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..segments.segment_masks import Segments
from .companion import Companion
from .config import ProjectionConfig
from .fit import Fit
from .inversion import Inversion, check_generator, photo_digest
from .judge import Judge
from .state import ProjectionState
from .state_check import COMPANION, check_state


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
        ("noise maps:", bool(start.noise), config.optimise_noise),
    ):
        if found != wanted:
            raise InvalidInputError(
                f"the earlier projection had {what} {found}, now {wanted}; go on with the same ones, or start "
                "from its codes only"
            )
    if not config.refine_every and not _same_masks(start.masks(), segments):
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


def restored_fit(state: ProjectionState, rng: torch.Generator, device: torch.device, tied: bool) -> Fit:
    """The fit that a state holds, with `rng` set to where it was. Raises InvalidInputError for a damaged state."""
    try:
        rng.set_state(state.tensors["rng"].detach().clone())
        return Fit.restore(state.numbers, state.tensors, device, tied)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(
            f"the state of the earlier projection is damaged ({error!r}); start from its codes only"
        ) from error


def restored_companion(state: ProjectionState, judge: Judge) -> Companion | None:
    """The companion that a state holds, if it had one. Raises InvalidInputError for a damaged state."""
    if "companion" not in state.numbers:
        return None
    tensors = {
        name.removeprefix(COMPANION): tensor
        for name, tensor in state.tensors.items()
        if name.startswith(COMPANION)
    }
    inner = ProjectionState(state.step, state.numbers["companion"], {**tensors, "rng": state.tensors["rng"]})
    return Companion(restored_fit(inner, judge.rng, judge.generator.device, tied=False), judge)


def _same_masks(one: Segments, other: Segments) -> bool:
    pairs = ((one.masks, other.masks), (one.static, other.static))
    return all(a.shape == b.shape and torch.allclose(a.cpu(), b.cpu(), atol=1e-6) for a, b in pairs)
