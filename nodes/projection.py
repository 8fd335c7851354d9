"""Segmented Projection: find a code for every segment, with live previews and interruption."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.compositing.render import render
from ..chunky_core.errors import ChunkyError, InvalidInputError
from ..chunky_core.inversion import Inversion, LossConfig, ProjectionConfig, project, save_inversion
from ..chunky_core.inversion.setup import segment_spaces
from ..chunky_core.segments.label_names import split_names
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

PREVIEW_EVERY = 25  # steps
INTERRUPTED = "chunkygan/interrupted"  # below the output folder


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
                    tooltip="An earlier inversion to set out from instead of the mean code, or an interrupted "
                    "one to finish; see start_as.",
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
            generator, image, segments, start or (None,), config, resume=start_as == CONTINUE
        )
        if alignment is not None:
            crops = per_photo(tuple(one for ones in alignment for one in ones), len(inversions), "alignments")
            inversions = tuple(
                replace(inversion, alignment=one) for inversion, one in zip(inversions, crops, strict=True)
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
) -> tuple[InversionBatch, Tensor]:
    """Every photo of the batch in turn -> the inversions, and their reconstructions as a host IMAGE."""
    with plain_tensors():
        photos = each_photo(image)
    jobs = zip(
        photos,
        per_photo(segments, len(photos), "sets of segments"),
        per_photo(start, len(photos), "starting inversions"),
        strict=True,
    )
    for masks in segments:
        segment_spaces(masks, config)  # a wrong name is found now, not after the first photo
    done: list[Inversion] = []
    finished = False
    try:
        with loaded(hosted) as generator:
            for index, (photo, masks, first) in enumerate(jobs):
                inversion = project(
                    generator,
                    photo,
                    masks,
                    config,
                    callback=step_reporter(config.steps * len(photos), done=config.steps * index),
                    preview_every=PREVIEW_EVERY,
                    start=first,
                    resume=resume,
                    keep=done.append,
                    folders=weight_folders(),
                )
                done.append(inversion)
            pictures = to_host(torch.cat([render(generator, one).cpu() for one in done]))
        finished = True
    finally:
        if not finished:
            keep_files(done)
    return tuple(done), pictures


def keep_files(inversions: Sequence[Inversion]) -> None:
    """What becomes of a run that is cut short: the finished photos' inversions, and that of the one under way, go
    to files that Load Inversion opens.
    """
    folder, stem, counter, _, _ = folder_paths.get_save_image_path(
        INTERRUPTED, folder_paths.get_output_directory()
    )
    for number, record in enumerate(inversions, counter):
        path = Path(folder) / f"{stem}_{number:05}_.safetensors"
        try:
            save_inversion(record, path)
        except (OSError, ChunkyError) as error:  # why the run ended matters more than this
            logging.error("The unfinished inversion could not be saved: %s", error)
        else:
            logging.warning(
                "The projection was cut short; the inversion so far is in %s. To go on, open it with Load "
                "Inversion, connect it to start and set start_as to continue.",
                path,
            )


NODES = [SegmentedProjection]
