"""Coherence of edited segments: their codes moved a little, so that neighbours agree where they meet (P2 = Subrtova et
al. 2022, section 6, names it as future work).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch

from ..callbacks import Callback
from ..checks import check_callback, checked_names
from ..editing.edits import applicable_edits
from ..editing.harmonies import edits_digest, without_harmonies
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import Direction
from ..inversion.record import Edit, Inversion, check_same_generator
from ..inversion.schedule import learning_rate_factor
from ..inversion.watching import Watcher
from ..segments.masks import check_extent
from .harmonization import Harmonization, HarmonyConfig, begin
from .replacement import edited_segments, only_segments

NAME = "harmony"  # of the directions
WIDTH, HOLD, STEPS = 6.0, 5.0, 20
LEAST_STEPS = (
    3  # the first two of Adam, at its full rate, overshoot, and nothing better than the start is found
)
_RATE = 0.05  # highest step size of Adam
_BETAS = (0.8, 0.95)


def harmonize(
    generator: Generator,
    inversion: Inversion,
    segments: str | Sequence[str] | None = None,
    *,
    num_steps: int = STEPS,
    strength: float = 1.0,
    hold: float = HOLD,
    width: float = WIDTH,
    callback: Callback | None = None,
    preview_seconds: float = 2.0,
) -> Inversion:
    """`inversion` with one more edit for each segment that moves, a harmony, by which neighbours agree after its edits.

    Offsets of the edited codes, in s, are optimized by Adam: where a segment meets others its picture is to be theirs,
    and on its inside the one it was. With a photo its picture is the photo plus what the edits
    change, as `composite` shows it, and what isn't replaced stands still as the photo. Without one it is the rendering.

    segments: those that move, as `SegmentMasks.resolve` takes them; None = those with edits. Others that are named come
    to be edited, and replaced, by it. num_steps: 3 or more; each costs about one step of a projection.
    strength: of the harmonies, 1 = wholly, 0 = none; linear in the codes. hold: how much a segment's inside counts
    against its borders: more keeps more of the edits' effect and more of the seams. width: how far beyond its mask a
    segment is to agree with its neighbours, in pixels of a picture of 256.

    Earlier harmonies are replaced. They hold for the edits that they were made for: if one of these is changed, muted
    or removed, they are left out, with a warning where the inversion is drawn, until they are made anew; muted or
    removed like any edit they leave no trace. Without edits with effect the inversion comes back without harmonies.

    callback(step, total, image): after each step, with an image at the first, about every `preview_seconds`, and at the
    end; `StopProjection`, raised there, ends the run with what it has. The best offsets are kept; where the loss isn't
    finite the run ends and `stopped` says so. Works under torch.inference_mode; nothing given is changed. Raises
    InvalidInputError for unknown segments, values out of range and codes that aren't finite, WrongGeneratorError for
    another generator, and what `render` raises.
    """
    check_same_generator(generator, inversion)
    _check(num_steps, strength, hold)
    check_callback(callback)
    names = None if segments is None else checked_names(segments, "the segments")
    check_extent(width, (256, 256), "width")
    watcher = Watcher(callback, preview_seconds, None, 0.0)
    plain = without_harmonies(inversion)
    with torch.inference_mode(False), torch.enable_grad():
        moving = _moving(plain, names)
        if not moving or not strength:
            return plain
        shown = {*moving, *edited_segments(plain)}
        part = plain if plain.photo is None else only_segments(plain, shown)
        places = [part.names.index(name) for name in moving]
        run = begin(generator, part, places, HarmonyConfig(num_steps, hold, width))
        return watcher.follow(run, _optimize(run), partial(_record_of, run, plain, strength), run.preview)


def _moving(inversion: Inversion, segments: Sequence[str] | None) -> Sequence[str]:
    """The names of the segments that move; none where no edit has an effect."""
    masks = inversion.masks
    named = None if segments is None else masks.resolve(segments)
    edited = [
        name
        for name in masks.names
        if any(edit.has_effect for edit in applicable_edits(masks, name, inversion.edits))
    ]
    return edited if named is None or not edited else named


def _optimize(run: Harmonization) -> Iterator[None]:
    """Make all the steps, or as many as go well; yields after each of them."""
    adam = torch.optim.Adam(list(run.offsets.values()), betas=_BETAS)
    _judge(run)
    while not run.is_over:
        adam.param_groups[0]["lr"] = _RATE * learning_rate_factor((run.step + 0.5) / run.config.num_steps)
        adam.step()
        run.step += 1
        _judge(run)
        yield


def _judge(run: Harmonization) -> None:
    """Give the offsets their gradients, and keep them where they are the best so far."""
    loss = run.receive_gradients()
    if not all(one.grad is not None and one.grad.isfinite().all() for one in run.offsets.values()):
        run.stopped = (
            f"harmonizing stopped after step {run.step} of {run.config.num_steps}, as it diverged to a loss of "
            f"{loss:.4g}; the best before that is kept"
        )
    elif loss < run.least:  # so that NaN fails, too
        run.least = loss
        run.best = {index: one.detach().clone() for index, one in run.offsets.items()}


def _record_of(run: Harmonization, plain: Inversion, strength: float, **_: bool) -> Inversion:
    digest = edits_digest(plain.masks, plain.edits)
    device = plain.static_mask.device
    harmonies = [
        Edit(
            Direction(
                NAME,
                "s",
                offset[0].to(device),
                description="Makes the segment agree with its neighbours after these edits.",
                unit="raw",
                source="harmonize",
                fingerprint=plain.fingerprint,
            ),
            strength,
            (run.part.names[index],),
            harmonizes=digest,
        )
        for index, offset in run.best.items()
        if offset.any()
    ]
    if not harmonies and run.is_over and not run.stopped:
        warnings.warn(
            f"harmonizing found nothing better than the start in {run.step} steps; nothing was added",
            stacklevel=2,
        )
    return replace(plain, edits=(*plain.edits, *harmonies), stopped=run.stopped or plain.stopped)


def _check(num_steps: object, strength: object, hold: object) -> None:
    if not isinstance(num_steps, int) or isinstance(num_steps, bool) or num_steps < LEAST_STEPS:
        raise InvalidInputError(
            f"num_steps is {num_steps!r:.40}; expected a whole number from {LEAST_STEPS}; "
            "the first two overshoot"
        )
    for name, value, most in (("strength", strength, 1.0), ("hold", hold, float("inf"))):
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
            expected = "0 or more" if most > 1 else "0 to 1"
            raise InvalidInputError(f"{name} is {value!r:.40}; expected {expected}")
