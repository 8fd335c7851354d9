"""Projection of a photo, segment by segment (P1 = Futschik et al. 2021, "Real Image Inversion via Segments";
P2 = Subrtova et al. 2022, "ChunkyGAN").

Each segment's code is optimised, either against a loss that is zero outside the segment's dilated mask
(P1 2.1), or together with all others against the picture that they make (P2 eq. 2); only the boxes of the masks
are ever synthesised. What makes small segments fit as well as large ones: every loss is a mean over the mask,
and a warm-up finds one code for the whole photo first, from which each segment's own code sets out. A lone eye,
started at the mean face, sees too little to find out where and how the head is turned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..checks import check_picture
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..segments.segment_masks import Segments
from ..wording import in_pixels, pictures
from .config import ProjectionConfig
from .inversion import Inversion
from .run import Callback, Run, Source, StopProjection
from .start import check_start
from .stopwatch import Stopwatch

__all__ = ["Callback", "Keep", "StopProjection", "project"]
Keep = Callable[[Inversion], None]
_BRIGHTEST = 20.0  # generators leave [-1, 1] by a few units; what is brighter was never scaled from 0 ... 255


def project(
    generator: Generator,
    photo: Tensor,
    segments: Segments,
    config: ProjectionConfig | None = None,
    *,
    callback: Callback | None = None,
    preview_seconds: float = 2.0,
    start: Inversion | None = None,
    resume: bool = False,
    keep: Keep | None = None,
    keep_seconds: float = 30.0,
    folders: Sequence[Path] = (),
) -> Inversion:
    """Find a code for each segment of `photo`, [1,3,H,W] in [-1,1], H = W = generator.img_resolution.

    The schedule is that of Karras et al. 2020. Codes set out from the generator's mean code, or from those of
    `start`, an earlier inversion with the same segments or with a single one; then there is no warm-up. During
    the warm-up every segment's curve shows the shared loss.

    resume: go on from where `start` stopped, as if it had never done so; with more steps than before, the
    schedule is stretched over all of them. The same config gives the same result to the bit as a run that was
    never interrupted (with Adam; L-BFGS builds its history anew).

    callback(step, total, image): after each of the steps 1 ... total; image is the composite [1,3,H,W] at step 1,
    then whenever `preview_seconds` have passed since the last one, and at the end, else None. If it raises
    StopProjection, the result so far is returned; whatever else it raises ends the run and reaches the caller.
    keep(record): given the result so far every `keep_seconds`, and when the run ends by an exception, wherever that
    comes from. From each record the run can be resumed; what keep raises ends the run.
    folders: searched for the weights of loss networks, before torch's cache.

    A loss or gradient that isn't finite, or a loss that explodes, ends the run early: the best codes so far
    are kept and `stopped` tells why. Works under torch.inference_mode; no input is modified, no global state
    is touched. Raises InvalidInputError (sizes, NaN, names, nothing to resume), MissingWeightsError (networks)
    and WrongGeneratorError (`start`).
    """
    config = config or ProjectionConfig()
    check_photo(photo, generator, segments)
    if start is not None:
        check_start(start, generator)
    previews = Stopwatch("preview_seconds", preview_seconds, at_once=True)
    records = Stopwatch("keep_seconds", keep_seconds)
    with torch.inference_mode(False), torch.enable_grad():
        run = Run(generator, photo, segments, config, Source(start, resume), folders)
        try:
            for _ in run.steps():
                if callback is not None:
                    run.report(callback, previews)
                if keep is not None and not run.is_over and records.is_due():
                    keep(run.unfinished_record(photo.device))
                    records.start()
        except BaseException:  # an interruption is none of Exception
            if keep is not None:
                keep(run.unfinished_record(photo.device))
            raise
        return run.record(photo.device)


def check_photo_size(size: tuple[int, int], resolution: int) -> None:
    """Raise InvalidInputError for a photo of another (height, width) than the pictures of a generator."""
    if size != (resolution, resolution):
        raise InvalidInputError(
            f"the photo is {size[1]}x{size[0]}, the generator makes {resolution}x{resolution}; cut the face "
            f"out in that size (Align Face) or resize the photo to {resolution}x{resolution}, and make the masks anew"
        )


def check_photo(photo: Tensor, generator: Generator, segments: Segments) -> None:
    """Raise InvalidInputError for a photo that `project` doesn't take, or one of another size than the segments."""
    if not isinstance(photo, Tensor):
        raise InvalidInputError(
            f"the photo is a {type(photo).__name__}; expected a tensor of floats [1,3,H,W]"
        )
    if photo.ndim != 4 or photo.shape[:2] != (1, 3):
        raise InvalidInputError(
            f"the photo is {pictures(photo)}; expected one RGB image [1, 3, height, width], so project the images of a "
            "batch one by one"
        )
    check_photo_size((photo.shape[-2], photo.shape[-1]), generator.img_resolution)
    if photo.shape[-2:] != segments.static.shape[-2:]:
        height, width = segments.static.shape[-2:]
        raise InvalidInputError(
            f"the photo is {in_pixels(photo)}, the masks are {width}x{height}; make the masks of this very photo "
            "(after Align Face, if that cut it out)"
        )
    check_picture(photo, "the photo", batch=1)
    if photo.abs().max() > _BRIGHTEST:
        raise InvalidInputError(
            f"the photo has values from {photo.min():.4g} to {photo.max():.4g}; expected [-1, 1]; scale it"
        )
