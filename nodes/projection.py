"""Segmented Projection: find a code for every segment, with live previews and interruption."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.spaces import LatentCode
from ..chunky_core.inversion import LossConfig, ProjectionConfig
from ..chunky_core.inversion.config import STORED_NAMES
from ..chunky_core.segments.label_names import split_names
from ..chunky_core.segments.mask_generator import MaskGenerator
from .host import HostedGenerator
from .moving_masks import NOT_LINKED, CodesOfMasks, check_can_move, explained_before_the_run, moving_inputs
from .projection_inputs import CUSTOM, preset_input, projection_inputs
from .projection_jobs import project_photos
from .runs import CONTINUE
from .types import (
    AlignmentBatch,
    AlignmentIO,
    CodeIO,
    GeneratorIO,
    InversionBatch,
    InversionIO,
    LossIO,
    SegmentsBatch,
    SegmentsIO,
)


class SegmentedProjection(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SegmentedProjection",
            display_name="Segmented Projection",
            category="ChunkyGAN/inversion",
            description="Finds one latent code per segment so that the generator redraws the photo.",
            search_aliases=[
                "inversion",
                "projector",
                "invert",
                "gan inversion",
                "invert photo",
                "w+",
                "chunkygan",
                "joint masks",
                "moving masks",
            ],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that is to redraw the photo."),
                io.Image.Input("image", tooltip="The photo in the generator's own size, or several."),
                SegmentsIO.Input("segments", tooltip="The segments of the photo; one set serves all photos."),
                LossIO.Input(
                    "loss",
                    optional=True,
                    tooltip="From Perceptual Loss. Without it the squared colour difference is used.",
                ),
                io.MultiType.Input(
                    "start",
                    types=[InversionIO, CodeIO],
                    optional=True,
                    tooltip="An earlier inversion to set out from instead of the mean code, or to go on with; see "
                    "start_as. Or a code, from Load Latent or Sample StyleGAN.",
                ),
                *projection_inputs(),
                AlignmentIO.Input(
                    "alignment",
                    optional=True,
                    tooltip="From Align Face, if the image is its crop: kept with the inversion, for Paste Back.",
                ),
                preset_input(),
                *moving_inputs(),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion", tooltip="Codes, masks and photo: what the edit nodes take."
                ),
                io.Image.Output(display_name="image", tooltip="The photo as the generator redraws it."),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        mode: str | None = None,
        optimizer: str | None = None,
        refine_every: int | None = None,
        preset: str | None = None,
        mask_generator: object = NOT_LINKED,
    ) -> bool | str:
        linked = mask_generator is not NOT_LINKED
        return explained_before_the_run(mode, optimizer, refine_every, preset, linked)

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
        start: InversionBatch | LatentCode | None = None,
        alignment: AlignmentBatch | None = None,
        preset: str = CUSTOM,
        mask_generator: MaskGenerator | None = None,
        mask_code: CodesOfMasks | None = None,
        **widgets: Any,
    ) -> io.NodeOutput:
        if preset == CUSTOM:
            widgets |= {"spaces": spaces_by_segment(spaces), "refine": tuple(split_names(refine))}
        else:
            widgets = {"seed": widgets["seed"]}
        config = ProjectionConfig(
            loss=loss or LossConfig(),
            **{STORED_NAMES.get(widget, widget): value for widget, value in widgets.items()},
        )
        check_can_move(mask_generator, mask_code, config, preset)
        inversions, pictures = project_photos(
            generator,
            image,
            segments,
            start or (None,),
            config,
            preset=preset,
            resume=start_as == CONTINUE,
            alignment=alignment,
            mask_generator=mask_generator,
            mask_code=mask_code,
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


NODES = [SegmentedProjection]
