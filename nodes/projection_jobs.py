"""The photos that Segmented Projection is given: checked, then projected one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from torch import Tensor

from ..chunky_core.callbacks import Callback
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import LatentCode
from ..chunky_core.inversion import Alignment, Inversion, ProjectionConfig, project
from ..chunky_core.inversion.config import EARLIER, plain_settings
from ..chunky_core.inversion.given_codes import inversion_from_code, single_codes
from ..chunky_core.inversion.presets import preset_steps, preset_steps_done, project_preset
from ..chunky_core.inversion.projector import check_photo
from ..chunky_core.inversion.record import photo_digest
from ..chunky_core.inversion.validation import check_setup, check_start, segment_spaces
from ..chunky_core.segments import SegmentMasks
from ..chunky_core.segments.mask_generator import MaskGenerator
from .autosave import SECONDS, job_key
from .downstream import check_later_nodes
from .host import HostedGenerator, each_photo, per_photo, plain_tensors
from .losses import weight_folders
from .moving_masks import CodesOfMasks, MovingMasks, moving_masks, remarks_on_vanished
from .notices import show_notice
from .projection_inputs import CUSTOM
from .runs import Keep, run_jobs
from .types import AlignmentBatch, InversionBatch, SegmentsBatch

Start: TypeAlias = InversionBatch | LatentCode | tuple[None]
LEFT_BEHIND = (
    "The inversion in start is tuned. The projection sets out from its codes with the generator's own weights, which "
    "draw them otherwise; tune the result again."
)


@dataclass(frozen=True, eq=False)
class ProjectionJob:
    """One photo [1,3,H,W] in [-1,1], and what is to be done with it.

    config: of a preset only its loss and seed count. moving: what moves the masks, None where they stay.
    """

    photo: Tensor
    segments: SegmentMasks
    given: Inversion | None
    alignment: Alignment | None
    config: ProjectionConfig
    preset: str = CUSTOM
    moving: MovingMasks | None = None
    noun = "projection"

    def aligned(self, record: Inversion) -> Inversion:
        """The record with this photo's alignment, if there is one."""
        return record if self.alignment is None else replace(record, alignment=self.alignment)

    def steps(self, record: Inversion) -> tuple[int, int]:
        if self.preset != CUSTOM:
            return preset_steps_done(record), preset_steps(self.preset)
        return (0 if record.state is None else record.state.step), self.config.num_steps

    def names(self) -> tuple[str, ...]:
        return self.segments.names

    def key(self, generator: Generator) -> str:
        """The number of steps doesn't count, because a job can be given more of them."""
        settings = self._settings()
        described = [generator.fingerprint, photo_digest(self.photo), self.segments.names, settings]
        tensors = [self.segments.masks, self.segments.static]
        if self.moving is not None:
            digest, code = self.moving.described()
            described, tensors = [*described, "moving masks", digest], [*tensors, *code]
        return job_key(described, tensors)

    def _settings(self) -> dict[str, Any]:
        """The seed only where it changes anything."""
        if self.preset != CUSTOM:
            settings = plain_settings(self.config)
            return {"preset": self.preset, **{name: settings[name] for name in ("losses", "seed")}}
        spaces = segment_spaces(self.segments, self.config)
        is_random = self.config.code_noise or self.config.optimize_noise or "z" in spaces
        ignored = ("steps",) if is_random else ("steps", "seed")
        settings = {key: value for key, value in plain_settings(self.config).items() if key not in ignored}
        plain = plain_settings(ProjectionConfig())
        for name in EARLIER:  # at their defaults they don't count: jobs begun before there were any go on
            if settings[name] == plain[name]:
                del settings[name]
        return settings | {"spaces": spaces}

    def run(
        self,
        generator: Generator,
        earlier: Inversion | None,
        *,
        resume: bool,
        callback: Callback,
        autosave: Keep,
    ) -> Inversion:
        watching: dict[str, Any] = {
            "callback": callback,
            "start": earlier,
            "resume": resume,
            "autosave": lambda record: autosave(self.aligned(record)),
            "autosave_seconds": SECONDS,
            "folders": weight_folders(),
        }
        if self.moving is not None:
            watching["mask_generator"] = self.moving.mask_generator
            watching["mask_code"] = self.moving.code
        if self.preset == CUSTOM:
            found = project(generator, self.photo, self.segments, self.config, **watching)
        else:
            loss, seed = self.config.loss, self.config.seed
            found = project_preset(
                generator, self.photo, self.segments, self.preset, loss=loss, seed=seed, **watching
            )
        return self.aligned(found)

    def remarks(self, record: Inversion) -> list[str]:
        return remarks_on_vanished(record)


def started_from_codes(hosted: HostedGenerator, code: LatentCode, photos: list[Tensor]) -> InversionBatch:
    """For each photo an inversion of one segment, drawn by the code; one code serves all photos."""
    codes = per_photo(tuple(single_codes(code)), len(photos), "starting codes")
    with plain_tensors():
        pairs = zip(codes, photos, strict=True)
        return tuple(inversion_from_code(hosted.generator, one, photo) for one, photo in pairs)


def project_photos(
    hosted: HostedGenerator,
    image: Tensor,
    segments: SegmentsBatch,
    start: Start,
    config: ProjectionConfig,
    *,
    preset: str,
    resume: bool,
    alignment: AlignmentBatch | None = None,
    mask_generator: MaskGenerator | None = None,
    mask_code: CodesOfMasks | None = None,
) -> tuple[InversionBatch, Tensor]:
    """Every photo of the batch in turn -> the inversions, and their reconstructions as a host IMAGE."""
    jobs = checked_jobs(hosted, image, segments, start, config, preset, alignment, resume=resume)
    with plain_tensors():
        moving = moving_masks(hosted.generator, mask_generator, mask_code, [job.segments for job in jobs])
    jobs = [replace(job, moving=one) for job, one in zip(jobs, moving, strict=True)]
    return run_jobs(hosted, jobs, resume=resume)


def checked_jobs(
    hosted: HostedGenerator,
    image: Tensor,
    segments: SegmentsBatch,
    start: Start,
    config: ProjectionConfig,
    preset: str,
    alignment: AlignmentBatch | None,
    *,
    resume: bool,
) -> list[ProjectionJob]:
    """What each photo of the batch needs. What is wrong with any of them is found now, before the first step.

    Raises InvalidInputError and WrongGeneratorError.
    """
    with plain_tensors():
        photos = each_photo(image)
    crops = (None,) if alignment is None else tuple(one for ones in alignment for one in ones)
    for photo, masks in zip(photos, per_photo(segments, len(photos), "sets of segments"), strict=True):
        check_photo(hosted.generator, photo, masks)
    for masks in segments:
        if preset == CUSTOM:  # a preset suits itself to generator and segments
            check_setup(hosted.generator, masks, segment_spaces(masks, config), config)
        check_later_nodes(masks.names, hosted.generator)
    if isinstance(start, LatentCode):
        start = started_from_codes(hosted, start, photos)
    for one in start:
        if one is not None:
            check_start(hosted.generator, one)
            if one.is_tuned and not resume:
                show_notice(LEFT_BEHIND)
    given = (
        per_photo(segments, len(photos), "sets of segments"),
        per_photo(start, len(photos), "starting inversions"),
        per_photo(crops, len(photos), "alignments"),
    )
    return [ProjectionJob(*one, config, preset) for one in zip(photos, *given, strict=True)]
