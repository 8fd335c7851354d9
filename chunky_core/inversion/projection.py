"""A projection under way, as data: what is fitted to what, where it stands, its hooks, its stages, its records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..deprecated import old_names
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..losses import LossNetworks
from ..segments.segment_masks import SegmentMasks
from .config import ProjectionConfig, plain_settings
from .fits import SegmentFit
from .initialization import nearest_in_spaces
from .latents import GLOBAL_CODE, MASK_CODE, LatentOptimizer, pack, restore_finite, unpack
from .loss_regions import PyramidLevel
from .mask_code import MaskCode
from .objectives import LossAndGrads, Objective, segment_objective, shared_objective, warm_up_objective
from .optimizers import AdamStep, CodeStep, LbfgsStep
from .original_crop import Alignment
from .photo_detail import segment_details
from .projection_loss import ProjectionLoss
from .record import Edit, Inversion, ProjectionState
from .segment_codes import SegmentCode, SegmentCodes
from .segment_synthesis import segment_errors


class Hook:
    """A heuristic of the projection with a state of its own. Leaving it out of the list of hooks switches it off.

    In each step, in the order of the list: `before_loss` of all hooks, `at_stage` where a new stage begins, the
    synthesis and its loss, `before_step`, the step of the codes, `after_step`. One that sets `run.stopped` ends the
    run; before the step, no later hook is asked and the step isn't made.
    """

    def before_loss(self, run: Projection) -> None:
        """May change masks, resolution and codes; then it sets `run.losses_changed`."""

    def at_stage(self, run: Projection) -> None:
        """`run.stage` has just begun."""

    def before_step(self, run: Projection, found: LossAndGrads) -> None:
        """`found`: of the codes as they stand, with which the step will be made."""

    def after_step(self, run: Projection) -> None:
        """`run.step` counts the step already."""

    def at_end(self, run: Projection) -> None:
        """No step follows."""

    def store(self, numbers: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Add the hook's state to a projection's: plain values that JSON can hold, and copies of tensors."""

    def restore(self, run: Projection, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Stand where the hook stood when it stored this. Raises KeyError and the like for a damaged state."""


_WARM_UP = 64  # pixels; the least that a warm-up on the whole photo sees
SomeHook = TypeVar("SomeHook", bound=Hook)
__getattr__ = old_names(__name__)


@dataclass(frozen=True, eq=False)
class Stage:
    """Some steps with the same moving codes, masks and resolution.

    which: the codes that move; objective: what they are judged by; move: one step of them. losses_are_new: they can't
    be compared with those of the stage before.
    """

    level: PyramidLevel
    which: list[int]
    objective: Objective
    move: CodeStep
    losses_are_new: bool


@dataclass(eq=False)
class Projection:
    """What a projection works on, and where it stands.

    full: photo and masks at the photo's own resolution; resolution: at which codes are judged now; spaces: of the
    segments; step: how many are done; stopped: why it ended early, or ""; shared_latents: the one code that stood
    for all segments until they were split; losses_changed: losses from here on can't be compared with earlier ones;
    curves: losses by name, a value per step; edits, alignment: what the record takes over from an earlier inversion.
    starting_errors: of the segments, in grey levels, with the codes that the run set out from; () where it began before
    they were measured. is_shared: whether one code still stands for all segments, or the whole photo. mask_code: what
    gives the masks where they are optimized, too; masks_moved: they were planned anew, losses stay comparable.
    """

    generator: Generator
    config: ProjectionConfig
    networks: LossNetworks
    loss: ProjectionLoss
    spaces: tuple[str, ...]
    full: PyramidLevel
    resolution: int
    latents: LatentOptimizer
    hooks: Sequence[Hook]
    step: int = 0
    stopped: str = ""
    shared_latents: LatentOptimizer | None = None
    losses_changed: bool = False
    curves: dict[str, list[float]] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    alignment: Alignment | None = None
    starting_errors: tuple[float, ...] = ()
    is_shared: bool = False
    mask_code: MaskCode | None = None
    masks_moved: bool = False
    stage: Stage = field(init=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the segments."""
        return self.full.masks.names

    @property
    def progress(self) -> float:
        """The fraction of the run at the middle of the next step: at its start the first would have size 0."""
        return (self.step + 0.5) / self.config.num_steps

    @property
    def is_over(self) -> bool:
        """Whether no step will follow."""
        return self.is_finished or bool(self.stopped)

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done, or all codes have come to rest."""
        return self.step >= self.config.num_steps or not self.latents.moving()

    def hook(self, kind: type[SomeHook]) -> SomeHook | None:
        """The hook of a kind, if there is one."""
        return next((hook for hook in self.hooks if isinstance(hook, kind)), None)


def is_stale(run: Projection) -> bool:
    """Whether codes have come to rest, or masks, resolution or the number of codes have changed since it began."""
    return run.losses_changed or run.masks_moved or run.stage.which != run.latents.moving()


def enter_stage(run: Projection) -> None:
    """Begin the stage that belongs to where the run stands, and tell the hooks."""
    run.stage = _next_stage(run)
    if run.losses_changed:
        run.latents.forget_losses(run.step)
    run.losses_changed = run.masks_moved = False
    for hook in run.hooks:
        hook.at_stage(run)


def _next_stage(run: Projection) -> Stage:
    generator, config, networks = run.generator, run.config, run.networks
    level, which = run.full.at(run.resolution), run.latents.moving()
    objective: Objective
    if run.is_shared and config.warmup_photo:
        level = run.full.at(min(run.resolution, warm_up_resolution(generator)))
        objective = warm_up_objective(generator, level, config, networks)
    elif run.is_shared:
        objective = shared_objective(generator, level, config, networks)
    else:
        objective = segment_objective(generator, level, config, networks, which, _mask_code(run, moves=True))
    move: CodeStep = AdamStep(config, which, objective.scales)
    if config.optimizer == "lbfgs":
        groups = [(which, objective)]
        if not run.is_shared and config.mode != "joint":
            groups = [([i], segment_objective(generator, level, config, networks, [i])) for i in which]
        move = LbfgsStep(run.loss, run.latents, which, groups)
    return Stage(level, which, objective, move, run.losses_changed)


def _mask_code(run: Projection, *, moves: bool = False) -> MaskCode | None:
    """What gives the masks, if they have begun to move; moves: if they still do."""
    own = run.mask_code
    return own if own is not None and own.planned_at is not None and (own.moves or not moves) else None


def warm_up_resolution(generator: Generator) -> int:
    """At which one code is fitted to the whole photo: it finds where the head is turned, and costs next to nothing."""
    return next(size for size in generator.out_resolutions if size >= min(_WARM_UP, generator.img_resolution))


def state_of(run: Projection) -> ProjectionState:
    """A copy of where the run stands."""
    numbers, tensors = pack(run.latents)
    for hook in run.hooks:
        hook.store(numbers, tensors)
    numbers["resolution"] = run.resolution
    numbers["shared"] = run.is_shared
    numbers["starting_errors"] = list(run.starting_errors)
    tensors["rng"] = run.loss.rng.get_state()
    return ProjectionState(run.step, numbers, tensors)


def restore(run: Projection, state: ProjectionState) -> None:
    """Stand where a run of the same config stood; its masks are not part of that.

    Raises KeyError and the like for a damaged state.
    """
    run.loss.rng.set_state(state.tensors["rng"].detach().clone())
    joint, betas = run.config.judges_together, run.config.adam_betas
    run.latents = unpack(state.numbers, state.tensors, run.generator.device, joint=joint, betas=betas)
    run.is_shared = bool(state.numbers.get("shared", len(run.latents.codes) < len(run.names)))
    for hook in run.hooks:
        hook.restore(run, state.numbers, state.tensors)
    run.step = state.step
    run.resolution = int(state.numbers.get("resolution", 0))
    run.starting_errors = tuple(state.numbers.get("starting_errors", ()))


@contextmanager
def undone_on_error(run: Projection) -> Iterator[None]:
    """An exception leaves the run where it stood, to be recorded; no step can follow."""
    state, full, lengths = state_of(run), run.full, {name: len(curve) for name, curve in run.curves.items()}
    try:
        yield
    except BaseException:
        run.full = full
        run.curves = {name: curve[: lengths[name]] for name, curve in run.curves.items()}
        restore(run, state)
        raise


def record_of(
    run: Projection, device: torch.device, *, unfinished: bool = False, measured: bool = True
) -> Inversion:
    """The result so far, on `device`; codes that are no longer finite are the best ones in its state, too.

    unfinished: as that of a run that goes no further. measured: with its fits, for which all segments are drawn once
    more.
    """
    stopped = f"interrupted after step {run.step} of {run.config.num_steps}" if unfinished else run.stopped
    masks, moving = run.full.masks, _mask_code(run)
    codes = segment_codes(run, run.latents.best())
    fits: dict[str, SegmentFit] = {}
    with (
        suppress(RuntimeError, MemoryError) if unfinished else nullcontext()
    ):  # memory may be what ended the run
        if moving is not None and not moving.settled:  # settled ones are the run's already
            masks = moving.source.masks(moving.best)
        fits = _fits(run, codes, masks) if measured else {}
    stacked = masks.masks.to(device)
    return Inversion(
        photo=run.full.photo.to(device),
        segments=SegmentCodes(
            SegmentCode(name, stacked[i : i + 1].clone(), LatentCode(code.space, code.tensor.to(device)))
            for i, (name, code) in enumerate(zip(run.names, codes, strict=True))
        ),
        static_mask=masks.static.to(device),
        fingerprint=run.generator.fingerprint,
        edits=run.edits,
        alignment=run.alignment,
        settings=plain_settings(run.config),
        losses={name: list(curve) for name, curve in run.curves.items()},
        stopped=stopped or None,
        noise=tuple(noise.to(device) for noise in run.latents.best_noise_maps),
        state=_finite(state_of(run)),
        fits=fits,
        mask_code=None if moving is None else LatentCode(moving.best.space, moving.best.tensor.to(device)),
    )


def segment_codes(run: Projection, codes: Sequence[LatentCode]) -> list[LatentCode]:
    """One code for each segment of what may still be one for all."""
    if not run.is_shared:
        return list(codes)
    return nearest_in_spaces(run.generator, codes[0], run.spaces, run.config.seed)


def _fits(run: Projection, codes: Sequence[LatentCode], masks: SegmentMasks) -> dict[str, SegmentFit]:
    if not run.starting_errors:
        return {}
    photo, noise = run.full.photo, run.latents.best_noise_maps
    ends = segment_errors(run.generator, photo, masks, codes, noise)
    details = segment_details(photo, masks)
    known = zip(run.names, run.starting_errors, ends, details, strict=True)
    return {name: SegmentFit(*errors) for name, *errors in known if all(map(math.isfinite, errors))}


def _finite(state: ProjectionState) -> ProjectionState:
    numbers, tensors = dict(state.numbers), dict(state.tensors)
    restore_finite(numbers, tensors)
    if "companion" in numbers:
        restore_finite(numbers["companion"], tensors, GLOBAL_CODE)
    if "mask_code" in numbers:
        restore_finite(numbers["mask_code"], tensors, MASK_CODE)
    return replace(state, numbers=numbers, tensors=tensors).on("cpu")
