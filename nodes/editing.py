"""Latent Edit: one more entry in the list of edits of an inversion."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..chunky_core.compositing import KEEP_DETAIL, REPLACE, KeepDetail, Replace
from ..chunky_core.editing.direction_checks import check_direction, layer_count
from ..chunky_core.editing.edits import STRONGEST
from ..chunky_core.editing.layer_ranges import parse_layers
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import Direction
from ..chunky_core.inversion import Edit
from .compositing import edited_picture, pictures, replace_inputs
from .direction_sources import check_choice, direction_by_name, direction_names
from .host import HostedGenerator, loaded, output_is_used
from .segments import split_names
from .types import DirectionIO, GeneratorIO, InversionBatch, InversionIO

IMAGE = 1  # index of the output that is drawn only if it is used
NOT_LINKED = object()  # the host gives None for an input that is linked


class LatentEdit(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        options = direction_names()
        return io.Schema(
            node_id="ChunkyGAN_LatentEdit",
            display_name="Latent Edit",
            category="ChunkyGAN/editing",
            description="Moves the codes of chosen segments along a direction. Chain several; every edit "
            "stays removable.",
            search_aliases=[
                "face edit",
                "expression",
                "smile",
                "gaze",
                "age",
                "beard",
                "remove glasses",
                "direction",
                "attribute",
                "interfacegan",
                "gan",
            ],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input("inversion", tooltip="The inversion to edit; it stays as it is."),
                io.Combo.Input(
                    "direction",
                    options=options,
                    default="smile" if "smile" in options else None,
                    tooltip="What to change. Plain names belong to the built-in generator, 'file/name' comes from "
                    "a file of any tool in models/stylegan_directions; press R to refresh the list. Connected to Load "
                    "StyleGAN, it has what fits that generator. One that doesn't fit is refused with a list of those "
                    "that do.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.5,
                    min=-STRONGEST,
                    max=STRONGEST,
                    step=0.1,
                    tooltip="In standard deviations of what the generator has seen: 1 to 2 is clear, "
                    "above 3 it breaks up; negative = the opposite, 0 = no change. A loaded_direction says itself "
                    f"what 1 means; a file's raw numbers may need up to {STRONGEST:g}, the limit in Edit List, too.",
                ),
                io.String.Input(
                    "segments",
                    default="all",
                    tooltip="Which segments, separated by commas: their names, a pair such as 'eyes', or "
                    "'all' (also if blank).",
                ),
                io.Boolean.Input(
                    "enabled", default=True, tooltip="Off = pass the inversion on without this edit."
                ),
                *replace_inputs(advanced=True),
                DirectionIO.Input(
                    "loaded_direction",
                    optional=True,
                    tooltip="A direction of Load Direction, Find Directions and the like, in the place of the list's.",
                ),
                io.String.Input(
                    "layers",
                    default="",
                    optional=True,
                    tooltip="Keeps the edit to these layers, counted from 0 (coarse: pose, shape) to the last (fine: "
                    "colour): '0-7, 10', '8-', 'coarse', 'medium', 'fine'; empty = all that the direction moves.",
                    advanced=True,
                ),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion", tooltip="The inversion with this edit appended."
                ),
                io.Image.Output(
                    display_name="image",
                    tooltip="The edited picture, softly blended, before Poisson Composite. Drawn only if it is "
                    "connected.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, direction: str | None = None, loaded_direction: object = NOT_LINKED
    ) -> bool | str:
        """In place of the host's check of the list, so that a direction that is gone is explained."""
        try:
            if direction is not None and loaded_direction is NOT_LINKED:
                check_choice(direction)
        except InvalidInputError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> bool:
        """An image that wasn't drawn is no result for a node that is linked to it later."""
        return output_is_used(IMAGE)

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        direction: str,
        strength: float,
        segments: str,
        enabled: bool,
        replace: Replace = REPLACE[0],
        keep_detail: KeepDetail = KEEP_DETAIL[-1],
        loaded_direction: Direction | None = None,
        layers: str = "",
    ) -> io.NodeOutput:
        edited = inversion
        if enabled:
            along = loaded_direction or chosen_direction(generator, direction)
            edit = edit_along(generator.generator, along, strength, segments, layers)
            edited = tuple(record.with_edits(edit) for record in inversion)
        if not output_is_used(IMAGE):
            return io.NodeOutput(edited, None)
        return io.NodeOutput(edited, pictures(generator, edited, edited_picture(replace, keep_detail)))


def chosen_direction(hosted: HostedGenerator, choice: str) -> Direction:
    """The direction of the list, for the generator. Raises InvalidInputError."""
    with loaded(hosted) as generator:
        return direction_by_name(choice, generator)


def edit_along(
    generator: Generator, direction: Direction, strength: float, segments: str, layers: str
) -> Edit:
    """What the widgets say. Raises InvalidInputError for a direction and layers that the generator doesn't have."""
    check_direction(generator, direction)
    count = layer_count(generator, direction.space)
    kept = parse_layers(layers, count, f"the layers of the edit with {direction.name!r}")
    return Edit(direction, strength, tuple(split_names(segments)) or ("all",), kept)


NODES = [LatentEdit]
