"""Steps of incremental editing: Next Step, Append Step, Take Step and Replay Steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..chunky_core.compositing import (
    KEEP_DETAIL,
    REPLACE,
    CompositeMode,
    KeepDetail,
    Replace,
)
from ..chunky_core.compositing.composite import composite
from ..chunky_core.compositing.incremental import append_step, next_photo, replay, step_of
from ..chunky_core.editing import describe_edits
from ..chunky_core.generator.generator import Generator
from ..chunky_core.inversion import Inversion, LossConfig
from ..chunky_core.visualization.sheets import contact_sheet
from .compositing import composite_inputs
from .host import HostedGenerator, loaded, per_photo, step_reporter, to_host
from .losses import weight_folders
from .notices import OnceEach, show_on_node
from .types import GeneratorIO, InversionBatch, InversionIO, LossIO, StepBatch, StepIO

GENERATOR_TIP = "The generator that all the steps were made with."


class NextStep(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_NextStep",
            display_name="Next Step",
            category="ChunkyGAN/editing",
            description="Makes the edited picture of an inversion the photo of the next one: other segments, another "
            "projection, more edits. Append Step joins the two.",
            search_aliases=["incremental editing", "step by step", "chain edits", "next photo", "bake edits"],
            inputs=[
                GeneratorIO.Input("generator", tooltip=GENERATOR_TIP),
                InversionIO.Input("inversion", tooltip="The inversion with its edits, or a batch."),
                *composite_inputs(advanced=True),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="The picture of this step in whole grey levels: photo for the next Segmented Projection.",
                ),
                StepIO.Output(display_name="step", tooltip="For Append Step."),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        mode: CompositeMode = "as needed",
        band: int = 8,
        mixed_gradients: bool = False,
        between_segments: bool = False,
        replace: Replace = REPLACE[0],
        keep_detail: KeepDetail = KEEP_DETAIL[-1],
        follow: bool = False,
    ) -> io.NodeOutput:
        options: dict[str, Any] = {
            "mode": mode,
            "band": band,
            "mixed": mixed_gradients,
            "between": between_segments,
        }
        options |= {"keep_detail": keep_detail, "follow": follow}
        told = OnceEach()
        with loaded(generator) as own:
            made = [
                next_photo(own, one, notify=told, replace=None if one.photo is None else replace, **options)
                for one in inversion
            ]
            pictures = to_host(torch.cat([photo.cpu() for photo, _ in made]))
        return io.NodeOutput(pictures, tuple(step for _, step in made))


class AppendStep(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_AppendStep",
            display_name="Append Step",
            category="ChunkyGAN/editing",
            description="Joins an inversion to the step that made its photo, so that the whole chain is saved with it "
            "and an earlier step can be changed later.",
            search_aliases=["incremental editing", "chain edits", "join steps", "history"],
            inputs=[
                GeneratorIO.Input("generator", tooltip=GENERATOR_TIP),
                StepIO.Input("step", tooltip="From Next Step: the step before."),
                InversionIO.Input(
                    "inversion",
                    tooltip="The projection of the picture that Next Step gave, with or without edits.",
                ),
            ],
            outputs=[
                InversionIO.Output(display_name="inversion", tooltip="The same with the steps before it.")
            ],
        )

    @classmethod
    def execute(cls, generator: HostedGenerator, step: StepBatch, inversion: InversionBatch) -> io.NodeOutput:
        with loaded(generator) as own:
            pairs = zip(per_photo(step, len(inversion), "steps"), inversion, strict=True)
            return io.NodeOutput(tuple(append_step(own, before, after) for before, after in pairs))


class TakeStep(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_TakeStep",
            display_name="Take Step",
            category="ChunkyGAN/editing",
            description="Takes one step out of a chain, to change its edits with any node; Replay Steps puts it back.",
            search_aliases=["incremental editing", "history", "earlier step", "undo"],
            inputs=[
                InversionIO.Input("inversion", tooltip="The last inversion of the chain."),
                number_input(),
            ],
            outputs=[InversionIO.Output(display_name="inversion", tooltip="That step with its edits.")],
        )

    @classmethod
    def execute(cls, inversion: InversionBatch, number: int) -> io.NodeOutput:
        return io.NodeOutput(tuple(step_of(one, number) for one in inversion))


class ReplaySteps(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_ReplaySteps",
            display_name="Replay Steps",
            category="ChunkyGAN/editing",
            description="Puts a changed step back into its chain and plays the later ones again on the picture that it "
            "makes now.",
            search_aliases=["incremental editing", "history", "replay", "redo", "change earlier edit"],
            inputs=[
                GeneratorIO.Input("generator", tooltip=GENERATOR_TIP),
                InversionIO.Input("inversion", tooltip="The last inversion of the chain."),
                InversionIO.Input("changed", tooltip="The step from Take Step, changed."),
                number_input(),
                io.Int.Input(
                    "refit_steps",
                    default=0,
                    min=0,
                    max=2000,
                    tooltip="0 = later steps keep their codes. Else: where the picture beneath a segment differs now "
                    "by more than a grey level, its code is fitted anew with as many steps.",
                ),
                LossIO.Input(
                    "loss",
                    optional=True,
                    tooltip="From Perceptual Loss, for refit_steps; without it the default.",
                ),
            ],
            outputs=[
                InversionIO.Output(display_name="inversion", tooltip="The last inversion of the new chain."),
                io.Image.Output(
                    display_name="image", tooltip="Its picture, as the last Next Step made pictures."
                ),
                io.Image.Output(
                    display_name="steps", tooltip="A sheet: the photo, then the picture of every step."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        changed: InversionBatch,
        number: int,
        refit_steps: int,
        loss: LossConfig | None = None,
    ) -> io.NodeOutput:
        pairs = list(zip(inversion, per_photo(changed, len(inversion), "changed steps"), strict=True))
        played = []
        with loaded(generator) as own:
            for index, (last, new) in enumerate(pairs):
                report = step_reporter(index, len(pairs))
                again = replay(
                    own,
                    last,
                    number,
                    new,
                    refit_steps=refit_steps,
                    loss=loss,
                    callback=report,
                    folders=weight_folders(),
                )
                played.append(again)
            told = OnceEach()
            pictures = to_host(torch.cat([picture_of(own, one, told).cpu() for one in played]))
            sheets = to_host(torch.cat([sheet_of(own, one, told) for one in played]))
        show_on_node("\n".join([*map(described, played), *told.told]))
        return io.NodeOutput(tuple(played), pictures, sheets, ui=ui.PreviewImage(sheets, cls=cls))


def number_input() -> io.Input:
    return io.Int.Input(
        "number", default=1, min=1, max=1000, tooltip="Which step of the chain: 1 = the first."
    )


def described(inversion: Inversion) -> str:
    """A line for each step, with its edits as Edit List writes them."""
    return "\n".join(
        f"step {number}: {'; '.join(describe_edits(step).splitlines())}"
        for number, step in enumerate(inversion.steps, 1)
    )


def picture_of(generator: Generator, inversion: Inversion, told: OnceEach) -> Tensor:
    """The composite [1,3,H,W] by the options of the step before, or by the nodes' own. told: hears warnings."""
    options = {"mode": "as needed"} if inversion.earlier is None else inversion.earlier.options
    return composite(generator, inversion, notify=told, **options)


def sheet_of(generator: Generator, inversion: Inversion, told: OnceEach) -> Tensor:
    """[1,3,h,w]: the first photo, what every step made of it."""
    steps = inversion.steps
    pictures: Sequence[Tensor] = [step.backdrop().cpu() for step in steps]
    titles = ["photo", *(f"step {number}" for number in range(1, len(steps)))]
    panels = [
        *zip(titles, pictures, strict=True),
        (f"step {len(steps)}", picture_of(generator, inversion, told).cpu()),
    ]
    return contact_sheet(panels, columns=min(4, len(panels)))


NODES = [NextStep, AppendStep, TakeStep, ReplaySteps]
