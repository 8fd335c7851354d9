"""Puts a projection together: its inputs where gradients can flow, the codes that it starts with, its hooks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..checks import check_type
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..losses import load_networks
from ..segments.mask_generator import MaskGenerator
from ..segments.segment_masks import SegmentMasks
from .config import ProjectionConfig
from .generated_masks import GeneratedMasks, code_of_masks, mask_code_start
from .hooks import TOGETHER, CoarseToFine, MovingMasks, WarmUp, default_hooks
from .initialization import starting_codes, starting_noise
from .latents import LatentOptimizer
from .loss_regions import PyramidLevel
from .mask_code import MaskCode
from .projection import Hook, Projection, enter_stage, restore, segment_codes
from .projection_loss import ProjectionLoss
from .record import Inversion, ProjectionState
from .segment_synthesis import segment_errors
from .validation import check_moving_masks, check_resumable, check_setup, segment_spaces


def begin(
    generator: Generator,
    photo: Tensor,
    masks: SegmentMasks,
    config: ProjectionConfig,
    start: Inversion | None = None,
    *,
    resume: bool = False,
    hooks: Sequence[Hook] | None = None,
    folders: Sequence[Path] = (),
    mask_generator: MaskGenerator | None = None,
    mask_code: LatentCode | None = None,
) -> Projection:
    """A projection before its first step, or where `start` stopped. Copies throughout: autograd can't save tensors
    that were made in inference mode, weights included.

    hooks: new ones for this run; None = `default_hooks` of the config. mask_generator, mask_code: as in `project`.
    """
    generator, device = generator.to(), generator.device
    photo, masks = photo.detach().clone().to(device, torch.float32), _cloned(masks, device)
    spaces = segment_spaces(masks, config)
    check_setup(generator, masks, spaces, config)
    if mask_generator is not None:
        check_type(mask_generator, "the mask generator", MaskGenerator, "load_mask_generator reads one")
    check_moving_masks(mask_generator, mask_code, config, start if resume else None)
    state: ProjectionState | None = None
    if resume:
        start, state = check_resumable(generator, start, photo, masks, spaces, config)
        config = config.going_on(start.settings)
        masks = _cloned(start.masks, device)  # they may have been refined on the way
        if start.photo is not None:  # of the same file, but another program may have decoded it
            photo = start.photo.detach().clone().to(photo)
    if start is not None and start.is_tuned:
        warnings.warn(
            "the projection goes on with the generator's own weights: the earlier inversion's tuning fits its codes "
            "only and is left behind; tune the result again",
            stacklevel=3,
        )
    full = PyramidLevel.full(photo, masks, config)
    hooks = default_hooks(config) if hooks is None else list(hooks)
    warm_up = next((hook for hook in hooks if isinstance(hook, WarmUp)), None)
    coarse = next((hook for hook in hooks if isinstance(hook, CoarseToFine)), None)
    has_context = len(spaces) > 1 or (config.warmup_photo and bool(masks.static.any()))
    shared = start is None and has_context and warm_up is not None and warm_up.steps > 0
    own = None
    if mask_generator is not None:
        known = mask_code if mask_code is not None or start is None else code_of_masks(generator, start)
        source = GeneratedMasks(generator, mask_generator.to(device), masks.names, masks.static)
        own = MaskCode(source, mask_code_start(generator, known, config.seed), config.adam_betas)
        is_given = mask_code is not None or (start is not None and start.mask_code is not None)
        hooks.append(MovingMasks(own, fits=not is_given and (shared or start is not None)))
    loss = ProjectionLoss(generator, config, spaces)
    run = Projection(
        generator=generator,
        config=config,
        networks=load_networks(config.loss, device, folders=folders),
        loss=loss,
        spaces=spaces,
        full=full,
        resolution=coarse.resolution(0, full.resolution) if coarse else full.resolution,
        latents=_initial_latents(generator, masks.names, spaces, config, loss.rng, start, shared=shared),
        hooks=hooks,
        is_shared=shared,
        mask_code=own,
    )
    names = (*masks.names, TOGETHER) if config.mode == "joint" else masks.names
    run.curves = {name: [] for name in names}
    if start is not None:
        run.edits = start.edits if resume else ()
        run.alignment = start.alignment if start.is_of(photo) else None
        if state is not None:
            run.curves = {name: list(start.losses.get(name, ())) for name in names}
            _go_on(run, start, state)
    if state is None:
        with torch.no_grad():
            run.starting_errors = _starting_errors(run)
    enter_stage(run)
    return run


def _starting_errors(run: Projection) -> tuple[float, ...]:
    """Of the segments, drawn by the codes that they set out from."""
    codes = segment_codes(run, run.latents.latent_codes())
    errors = segment_errors(run.generator, run.full.photo, run.full.masks, codes, run.latents.noise_maps)
    return tuple(errors) if all(map(math.isfinite, errors)) else ()


def _go_on(run: Projection, start: Inversion, state: ProjectionState) -> None:
    """Stand where an earlier run stood. Raises InvalidInputError for a damaged state."""
    try:
        restore(run, state)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(
            f"the state of the earlier projection is damaged ({error!r}); start from its codes only"
        ) from error
    coarse, full = run.hook(CoarseToFine), run.full.resolution
    resolution = coarse.resolution(run.step, full) if coarse else full
    if resolution > run.resolution:
        run.resolution, run.losses_changed = resolution, True
    if run.hook(WarmUp) is None:
        WarmUp(0).before_loss(run)  # it was still in its warm-up
    if run.config.num_steps > int(start.settings.get("steps", 0)):
        run.latents.reactivate(run.step)
    if not run.latents.moving():
        run.stopped = start.stopped or ""


def _initial_latents(
    generator: Generator,
    names: Sequence[str],
    spaces: Sequence[str],
    config: ProjectionConfig,
    rng: torch.Generator,
    start: Inversion | None,
    *,
    shared: bool,
) -> LatentOptimizer:
    maps = starting_noise(generator, rng, start, optimize_noise=config.optimize_noise)
    if shared:
        names, spaces = names[:1], (max(spaces, key=list(spaces).count),)
    codes = starting_codes(generator, names, spaces, config.seed, start)
    return LatentOptimizer(codes, maps, joint=config.judges_together, betas=config.adam_betas)


def _cloned(masks: SegmentMasks, device: torch.device) -> SegmentMasks:
    stacked, static = (t.detach().clone().to(device, torch.float32) for t in (masks.masks, masks.static))
    return replace(masks, masks=stacked, static=static)
