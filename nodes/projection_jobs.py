"""The photos that Segmented Projection is given: checked, projected one after the other, and saved on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..chunky_core.compositing.render import render
from ..chunky_core.generator.generator import Generator
from ..chunky_core.inversion import Alignment, Inversion, ProjectionConfig, project
from ..chunky_core.inversion.projector import Callback, check_photo
from ..chunky_core.inversion.validation import check_setup, check_start, segment_spaces
from ..chunky_core.segments import SegmentMasks
from .autosave import NEWEST, SECONDS, Autosave, job_key, remove_old
from .downstream import check_later_nodes
from .host import HostedGenerator, each_photo, loaded, per_photo, plain_tensors, step_reporter, to_host
from .losses import weight_folders
from .types import AlignmentBatch, InversionBatch, SegmentsBatch


@dataclass(frozen=True, eq=False)
class Job:
    """One photo [1,3,H,W] in [-1,1], and what is to be done with it."""

    photo: Tensor
    segments: SegmentMasks
    start: Inversion | None
    alignment: Alignment | None

    def aligned(self, record: Inversion) -> Inversion:
        """The record with this photo's alignment, if there is one."""
        return record if self.alignment is None else replace(record, alignment=self.alignment)


def project_photos(
    hosted: HostedGenerator,
    image: Tensor,
    segments: SegmentsBatch,
    start: InversionBatch | tuple[None],
    config: ProjectionConfig,
    *,
    resume: bool,
    alignment: AlignmentBatch | None = None,
) -> tuple[InversionBatch, Tensor]:
    """Every photo of the batch in turn -> the inversions, and their reconstructions as a host IMAGE."""
    jobs = checked_jobs(hosted, image, segments, start, config, alignment)
    done: list[Inversion] = []
    with loaded(hosted) as generator:
        for index, job in enumerate(jobs):
            report = step_reporter(config.num_steps * len(jobs), done=config.num_steps * index)
            what = "this projection" if len(jobs) == 1 else f"photo {index + 1} of {len(jobs)}"
            done.append(project_one(generator, job, config, report, what, resume=resume))
            remove_old(max(NEWEST, len(jobs)))
        pictures = to_host(torch.cat([render(generator, one).cpu() for one in done]))
    return tuple(done), pictures


def checked_jobs(
    hosted: HostedGenerator,
    image: Tensor,
    segments: SegmentsBatch,
    start: InversionBatch | tuple[None],
    config: ProjectionConfig,
    alignment: AlignmentBatch | None,
) -> list[Job]:
    """What each photo of the batch needs. What is wrong with any of them is found now, before the first step.

    Raises InvalidInputError and WrongGeneratorError.
    """
    with plain_tensors():
        photos = each_photo(image)
    crops = (None,) if alignment is None else tuple(one for ones in alignment for one in ones)
    for photo, masks in zip(photos, per_photo(segments, len(photos), "sets of segments"), strict=True):
        check_photo(photo, hosted.generator, masks)
    for masks in segments:
        check_setup(hosted.generator, masks, segment_spaces(masks, config), config)
        check_later_nodes(masks.names, hosted.generator)
    for one in start:
        if one is not None:
            check_start(one, hosted.generator)
    given = (
        per_photo(segments, len(photos), "sets of segments"),
        per_photo(start, len(photos), "starting inversions"),
        per_photo(crops, len(photos), "alignments"),
    )
    return [Job(*one) for one in zip(photos, *given, strict=True)]


def project_one(
    generator: Generator, job: Job, config: ProjectionConfig, report: Callback, what: str, *, resume: bool
) -> Inversion:
    """One photo, saved on the way and at its end, also where that is an interruption."""
    file = Autosave(job_key(generator, job.photo, job.segments, config), what)
    start = file.load() if resume and job.start is None else job.start
    if not resume:
        file.hold()
    state = start.state if resume and start is not None else None
    file.announce(0 if state is None else state.step)
    try:
        found = project(
            generator,
            job.photo,
            job.segments,
            config,
            callback=report,
            start=start,
            resume=resume and start is not None,
            autosave=lambda record: file.save_unfinished(job.aligned(record)),
            autosave_seconds=SECONDS,
            folders=weight_folders(),
        )
    except BaseException:  # the host's interruption is none of Exception
        file.tell_cut_short()
        raise
    file.save_finished(job.aligned(found))
    return job.aligned(found)
