"""Pivotal tuning of an inversion's segments (Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real
Images"; P1 = Futschik et al. 2021, fig. 3).

The codes stay and the generator's weights move a little, each delta against the photo inside its segments' dilated
masks only. What comes out is small: the factors of a low rank for large weights, the numbers themselves for small ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ...callbacks import Callback
from ...generator.generator import Generator
from ..record import Inversion
from ..schedule import learning_rate_factor
from ..watching import Autosave, Watcher
from .assembly import begin
from .config import TuningConfig
from .objective import TuningGrads
from .preview import preview
from .run import CURVE, TunedPart, Tuning, record_of, undone_on_error
from .validation import check_inputs

_DIVERGED = 100.0  # a loss this many times 1 + the first one will not come back


def tune(
    generator: Generator,
    inversion: Inversion,
    config: TuningConfig | None = None,
    *,
    callback: Callback | None = None,
    preview_seconds: float = 2.0,
    resume: bool = False,
    autosave: Autosave | None = None,
    autosave_seconds: float = 30.0,
    folders: Sequence[Path] = (),
    **options: Any,
) -> Inversion:
    """`inversion` with weights of the generator tuned to its photo: `Inversion.delta` where one delta is for all of its
    segments, else `SegmentCode.delta` of those that were named. Codes (unless tune_codes), masks, edits, noise maps and
    everything else stay.

    options: fields of TuningConfig, which replace those of `config`: tune(..., num_steps=50, segments="mouth").

    A delta goes on from an earlier one in the same place and of the same size, and starts at zero where there is none;
    one of another size is left behind, with a warning. One of the whole inversion takes the place of the inversion's
    and of those of all segments, one of some segments that of theirs, on top of the inversion's, which stays.

    resume: go on from where an earlier tuning of `inversion` stopped, as if it had never done so; the same config
    gives the same result to the bit. callback, preview_seconds, autosave, autosave_seconds, folders: as in `project`.
    settings["tuning"] of the result holds the config, losses["NAME, tuning"] the curve of each segment, fits how near
    the photo it came. A projection can't be resumed from the result, only started.

    A loss or gradient that isn't finite, a loss that explodes, and weights beyond float16 end the run early: the best
    deltas so far are kept and `stopped` tells why. Works under torch.inference_mode; no input is modified, no global
    state is touched. Raises InvalidInputError (names, no photo, no room, nothing to resume), MissingWeightsError
    (networks) and WrongGeneratorError.
    """
    config = TuningConfig() if config is None else config
    generator, inversion = check_inputs(generator, inversion, config, (callback, autosave))
    config = config.with_options(options)
    watcher = Watcher(callback, preview_seconds, autosave, autosave_seconds)
    device = inversion.static_mask.device
    with torch.inference_mode(False), torch.enable_grad():
        run = begin(generator, inversion, config, resume=resume, folders=folders)
        return watcher.follow(run, optimize(run), partial(record_of, run, device), partial(preview, run))


def optimize(run: Tuning) -> Iterator[None]:
    """Make all the steps that are left, or as many as go well; yields after each of them.

    An exception in the middle of one leaves everything as it was before that step.
    """
    while not run.is_over:
        with undone_on_error(run):
            losses = {index: _judge(run, index) for index in run.moving()}
            if run.stopped:
                return
            for index, found in losses.items():
                _move(run, run.parts[index], found)
            run.step += 1
            _rest(run)
        yield


def _judge(run: Tuning, index: int) -> list[float]:
    """The losses of a part's drawings, whose gradients its optimizer receives; sets `run.stopped` where it diverges."""
    part = run.parts[index]
    found = _found(run, part)
    loss = sum(found.losses)
    limit = run.limits.setdefault(index, _DIVERGED * (1.0 + loss))
    if found.is_finite() and loss < limit and part.optimizer.is_storable():  # so that NaN fails, too
        part.optimizer.receive(found.grads)
    else:
        names = "/".join(run.source.names[segment] for segment in part.segments)
        run.stopped = (
            f"diverged at step {run.step + 1} of {run.config.num_steps}: {names} had loss {loss:.4g}; the best weights "
            "before it are kept; try a lower learning rate"
        )
    return found.losses


def _move(run: Tuning, part: TunedPart, losses: Sequence[float]) -> None:
    part.optimizer.remember(sum(losses), run.step)
    for drawing, value in zip(part.drawings, losses, strict=True):
        for segment in drawing:
            run.curves[CURVE.format(run.source.names[segment])].append(value)
    part.optimizer.move(run.config.learning_rate * learning_rate_factor(run.progress))


def _found(run: Tuning, part: TunedPart) -> TuningGrads:
    """What the objective finds, with the regularizer's gradients."""
    weights, moving = part.optimizer.tuned_weights(), part.optimizer.moving_codes()
    codes = part.codes_with(list(moving.values()))
    found = part.objective(weights, codes, moving, run.noise)
    if part.locality is not None:
        pivots = [replace(code, tensor=code.tensor.detach()) for code in codes]
        grads = part.locality(weights, pivots, part.objective.crops, run.noise)
        for name, grad in grads.items():
            found.grads[name] += run.config.locality * grad
    return found


def _rest(run: Tuning) -> None:
    """Parts that haven't improved for long come to rest."""
    for part in run.parts if run.config.plateau else ():
        history = part.optimizer.history
        history.resting = history.resting or run.step - history.improved_at > run.config.plateau
    if not run.moving():
        run.stopped = f"came to rest after step {run.step} of {run.config.num_steps}"
