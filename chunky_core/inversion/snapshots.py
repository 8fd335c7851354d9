"""A projection's state and result as records: to go on from, to undo a step that failed, and to be saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from ..generator.spaces import LatentCode
from .config import plain_settings
from .hooks import LossCurves
from .initialization import nearest_in_spaces
from .projection import Projection
from .record import Inversion, ProjectionState, SegmentCode
from .stored_state import GLOBAL_CODE, pack, restore_finite, unpack


def state_of(run: Projection) -> ProjectionState:
    """A copy of where the run stands."""
    numbers, tensors = pack(run.latents)
    for hook in run.hooks:
        hook.store(numbers, tensors)
    numbers["resolution"] = run.resolution
    tensors["rng"] = run.loss.rng.get_state()
    return ProjectionState(run.step, numbers, tensors)


def restore(run: Projection, state: ProjectionState) -> None:
    """Stand where a run of the same config stood; its masks are not part of that.

    Raises KeyError and the like for a damaged state.
    """
    run.loss.rng.set_state(state.tensors["rng"].detach().clone())
    joint = run.config.judges_together
    run.latents = unpack(state.numbers, state.tensors, run.generator.device, joint=joint)
    for hook in run.hooks:
        hook.restore(state.numbers, state.tensors)
    run.step = state.step
    run.resolution = int(state.numbers.get("resolution", 0))


@contextmanager
def undone_on_error(run: Projection) -> Iterator[None]:
    """An exception leaves the run where it stood, to be recorded; no step can follow."""
    state, full = state_of(run), run.full
    try:
        yield
    except BaseException:
        run.full = full
        restore(run, state)
        raise


def record_of(run: Projection, device: torch.device, *, unfinished: bool = False) -> Inversion:
    """The result so far, on `device`; codes that are no longer finite are the best ones in its state, too.

    unfinished: as that of a run that goes no further.
    """
    stopped = f"interrupted after step {run.step} of {run.config.num_steps}" if unfinished else run.stopped
    masks = run.full.masks
    stacked = masks.masks.to(device)
    codes = run.latents.best()
    if run.is_shared:
        codes = nearest_in_spaces(run.generator, codes[0], run.spaces, run.config.seed)
    curves = run.hook(LossCurves)
    return Inversion(
        photo=run.full.photo.to(device),
        segments=tuple(
            SegmentCode(name, stacked[i : i + 1].clone(), LatentCode(code.space, code.tensor.to(device)))
            for i, (name, code) in enumerate(zip(run.names, codes, strict=True))
        ),
        static_mask=masks.static.to(device),
        fingerprint=run.generator.fingerprint,
        edits=run.edits,
        alignment=run.alignment,
        settings=plain_settings(run.config),
        losses={} if curves is None else {name: list(curve) for name, curve in curves.curves.items()},
        stopped=stopped or None,
        noise=tuple(noise.to(device) for noise in run.latents.best_noise_maps),
        state=_finite(state_of(run)),
    )


def _finite(state: ProjectionState) -> ProjectionState:
    numbers, tensors = dict(state.numbers), dict(state.tensors)
    restore_finite(numbers, tensors)
    if "companion" in numbers:
        restore_finite(numbers["companion"], tensors, GLOBAL_CODE)
    return replace(state, numbers=numbers, tensors=tensors).on("cpu")
