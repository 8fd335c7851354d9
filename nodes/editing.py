"""Latent Edit: one more entry in the list of edits of an inversion."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io

from ..chunky_core.compositing import KEEP_DETAIL, REPLACE, KeepDetail, Replace
from ..chunky_core.editing import load_directions
from ..chunky_core.editing.directions import SUFFIXES
from ..chunky_core.errors import ChunkyError, InvalidInputError
from ..chunky_core.generator.spaces import Direction
from ..chunky_core.inversion import Edit
from .compositing import edited_picture, pictures, replace_inputs
from .host import HostedGenerator, output_is_used
from .model_files import file_in, files_in, left_out, stamp
from .segments import split_names
from .types import GeneratorIO, InversionBatch, InversionIO

FOLDER = "stylegan_directions"
IMAGE = 1  # index of the output that is drawn only if it is used


def register_folders() -> None:
    """Make models/stylegan_directions known to the host."""
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / FOLDER))


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
                    tooltip="What to change. 'file/name' comes from a file in models/stylegan_directions: "
                    ".safetensors, .npy, .npz, .pt or .pkl; press R to refresh the list.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.5,
                    min=-5.0,
                    max=5.0,
                    step=0.1,
                    tooltip="In standard deviations of what the generator has seen: 1 to 2 is clear, "
                    "above 3 it breaks up; "
                    "negative = the opposite, 0 = no change.",
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
    def validate_inputs(cls, direction: str | None = None) -> bool | str:
        """In place of the host's check of the list, so that a direction that is gone is explained."""
        try:
            if direction is not None:
                direction_by_name(direction)
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
    ) -> io.NodeOutput:
        edited = inversion
        if enabled:
            edit = Edit(direction_by_name(direction), strength, tuple(split_names(segments)) or ("all",))
            edited = tuple(record.with_edits(edit) for record in inversion)
        if not output_is_used(IMAGE):
            return io.NodeOutput(edited, None)
        return io.NodeOutput(edited, pictures(generator, edited, edited_picture(replace, keep_detail)))


def direction_names() -> list[str]:
    """The demo's directions, then 'file/name' for every direction of every file of the folder."""
    listed = [f"{file}/{name}" for file in direction_files() for name in names_in(str(file_in(FOLDER, file)))]
    return [*names_in("demo"), *listed]


def direction_files() -> list[str]:
    return files_in(FOLDER, SUFFIXES)


def names_in(source: str) -> list[str]:
    """Names of a file's directions without their aliases; none if it holds something else."""
    return _names_in(source, stamp(source))


@lru_cache(maxsize=1024)
def _names_in(source: str, _stamp: str) -> list[str]:
    try:
        return sorted(name for name, direction in load_directions(source).items() if direction.name == name)
    except ChunkyError as error:
        left_out(Path(source), error)
        return []


def direction_by_name(choice: str) -> Direction:
    """The direction behind an entry of the list, in which both the file and the name may have a slash.

    Raises InvalidInputError.
    """
    files = [file for file in direction_files() if choice.startswith(f"{file}/")]
    sources = [(choice, "demo"), *((choice[len(file) + 1 :], str(file_in(FOLDER, file))) for file in files)]
    for name, source in sources:
        known = load_directions(source) if source == "demo" or name in names_in(source) else {}
        if name in known:
            return known[name]
    if files:
        name, source = sources[-1]
        load_directions(source)  # says why it has none
        raise InvalidInputError(f"no direction '{name}' in {files[-1]}; it has {', '.join(names_in(source))}")
    raise InvalidInputError(
        f"there is no direction {choice!r}: the demo has {', '.join(names_in('demo'))}, others are 'file/name' of the "
        f"files in {' or '.join(folder_paths.get_folder_paths(FOLDER))}; put its file there, press R and choose it"
    )


NODES = [LatentEdit]
