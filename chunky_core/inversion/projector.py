"""Projection of a photo, segment by segment (P1 = Futschik et al. 2021, "Real Image Inversion via Segments";
P2 = Subrtova et al. 2022, "ChunkyGAN").

Each segment's code is optimized, either against a loss that is zero outside the segment's dilated mask
(P1 2.1), or together with all others against the image that they make (P2 eq. 2); only the boxes of the masks
are ever synthesised. What makes small segments fit as well as large ones: every loss is a mean over the mask,
and a warm-up finds one code for the whole photo first, from which each segment's own code sets out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..callbacks import Callback
from ..deprecated.keywords import old_keywords
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..segments.mask_generator import MaskGenerator
from ..segments.segment_masks import SegmentMasks
from .assembly import begin
from .config import ProjectionConfig
from .given_codes import as_start
from .hooks import PreviewBuffer
from .objectives import LossAndGrads
from .projection import Hook, Projection, enter_stage, is_stale, record_of, undone_on_error
from .record import Inversion
from .validation import check_photo, check_start, check_types
from .watching import Autosave, Watcher


@old_keywords(segments="masks", keep="autosave", keep_seconds="autosave_seconds")
def project(
    generator: Generator,
    photo: Tensor,
    masks: SegmentMasks,
    config: ProjectionConfig | None = None,
    *,
    callback: Callback | None = None,
    preview_seconds: float = 2.0,
    start: Inversion | LatentCode | None = None,
    resume: bool = False,
    autosave: Autosave | None = None,
    autosave_seconds: float = 30.0,
    hooks: Sequence[Hook] | None = None,
    folders: Sequence[Path] = (),
    mask_generator: MaskGenerator | None = None,
    mask_code: LatentCode | None = None,
    **options: Any,
) -> Inversion:
    """Find a code for each segment of `photo`, [1,3,H,W] in [-1,1], H = W = generator.img_resolution.

    The schedule is that of Karras et al. 2020. Codes start at the generator's mean code, or at those of
    `start`, an earlier inversion with the same segments or with a single one, or one code for all segments, as `sample`
    and `load_latent` give it; then there is no warm-up. During the warm-up every segment's curve shows the shared loss.

    options: fields of ProjectionConfig, which replace those of `config`: project(..., num_steps=300, space="w").

    resume: go on from where `start` stopped, as if it had never done so; with more steps than before, the
    schedule is stretched over all of them. The same config gives the same result to the bit as a run that was
    never interrupted (with Adam; L-BFGS builds its history anew).

    callback(step, total, image): after each of the steps 1 ... total; image is the composite [1,3,H,W] at step 1,
    then whenever `preview_seconds` have passed since the last one, and at the end, else None. If it raises
    StopProjection, the result so far is returned; whatever else it raises ends the run and reaches the caller.
    autosave(record): given the result so far every `autosave_seconds`, and when the run ends by an exception, wherever
    that comes from. From each record the run can be resumed; what autosave raises ends the run.
    hooks: the heuristics, new ones for each run; None = `default_hooks` of the config. One left out is switched off.
    folders: searched for the weights of loss networks, before torch's cache.
    mask_generator: masks are optimized with the codes, S = G^S(X^S) (P2 eq. 2), in mode "joint" with Adam. The names of
    `masks` say which of its classes have a segment; their static mask stays, and the masks themselves until the end of
    the warm-up; in the last quarter of the run they stay again. mask_code: X^S to set out from, as `fit_mask_code`
    finds it; None: the code of the warm-up, fitted to the photo further, or, without one, the mean code. The record has
    masks of the best X^S, and that as its mask_code. A segment that vanishes keeps a pixel, and a warning names it and
    what has its place.

    A loss or gradient that isn't finite, or a loss that explodes, ends the run early: the best codes so far
    are kept and `stopped` tells why. Works under torch.inference_mode; no input is modified, no global state
    is touched. Raises InvalidInputError (sizes, NaN, names, nothing to resume), MissingWeightsError (networks)
    and WrongGeneratorError (`start`).
    """
    config = ProjectionConfig() if config is None else config
    check_types(generator, masks, config, start, (callback, autosave))
    config = config.with_options(options)
    check_photo(generator, photo, masks)
    start = as_start(generator, start, photo)
    if start is not None:
        check_start(generator, start)
    watcher = Watcher(callback, preview_seconds, autosave, autosave_seconds)
    with torch.inference_mode(False), torch.enable_grad():
        run = begin(
            generator,
            photo,
            masks,
            config,
            start,
            resume=resume,
            hooks=hooks,
            folders=folders,
            mask_generator=mask_generator,
            mask_code=mask_code,
        )
        previews = run.hook(PreviewBuffer)
        preview = partial(previews.image, run) if previews else None
        return watcher.follow(run, optimize(run), partial(record_of, run, photo.device), preview)


def optimize(run: Projection) -> Iterator[None]:
    """Make all the steps that are left, or as many as go well; yields after each of them.

    An exception in the middle of one leaves everything as it was before that step.
    """
    while not run.is_over:
        with undone_on_error(run):
            for hook in run.hooks:
                hook.before_loss(run)
            if is_stale(run):
                enter_stage(run)
            found = _judge(run, run.progress)
            if found is None:
                break
            run.stage.move(run.latents, found, run.progress)
            run.step += 1
            for hook in run.hooks:
                hook.after_step(run)
        yield
    if run.stage.move.is_judged_at_end and not run.stopped:
        _judge(run, 1.0)
    for hook in run.hooks:
        hook.at_end(run)


def _judge(run: Projection, progress: float) -> LossAndGrads | None:
    """Losses and gradients of the codes as they stand, remembered; None, and `run.stopped` set, if a hook objects."""
    found = run.loss(run.stage.objective, run.latents, run.stage.which, progress)
    for hook in run.hooks:
        hook.before_step(run, found)
        if run.stopped:
            return None
    run.latents.remember(run.stage.which, found.values, run.step)
    return found
