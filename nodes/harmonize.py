"""Harmonize Segments: edited neighbours made to agree where they meet."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..chunky_core.compositing import KEEP_DETAIL, REPLACE, KeepDetail, Replace
from ..chunky_core.compositing.harmonize import HOLD, LEAST_STEPS, STEPS, WIDTH, harmonize
from ..chunky_core.inversion import Inversion
from ..chunky_core.segments.label_names import split_names
from .compositing import edited_picture, replace_inputs
from .host import HostedGenerator, loaded, step_reporter, to_host
from .notices import show_on_node
from .types import GeneratorIO, InversionBatch, InversionIO


class HarmonizeSegments(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_HarmonizeSegments",
            display_name="Harmonize Segments",
            category="ChunkyGAN/editing",
            description="After strong edits neighbouring segments no longer fit each other: another skin tone, an "
            "outline that jumps. This node moves their codes a little, so that they agree where they meet. Put it "
            "behind the last edit.",
            search_aliases=[
                "coherence",
                "seam",
                "remove seam",
                "consistency",
                "harmonization",
                "blend segments",
                "strong edit",
                "gan",
            ],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input(
                    "inversion",
                    tooltip="The inversion with its edits; it stays as it is. Without edits it is passed on.",
                ),
                *harmonize_inputs(),
                *replace_inputs(advanced=True),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion",
                    tooltip="The same with a harmony for each segment, an edit that holds for these edits alone.",
                ),
                io.Image.Output(
                    display_name="image",
                    tooltip="The edited picture, softly blended, before Poisson Composite.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        steps: int,
        strength: float,
        segments: str,
        hold: float,
        width: float,
        replace: Replace = REPLACE[0],
        keep_detail: KeepDetail = KEEP_DETAIL[-1],
    ) -> io.NodeOutput:
        names = tuple(split_names(segments)) or None
        draw = edited_picture(replace, keep_detail)
        done: list[Inversion] = []
        with loaded(generator) as own:
            for index, record in enumerate(inversion):
                done.append(
                    harmonize(
                        own,
                        record,
                        names,
                        num_steps=steps,
                        strength=strength,
                        hold=hold,
                        width=width,
                        callback=step_reporter(index, len(inversion)),
                    )
                )
            pictures = to_host(torch.cat([draw(own, one, generator.renderings).cpu() for one in done]))
        show_on_node("\n".join(map(described, done)))
        return io.NodeOutput(tuple(done), pictures)


def described(inversion: Inversion) -> str:
    """How many segments were moved, or that none was."""
    moved = sum(bool(edit.harmonizes) for edit in inversion.edits)
    if not moved:
        return "nothing was found that brings neighbours nearer to each other; left as it was"
    return f"{moved} segment{'s' * (moved != 1)} moved, each by an edit of its own at the end of the list"


def harmonize_inputs() -> list[io.Input]:
    """The widgets, in the order of the page; saved workflows depend on it."""
    return [
        io.Int.Input(
            "steps",
            default=STEPS,
            min=LEAST_STEPS,
            max=500,
            tooltip="Steps of the optimiser; each costs about as much as one of a projection. 20 will do.",
        ),
        io.Float.Input(
            "strength",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="How far the codes go along: 1 = all the way, 0 = not at all.",
        ),
        io.String.Input(
            "segments",
            default="",
            tooltip="Which segments move, separated by commas; blank = those with edits. Others that are named come to "
            "be replaced, too.",
        ),
        io.Float.Input(
            "hold",
            default=HOLD,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip="How much the inside of a segment, and with it the edit's effect, counts against its borders. "
            "Less = fewer seams and less effect.",
            advanced=True,
        ),
        io.Float.Input(
            "width",
            default=WIDTH,
            min=1.0,
            max=64.0,
            step=0.5,
            tooltip="How far beyond its mask a segment is to agree with its neighbours: pixels of a picture of 256, "
            "more in larger ones.",
            advanced=True,
        ),
    ]


NODES = [HarmonizeSegments]
