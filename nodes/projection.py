"""Segmented Projection: find a code for every segment, with live previews and interruption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.compositing.render import render
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.inversion import Alignment, Inversion, LossConfig, ProjectionConfig, project
from ..chunky_core.inversion.projection import Callback
from ..chunky_core.inversion.setup import check_setup, segment_spaces
from ..chunky_core.inversion.start import check_start
from ..chunky_core.segments import Segments
from ..chunky_core.segments.label_names import split_names
from .autosave import NEWEST, SECONDS, Autosave, job_key, remove_old
from .downstream import check_later_names
from .host import HostedGenerator, each_photo, loaded, per_photo, plain_tensors, step_reporter, to_host
from .losses import weight_folders
from .projection_inputs import CONTINUE, projection_inputs
from .types import (
    AlignmentBatch,
    AlignmentIO,
    GeneratorIO,
    InversionBatch,
    InversionIO,
    LossIO,
    SegmentsBatch,
    SegmentsIO,
)


@dataclass(frozen=True, eq=False)
class Job:
    """One photo [1,3,H,W] in [-1,1], and what is to be done with it."""

    photo: Tensor
    segments: Segments
    start: Inversion | None
    alignment: Alignment | None

    def aligned(self, record: Inversion) -> Inversion:
        """The record with this photo's alignment, if there is one."""
        return record if self.alignment is None else replace(record, alignment=self.alignment)


class SegmentedProjection(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SegmentedProjection",
            display_name="Segmented Projection",
            category="ChunkyGAN/inversion",
            description="Finds one latent code per segment so that the generator redraws the photo.",
            search_aliases=["inversion", "projector", "invert", "gan inversion", "w+", "chunkygan"],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that is to redraw the photo."),
                io.Image.Input("image", tooltip="The photo in the generator's own size, or several."),
                SegmentsIO.Input("segments", tooltip="The segments of the photo; one set serves all photos."),
                LossIO.Input(
                    "loss",
                    optional=True,
                    tooltip="From Perceptual Loss. Without it the squared colour difference is used.",
                ),
                InversionIO.Input(
                    "start",
                    optional=True,
                    tooltip="An earlier inversion to set out from instead of the mean code, or to go on with; see "
                    "start_as.",
                ),
                *projection_inputs(),
                AlignmentIO.Input(
                    "alignment",
                    optional=True,
                    tooltip="From Align Face, if the image is its crop: kept with the inversion, for Paste Back.",
                ),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion", tooltip="Codes, masks and photo: what the edit nodes take."
                ),
                io.Image.Output(display_name="image", tooltip="The photo as the generator redraws it."),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        image: Tensor,
        segments: SegmentsBatch,
        spaces: str,
        refine: str,
        start_as: str,
        loss: LossConfig | None = None,
        start: InversionBatch | None = None,
        alignment: AlignmentBatch | None = None,
        **knobs: Any,
    ) -> io.NodeOutput:
        config = ProjectionConfig(
            losses=loss or LossConfig(),
            spaces=spaces_by_segment(spaces),
            refine=tuple(split_names(refine)),
            **knobs,
        )
        inversions, pictures = project_photos(
            generator,
            image,
            segments,
            start or (None,),
            config,
            resume=start_as == CONTINUE,
            alignment=alignment,
        )
        return io.NodeOutput(inversions, pictures)


def spaces_by_segment(text: str) -> dict[str, str]:
    """'mouth=s, eyes=w' -> the space of each. Raises InvalidInputError."""
    found: dict[str, str] = {}
    for entry in split_names(text):
        name, sign, space = (part.strip() for part in entry.partition("="))
        if not (name and sign and space):
            raise InvalidInputError(
                f"spaces holds {entry!r}; expected segment=space, such as 'mouth=s, eyes=w'"
            )
        if name in found:
            raise InvalidInputError(f"spaces names {name!r} twice; give each segment one space")
        found[name] = space.lower()
    return found


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
            report = step_reporter(config.steps * len(jobs), done=config.steps * index)
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
    for masks in segments:
        check_setup(hosted.generator, masks, segment_spaces(masks, config), config)
        check_later_names(masks.names)
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
    file.announce()
    try:
        found = project(
            generator,
            job.photo,
            job.segments,
            config,
            callback=report,
            start=start,
            resume=resume and start is not None,
            keep=lambda record: file.save_unfinished(job.aligned(record)),
            keep_seconds=SECONDS,
            folders=weight_folders(),
        )
    except BaseException:  # the host's interruption is none of Exception
        file.tell_cut_short()
        raise
    file.save_finished(job.aligned(found))
    return job.aligned(found)


NODES = [SegmentedProjection]
