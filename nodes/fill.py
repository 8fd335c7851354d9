"""Fill Region: where an edit has outgrown its segment, the segment's picture goes on beyond the border."""

from __future__ import annotations

from dataclasses import replace

import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.compositing import composite
from ..chunky_core.compositing.correction_mask import (
    CorrectionPart,
    connected_component_masks,
    parse_correction_parts,
)
from ..chunky_core.compositing.fill import DEFAULTS, fill_region
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.inversion import Inversion, LossConfig
from .fitted import chosen_mask
from .host import HostedGenerator, loaded, mask_to_core, plain_tensors, step_reporter, to_host
from .losses import weight_folders
from .types import GeneratorIO, InversionBatch, InversionIO, LossIO


class FillRegion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_FillRegion",
            display_name="Fill Region",
            category="ChunkyGAN/compositing",
            description="Carries an edited segment beyond its border, where the edit has outgrown it, and "
            "makes it meet its surroundings there.",
            search_aliases=[
                "hole filling",
                "correction mask",
                "remove glasses",
                "extend segment",
                "inpaint",
                "inpaint face",
                "gan inpaint",
            ],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input("inversion", tooltip="The inversion with its edits; it stays as it is."),
                io.Mask.Input(
                    "masks",
                    tooltip="The correction mask, one mask per part as a batch; used for every photo. Leave "
                    "some of the segment itself unpainted.",
                ),
                *fill_inputs(),
                LossIO.Input(
                    "loss",
                    optional=True,
                    tooltip="From Perceptual Loss. Without it the squared colour difference is used.",
                ),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion", tooltip="The inversion with one more segment, NAME_fill."
                ),
                io.Image.Output(
                    display_name="image", tooltip="The filled picture, before Poisson compositing."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        masks: Tensor,
        segment: str,
        parts: str,
        separate: bool,
        steps: int,
        learning_rate: float,
        space: str,
        hold: float,
        feather: float,
        loss: LossConfig | None = None,
    ) -> io.NodeOutput:
        config = replace(
            DEFAULTS, loss=loss or LossConfig(), num_steps=steps, learning_rate=learning_rate, space=space
        )
        with plain_tensors():
            chosen = mask_parts(chosen_mask(mask_to_core(masks), inversion[0].masks.size), parts, separate)
        filled: list[Inversion] = []
        with loaded(generator) as own:
            for index, record in enumerate(inversion):
                report = step_reporter(index, len(inversion))
                one = fill_region(
                    own,
                    record,
                    segment.strip(),
                    chosen,
                    config,
                    hold=hold,
                    feather=feather,
                    callback=report,
                    folders=weight_folders(),
                )
                filled.append(one)
            drawn = [composite(own, record, mode="soft blend").cpu() for record in filled]
            pictures = to_host(torch.cat(drawn))
        return io.NodeOutput(tuple(filled), pictures)


def fill_inputs() -> list[io.Input]:
    """The widgets, in the order of the page; saved workflows depend on it."""
    return [
        io.String.Input("segment", default="eyes", tooltip="Name of the segment that is carried on."),
        io.String.Input(
            "parts",
            default="fit take",
            multiline=True,
            tooltip="One line per part, or one for all. fit = meet the photo there (or 'fit picture': what is "
            "shown now); take = show the result there; 'take' alone = free, shown.",
        ),
        io.Boolean.Input(
            "separate",
            default=False,
            tooltip="On = every connected area of the masks is a part of its own, counted from the top.",
        ),
        io.Int.Input(
            "steps",
            default=DEFAULTS.num_steps,
            min=1,
            max=2000,
            tooltip="Steps of the optimiser; 60 is usual.",
        ),
        io.Float.Input(
            "learning_rate",
            default=DEFAULTS.learning_rate,
            min=0.001,
            max=1.0,
            step=0.001,
            round=False,
            tooltip="Highest step size. Small, because the segment's code is near its goal already.",
            advanced=True,
        ),
        io.Combo.Input(
            "space",
            options=["w+", "w", "s", "z"],
            default=DEFAULTS.space,
            tooltip="Where the code is refined; a segment that is further on stays in its own space.",
            advanced=True,
        ),
        io.Float.Input(
            "hold",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="How strongly the segment is held to what it shows now: 1 = its pixels count as much as the "
            "parts', 0 = not at all.",
        ),
        io.Float.Input(
            "feather",
            default=1.5,
            min=0.0,
            max=32.0,
            step=0.5,
            tooltip="Softness of the filled area's border: Gaussian sigma in pixels; 0 = as painted.",
        ),
    ]


def mask_parts(masks: Tensor, text: str, separate: bool) -> tuple[CorrectionPart, ...]:
    """Masks [B,1,H,W] and the words -> parts. Raises InvalidInputError."""
    single = list(masks.split(1))
    if separate:
        single = [part for mask in single for part in connected_component_masks(mask)]
    if not single:
        raise InvalidInputError("the masks are empty; paint at least one area")
    return parse_correction_parts(single, text)


NODES = [FillRegion]
