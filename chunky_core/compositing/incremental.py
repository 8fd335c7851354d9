"""Incremental editing (P1 = Futschik et al. 2021, fig. 5; P2 = Subrtova et al. 2022, fig. 9): the composite of one step
is the photo of the next, and an earlier step can be changed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ..callbacks import Callback
from ..checks import check_type, check_whole
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..images import from_uint8, to_uint8
from ..images.same_photo import how_photos_differ
from ..inversion import Inversion, ProjectionConfig, SegmentCode, SegmentCodes, project
from ..inversion.record import EarlierStep, photo_digest
from ..inversion.segment_synthesis import GRAY_LEVELS
from ..losses import LossConfig
from ..losses.pixel import masked_mean
from .composite import composite
from .own_generator import own_generator

OPTIONS = (
    "replace",
    "keep_detail",
    "mode",
    "mixed",
    "band",
    "between",
    "follow",
)  # of `composite`, all plain values
LEARNING_RATE = 0.02  # of a code that is near its goal
NOTICEABLE = 1.0  # gray levels, root mean square within a segment's mask, from which on it is fitted anew


def next_photo(
    generator: Generator,
    inversion: Inversion,
    *,
    notify: Callable[[str], None] | None = None,
    **options: Any,
) -> tuple[Tensor, EarlierStep]:
    """The photo [1,3,H,W] that the next step sets out from, and this step, to be given to `append_step` with what was
    made of that photo.

    options: of `composite`, plain values; notify: as there. The photo has whole gray levels, as if it had been saved
    and loaded, so that no number of steps changes a pixel outside of what they edit; one that isn't on whole levels is
    rounded to them by the first step, everywhere, by half a level at most. Raises what `composite` raises, and
    InvalidInputError for an option that it doesn't have.
    """
    check_options(options)
    made = composite(generator, inversion, notify=notify, **options)
    return from_uint8(to_uint8(made)).to(made), EarlierStep(inversion, options)


def append_step(generator: Generator, earlier: EarlierStep, inversion: Inversion) -> Inversion:
    """The inversion as the step after `earlier`, whose composite it is to be of.

    Raises InvalidInputError for an inversion of another picture, WrongGeneratorError for one of another generator.
    """
    check_type(earlier, "the earlier step", EarlierStep, "next_photo gives one")
    check_type(inversion, "the inversion", Inversion, "it comes last")
    photo, _ = next_photo(generator, earlier.inversion, notify=_unheard, **earlier.options)
    if not inversion.is_of(photo.to(inversion.static_mask.device)):
        differs = "" if inversion.photo is None else f" ({how_photos_differ(inversion.photo, photo)})"
        raise InvalidInputError(
            f"the inversion is of another photo than the picture that the step before made{differs}; project the photo "
            "that Next Step (next_photo) gave"
        )
    return replace(inversion, earlier=earlier)


def replay(
    generator: Generator,
    inversion: Inversion,
    number: int,
    changed: Inversion,
    *,
    refit_steps: int = 0,
    loss: LossConfig | None = None,
    callback: Callback | None = None,
    folders: Collection[Path] = (),
) -> Inversion:
    """The last step of the chain that leads to `inversion` after its step `number`, from 1, was changed.

    changed: what takes the place of that step: of the same photo, with other edits, codes or masks. Every later step
    keeps its masks, codes and edits, and gets the picture that the step before it makes now. refit_steps: where that
    differs noticeably inside of a segment (by more than one gray level, root mean square), the segment's code is fitted
    anew with as many steps, from where it is; 0 = the codes stay, and the difference is carried along as the photo's
    own detail. loss: what compares with the photo then. callback(step, total, image): over all that is fitted anew,
    with a total that counts every segment; folders: as in `project`.

    Raises InvalidInputError for a step that isn't there, another photo, and what `next_photo` and `project` raise.
    """
    check_type(inversion, "the inversion", Inversion, "it comes after the generator")
    check_type(changed, "the changed step", Inversion)
    old, steps = step_of(inversion, number), inversion.steps
    check_whole(refit_steps, "refit_steps", 0)
    if changed.photo_digest != old.photo_digest:
        raise InvalidInputError(
            f"the inversion for step {number} is of another photo ({changed.photo_digest[:12]}) than that step "
            f"({old.photo_digest[:12]}); change the step that was taken out of the chain"
        )
    current = replace(changed, earlier=old.earlier)
    total = refit_steps * sum(len(step.segments) for step in steps[number:])
    done = 0
    config = ProjectionConfig(
        num_steps=max(1, refit_steps), learning_rate=LEARNING_RATE, warmup=0.0, loss=loss or LossConfig()
    )
    for step in steps[number:]:
        assert step.earlier is not None
        photo, earlier = next_photo(generator, current, **step.earlier.options)
        moved = _moved(step, photo, earlier)
        for name in changed_segments(step, photo) if refit_steps else ():
            progress = callback and partial(_counted, callback, done, total)
            moved = _refitted(generator, moved, name, config, progress, folders)
            done += refit_steps
        current = moved
    return current


def step_of(inversion: Inversion, number: int) -> Inversion:
    """Step `number`, from 1, of the chain that leads to `inversion`. Raises InvalidInputError where there is none."""
    steps = inversion.steps
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= len(steps):
        raise InvalidInputError(
            f"there is no step {number!r:.20}; the chain has {len(steps)}, counted from 1. A chain is made by Next "
            "Step and Append Step (next_photo, append_step)"
        )
    return steps[number - 1]


def changed_segments(inversion: Inversion, photo: Tensor) -> tuple[str, ...]:
    """The segments under which another photo [1,3,H,W] differs noticeably from the inversion's own."""
    own = inversion.backdrop()
    squares = (GRAY_LEVELS * (photo.to(own) - own)).square()
    return tuple(
        one.name
        for one in inversion.segments
        if float(masked_mean(squares, one.mask.to(own))) > NOTICEABLE**2
    )


def check_options(options: Mapping[str, Any]) -> None:
    """Raise InvalidInputError for names that aren't options of `composite`."""
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise InvalidInputError(
            f"a step's composite has no option {unknown[0]!r:.40}; there are {', '.join(OPTIONS)}. A chain of a "
            "newer program may need an update"
        )


def _unheard(_warning: str) -> None:
    """The same picture was warned of when it was made."""


def _moved(step: Inversion, photo: Tensor, earlier: EarlierStep) -> Inversion:
    """The step upon another photo; what was measured against the old one, and its state, go where they differ."""
    if photo_digest(photo) == step.photo_digest:
        return replace(step, earlier=earlier)
    return replace(
        step,
        photo=photo.to(step.static_mask),
        absent_photo="",
        earlier=earlier,
        fits={},
        losses={},
        state=None,
    )


def _refitted(
    generator: Generator,
    inversion: Inversion,
    name: str,
    config: ProjectionConfig,
    callback: Callback | None,
    folders: Collection[Path],
) -> Inversion:
    """One segment's code fitted to the inversion's photo, from where it is."""
    segment = inversion.segments[name]
    own = own_generator(generator, inversion, segment)
    photo = inversion.backdrop()
    alone = SegmentCode(segment.name, segment.mask, segment.code)  # `own` has its delta
    start = Inversion(photo, SegmentCodes([alone]), 1 - segment.mask, own.fingerprint)
    found = project(
        own,
        photo,
        start.masks,
        replace(config, space=segment.code.space),
        callback=callback,
        start=start,
        folders=tuple(folders),
    )
    codes = {one.name: one.code for one in inversion.segments} | {name: found.segments[0].code}
    return replace(
        inversion,
        segments=SegmentCodes(replace(one, code=codes[one.name]) for one in inversion.segments),
        losses={**inversion.losses, name: found.losses[name]},
        stopped=found.stopped or inversion.stopped,
    )


def _counted(callback: Callback, done: int, total: int, step: int, _steps: int, image: Tensor | None) -> None:
    callback(done + step, total, image)
