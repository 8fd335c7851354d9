"""Load and Save Direction: one direction from a file of any tool, and a file of our own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..chunky_core.editing import save_directions
from ..chunky_core.editing.direction_checks import layer_count
from ..chunky_core.editing.directions import UNITS
from ..chunky_core.editing.layer_ranges import layers_text, parse_layers
from ..chunky_core.editing.stored_directions import ARRANGEMENTS, Arrangement
from ..chunky_core.editing.units import Unit
from ..chunky_core.errors import ChunkyError, InvalidInputError
from ..chunky_core.generator.architecture import Architecture
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import Direction
from ..chunky_core.inversion.record import kept_layers
from .direction_sources import (
    FOLDER,
    direction_files,
    fits_wholly,
    fitting_text,
    models_folder,
    open_directions,
)
from .host import HostedGenerator, loaded, plain_tensors
from .model_files import file_in, stamp
from .notices import show_on_node
from .sampling import free_path
from .types import DirectionIO, GeneratorIO

DEMO = "demo (built in)"
SHOWN = 40  # names in the text


class LoadDirection(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_LoadDirection",
            display_name="Load Direction",
            category="ChunkyGAN/editing",
            description="Opens a direction of any tool from models/stylegan_directions: .npy and .pt vectors, "
            "InterFaceGAN's boundaries, components of GANSpace and SeFa, channels of StyleSpace. Nothing stored in a "
            "file is executed.",
            search_aliases=[
                "direction",
                "interfacegan",
                "ganspace",
                "sefa",
                "stylespace",
                "styleclip",
                "pca component",
                "boundary",
                "npy",
                "latent direction",
            ],
            inputs=direction_inputs(),
            outputs=[
                DirectionIO.Output(
                    display_name="direction",
                    tooltip="For loaded_direction of Latent Edit and for Save Direction.",
                ),
                io.String.Output(
                    display_name="info",
                    tooltip="What it is, and what else the file holds: one property per line.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """In place of the host's check of the list, so that a file that is gone is explained."""
        try:
            source_of(file or DEMO)
        except ChunkyError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str | None = None, **_: Any) -> str:
        try:
            return f"{file} {stamp(source_of(file or DEMO))}"
        except ChunkyError:
            return f"{file} absent"

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        file: str,
        component: int,
        name: str = "",
        layers: str = "",
        unit: Unit = "auto",
        arrangement: Arrangement = "auto",
    ) -> io.NodeOutput:
        with loaded(generator) as network:
            direction, known = read_direction(network, file, component, name, layers, unit, arrangement)
        text = described(direction, known, generator.generator)
        show_on_node(text.partition("\n")[0])
        return io.NodeOutput(direction, text)


class SaveDirection(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SaveDirection",
            display_name="Save Direction",
            category="ChunkyGAN/editing",
            description="Writes a direction, with its layers, unit, origin and calibration, to "
            "models/stylegan_directions: Latent Edit and Load Direction list it after R was pressed.",
            search_aliases=["export direction", "keep direction", "share direction", "convert direction"],
            is_output_node=True,
            inputs=[
                DirectionIO.Input("direction", tooltip="The direction to write."),
                io.String.Input(
                    "file",
                    default="mine",
                    tooltip="Name of the file inside models/stylegan_directions, folders allowed. Where it is taken, a "
                    "number is appended: nothing is overwritten.",
                ),
                io.String.Input(
                    "name", default="", tooltip="What the direction is to be called; empty = as it is called."
                ),
                io.String.Input(
                    "license",
                    default="",
                    tooltip="The licence of the direction, noted in the file; empty = what it says already.",
                ),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="The path of the file written.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        if file is None:  # linked: it is known only when the node runs
            return True
        try:
            free_path(models_folder(), file)
        except InvalidInputError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, direction: Direction, file: str, name: str, license: str) -> io.NodeOutput:
        path = free_path(models_folder(), file)
        path.parent.mkdir(parents=True, exist_ok=True)
        named = replace(
            direction, name=name.strip() or direction.name, license=license.strip() or direction.license
        )
        with plain_tensors():
            save_directions([named], path)
        return io.NodeOutput(str(path))


def direction_inputs() -> list[io.Input]:
    return [
        GeneratorIO.Input(
            "generator",
            tooltip="The generator that the direction is for: it tells what the numbers are, and how far codes vary.",
        ),
        io.Combo.Input(
            "file",
            options=[DEMO, *direction_files()],
            default=DEMO,
            tooltip="A file in models/stylegan_directions, subfolders too; press R to refresh the list. Connected to "
            "Load StyleGAN, it has the files that fit that generator. chunkygan inspect lists what a file holds.",
        ),
        io.Int.Input(
            "component",
            default=0,
            min=0,
            max=1023,
            tooltip="Which of the file's directions, counted from 0: the principal component of GANSpace, the "
            "eigenvector of SeFa, or by the order of the names that info lists.",
        ),
        io.String.Input(
            "name",
            default="",
            optional=True,
            tooltip="Which of the file's directions by its name, in the place of component; empty = by component.",
        ),
        io.String.Input(
            "layers",
            default="",
            optional=True,
            tooltip="Keeps it to these layers, as GANSpace's and Chunkmogrify's tables do, but both ends count: "
            "'0-7, 10', '8-', 'coarse', 'medium', 'fine'; empty = as the file says. In S they are those of styles.",
        ),
        io.Combo.Input(
            "unit",
            options=list(UNITS),
            default=UNITS[0],
            optional=True,
            tooltip="What strength 1 means. auto = what the file says, and where it doesn't, one standard deviation of "
            "the generator's own codes; sigma = that in any case; raw = the file's numbers, as InterFaceGAN and "
            "e4e count.",
        ),
        io.Combo.Input(
            "arrangement",
            options=list(ARRANGEMENTS),
            default=ARRANGEMENTS[0],
            optional=True,
            tooltip="What a matrix is: one per layer = one direction of W+; components = a direction in each row; auto "
            "= by the tool that wrote it, the generator's sizes, and whether its rows are at right angles.",
            advanced=True,
        ),
    ]


def source_of(file: str) -> str:
    """What load_directions takes for a choice of the list. Raises MissingWeightsError."""
    return "demo" if file == DEMO else str(file_in(FOLDER, file))


def fitting_files(architecture: Architecture) -> list[str]:
    """Those of the list whose directions fit generators of an architecture."""
    return [name for name in (DEMO, *direction_files()) if fits_wholly(source_of(name), architecture)]


def read_direction(
    generator: Generator,
    file: str,
    component: int,
    name: str = "",
    layers: str = "",
    unit: Unit = "auto",
    arrangement: Arrangement = "auto",
) -> tuple[Direction, dict[str, Direction]]:
    """The direction that the widgets ask for, and all of its file by their names. Raises InvalidInputError."""
    known = directions_in(generator, file, unit, arrangement)
    return kept_to(generator, chosen(known, file, component, name), layers), known


def directions_in(
    generator: Generator, file: str, unit: Unit = "auto", arrangement: Arrangement = "auto"
) -> dict[str, Direction]:
    """A file's directions in order, without short names for others.

    Raises InvalidInputError where one doesn't fit the generator, with a list of those that do.
    """
    try:
        found = open_directions(source_of(file), generator, unit, arrangement)
    except InvalidInputError as error:
        fitting = fitting_text(fitting_files(generator.architecture))
        raise InvalidInputError(f"{error}. {fitting}") from error
    return {name: direction for name, direction in found.items() if direction.name == name}


def chosen(known: dict[str, Direction], file: str, component: int, name: str) -> Direction:
    """The one that is asked for. Raises InvalidInputError where the file has no such direction."""
    if name.strip():
        if name.strip() not in known:
            raise InvalidInputError(
                f"there is no direction {name.strip()!r} in {file}; it has {_names(known)}"
            )
        return known[name.strip()]
    if component >= len(known):
        raise InvalidInputError(
            f"component {component} was asked for; {file} has {len(known)}, counted from 0: {_names(known)}"
        )
    return list(known.values())[component]


def kept_to(generator: Generator, direction: Direction, layers: str) -> Direction:
    """The direction in the layers of a text; empty = as it is. Raises InvalidInputError, also for one that is zero."""
    if not direction.tensor.any():
        raise InvalidInputError(
            f"the direction {direction.name!r} is zero; an edit along it would change nothing"
        )
    whose = f"the layers of {direction.name!r}"
    found = parse_layers(layers, layer_count(generator, direction.space), whose)
    return replace(direction, layers=kept_layers(direction, found, "layers"))


def described(direction: Direction, known: dict[str, Direction], generator: Generator) -> str:
    """A line about the direction, then one for everything else worth knowing."""
    size = " x ".join(map(str, direction.tensor.shape))
    strength = {"sigma": "one standard deviation", "raw": "the file's numbers"}.get(
        direction.unit, direction.unit
    )
    lines = [
        f"{direction.name}: {direction.space} {size}, norm {float(direction.tensor.norm()):.4g}, layers "
        f"{layers_text(direction.layers)}, strength 1 = {strength}"
    ]
    lines += [text for text in (direction.description, direction.source, direction.license) if text]
    if direction.fingerprint not in ("", generator.fingerprint):
        lines.append(f"made for another generator of this size, {direction.fingerprint[:12]}")
    if len(known) > 1:
        lines.append(f"the file has {len(known)}: {_names(known)}")
    return "\n".join(lines)


def _names(known: dict[str, Direction]) -> str:
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return ", ".join(list(known)[:SHOWN]) + more


NODES = [LoadDirection, SaveDirection]
