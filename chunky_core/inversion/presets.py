"""Presets: what fits best within a budget of time, several phases one after the other.

Chosen by measurement on the demo portraits (docs/presets.md). P1 = Futschik et al. 2021, P2 = Subrtova et al. 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from ..callbacks import Callback
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..losses import LossConfig
from ..segments.segment_masks import SegmentMasks
from .config import ProjectionConfig, plain_settings
from .projector import project
from .record import PHASE, Inversion, check_same_generator
from .tuning import TuningConfig, tune
from .validation import check_is_of, check_photo, check_types, is_same_masks
from .watching import Autosave

PhaseConfig: TypeAlias = ProjectionConfig | TuningConfig

_SMALL = 0.2  # share of the photo below which segments see too little to be fitted by one code together

# One code in s for all segments, at low resolutions first; then that code and the generator's weights.
_PROJECTION = ProjectionConfig(
    space="s", num_steps=60, coarse=0.5, warmup=1.0, warmup_photo=False, adam_betas=(0.8, 0.95)
)
_TUNING = TuningConfig(learning_rate=1e-2, tune_codes=True)
_PHASES: dict[str, tuple[PhaseConfig, ...]] = {
    "draft": (_PROJECTION, replace(_TUNING, num_steps=40)),
    "good": (_PROJECTION, replace(_TUNING, num_steps=170)),
    "best": (_PROJECTION, replace(_TUNING, num_steps=520)),
}
PRESETS: tuple[str, ...] = tuple(_PHASES)


def preset_phases(
    preset: str,
    loss: LossConfig,
    *,
    seed: int = 0,
    generator: Generator | None = None,
    masks: SegmentMasks | None = None,
) -> tuple[PhaseConfig, ...]:
    """The phases of a preset: a projection, then a tuning. Without lower resolutions where `generator` makes one only;
    with a code for each segment, after a warm-up on the whole photo, where `masks` leave little of it.

    Raises InvalidInputError for a name that isn't one of PRESETS.
    """
    if not isinstance(preset, str) or preset not in _PHASES:
        raise InvalidInputError(f"preset {preset!r:.40} is unknown; choose one of {', '.join(PRESETS)}")
    phases = (replace(phase, loss=loss, seed=seed) for phase in _PHASES[preset])
    return tuple(_suited(phase, generator, masks) for phase in phases)


def preset_steps(preset: str) -> int:
    """How many steps all phases of a preset have together. Raises InvalidInputError for an unknown name."""
    return sum(phase.num_steps for phase in preset_phases(preset, LossConfig()))


def preset_steps_done(record: Inversion) -> int:
    """How many steps, over all phases, a record of a preset has behind it; 0 where it is of none."""
    preset, phase = record.settings.get("preset"), record.settings.get(PHASE)
    if preset not in _PHASES or not isinstance(phase, int):
        return 0
    if _is_finished(record, preset):
        return preset_steps(preset)
    earlier = sum(phase.num_steps for phase in _PHASES[preset][:phase])
    return earlier + record.state.step if record.state is not None else 0


def project_preset(
    generator: Generator,
    photo: Tensor,
    masks: SegmentMasks,
    preset: str,
    *,
    loss: LossConfig | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    preview_seconds: float = 2.0,
    start: Inversion | None = None,
    resume: bool = False,
    autosave: Autosave | None = None,
    autosave_seconds: float = 30.0,
    folders: Sequence[Path] = (),
) -> Inversion:
    """Find a code for each segment, and what else the preset takes, such as a delta of the generator's weights.

    preset: one of PRESETS: "draft" costs about as much as a projection of the whole photo by one code in w+ with 100
    steps, "good" three times that, "best" eight times. loss: what compares with the photo. start: codes to set out
    from; with `resume` a record of this same preset, photo, masks and loss, to go on from the phase and step where it
    stopped. callback(step, total, image): steps count over all phases. The rest, and what is raised: as for `project`
    and `tune`.

    `settings["preset"]` of the result is the name, `settings["phase"]` the number of the last phase, from 0. A phase
    that ends early, on request or because it diverges, is the last one. The result of all phases has no state, which
    would make its file many times larger; resumed, it comes back as it is.
    """
    check_types(generator, masks, ProjectionConfig(), start, (callback, autosave))
    loss = LossConfig() if loss is None else loss
    phases = preset_phases(preset, loss, seed=seed, generator=generator, masks=masks)
    first = _phase_to_go_on_with(start, preset) if resume else 0
    if resume and start is not None:
        check_same_job(generator, start, photo, masks, loss)
        if _is_finished(start, preset):
            return start
        photo = photo if start.photo is None else start.photo  # as it was decoded then
    total = sum(phase.num_steps for phase in phases)
    record = start
    for index, phase in enumerate(phases):
        if index < first:
            continue
        done = sum(earlier.num_steps for earlier in phases[:index])
        watching: dict[str, Any] = {
            "callback": callback and _offset(callback, done, total),
            "preview_seconds": preview_seconds,
            "autosave": autosave and _marking(autosave, preset, index),
            "autosave_seconds": autosave_seconds,
            "folders": folders,
            "resume": resume and index == first,
        }
        if isinstance(phase, ProjectionConfig):
            record = project(generator, photo, masks, phase, start=record, **watching)
        else:
            assert record is not None, "the first phase is a projection"
            record = tune(generator, record, phase, **watching)
        record = _marked(record, preset, index)
        if record.stopped:
            break
    assert record is not None
    return record if record.stopped else replace(record, state=None)


def _is_finished(record: Inversion, preset: str) -> bool:
    """Whether a record of a preset has all phases behind it."""
    ended = record.state is None and not record.stopped
    return ended and record.settings.get(PHASE) == len(_PHASES[preset]) - 1


def check_same_job(
    generator: Generator, record: Inversion, photo: Tensor, masks: SegmentMasks, loss: LossConfig
) -> None:
    """Raise InvalidInputError or WrongGeneratorError unless the record is of this photo, these masks and this loss."""
    check_same_generator(generator, record)
    check_photo(generator, photo, masks)
    check_is_of(record, photo)
    for what, is_same in (
        ("segments", record.names == masks.names),
        ("masks", record.names == masks.names and is_same_masks(record.masks, masks)),
        ("loss", record.settings.get("losses") == plain_settings(ProjectionConfig(loss=loss))["losses"]),
    ):
        if not is_same:
            raise InvalidInputError(
                f"the earlier projection had another {what}; go on with the same, or start from its codes only"
            )


def _suited(phase: PhaseConfig, generator: Generator | None, masks: SegmentMasks | None) -> PhaseConfig:
    if isinstance(phase, TuningConfig):
        return phase
    if generator is not None and len(generator.out_resolutions) == 1:
        phase = replace(phase, coarse=0.0)
    if masks is not None and masks.masks.sum(dim=0).mean() < _SMALL:
        usual = ProjectionConfig()
        phase = replace(phase, warmup=usual.warmup, warmup_photo=usual.warmup_photo)
    return phase


def _phase_to_go_on_with(start: Inversion | None, preset: str) -> int:
    settings = {} if start is None else start.settings
    if settings.get("preset") != preset:
        found = settings.get("preset", "none")
        raise InvalidInputError(
            f"the earlier projection was of the preset {found!r:.40}, now {preset!r}; go on with the same one, or "
            "start from its codes only"
        )
    phase = settings.get(PHASE, 0)
    known = range(len(_PHASES[preset]))
    if phase not in known or isinstance(phase, bool):
        raise InvalidInputError(
            f"the earlier projection's settings are damaged: its phase is {phase!r:.40}, expected 0 to {known[-1]}; "
            "start from its codes only"
        )
    return int(phase)


def _offset(callback: Callback, done: int, total: int) -> Callback:
    return lambda step, steps, image: callback(done + step, total, image)


def _marking(autosave: Autosave, preset: str, index: int) -> Autosave:
    return lambda record: autosave(_marked(record, preset, index))


def _marked(record: Inversion, preset: str, index: int) -> Inversion:
    return replace(record, settings={**record.settings, "preset": preset, PHASE: index})
