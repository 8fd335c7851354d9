"""Calibrate Edit: a direction scaled so that strength 1 changes an attribute by the same everywhere."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io, ui

from ..chunky_core.editing.edits import STRONGEST
from ..chunky_core.editing.scorers import (
    CHANNELS,
    CONFIG,
    DEMO,
    ENDINGS,
    PREPROCESSOR,
    OnnxSettings,
    attribute_index,
    checked_scorer_file,
    load_scorer,
)
from ..chunky_core.errors import ChunkyError
from ..chunky_core.evaluation.calibration import STRENGTHS, UNITS, CalibrationConfig, calibrate
from ..chunky_core.generator.spaces import Direction
from ..chunky_core.visualization.response import plot_response
from .host import HostedGenerator, loaded, step_reporter, to_host
from .model_files import file_in, files_in, stamp
from .notices import show_on_node
from .segments import split_names
from .types import DirectionIO, GeneratorIO, InversionBatch, InversionIO
from .widgets import seed

FOLDER = "chunkygan_scorers"


def register_folders() -> None:
    """Make models/chunkygan/scorers known to the host."""
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / "chunkygan" / "scorers"))


class CalibrateEdit(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_CalibrateEdit",
            display_name="Calibrate Edit",
            category="ChunkyGAN/editing",
            description="Measures what a direction does to an attribute, and scales it so that strength 1 means one "
            "unit of that.",
            search_aliases=[
                "calibrate direction",
                "normalize direction",
                "edit strength",
                "attribute score",
                "classifier",
                "regressor",
                "equal strength",
                "direction scale",
            ],
            is_output_node=True,
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the direction is for."),
                DirectionIO.Input("direction", tooltip="The direction to measure; it stays as it is."),
                *scorer_inputs(),
                *measuring_inputs(),
                *onnx_inputs(),
            ],
            outputs=[
                DirectionIO.Output(
                    display_name="direction",
                    tooltip="The direction scaled; the calibration is saved with it.",
                ),
                io.Image.Output(
                    display_name="plot",
                    tooltip="Thin lines: each picture; thick: their mean; dashed: the fitted line; shaded: where it "
                    "holds.",
                ),
                io.String.Output(
                    display_name="text", tooltip="What strength 1 means now, and how well it fits."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, scorer: str | None = None, attribute: str | None = None) -> bool | str:
        """In place of the host's check of the list, so that a file that is gone is explained."""
        try:
            source = scorer_source(scorer or DEMO)
            if source == DEMO and scorer is not None and attribute is not None:
                attribute_index(load_scorer(DEMO), attribute.strip())
        except ChunkyError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, scorer: str | None = None, **_others: object) -> str:
        try:
            source = Path(scorer_source(scorer or DEMO))
        except ChunkyError as error:
            return str(error)  # execute says it
        files = (source, source.with_name(CONFIG), source.with_name(PREPROCESSOR))
        return " ".join(f"{file} {stamp(file)}" for file in files)

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        direction: Direction,
        scorer: str,
        attribute: str,
        unit: str,
        samples: int,
        strongest: float,
        seed: int,
        inversion: InversionBatch = (),
        segments: str = "all",
        output_names: str = "",
        channels: str = CHANNELS[0],
    ) -> io.NodeOutput:
        factor = strongest / max(STRENGTHS)
        config = CalibrationConfig(
            samples=samples,
            seed=seed,
            strengths=tuple(factor * strength for strength in STRENGTHS),
            unit=unit,
            segments=tuple(split_names(segments)) or ("all",),
        )
        settings = OnnxSettings(names=tuple(split_names(output_names)), channels=channels)
        with loaded(generator) as network:
            judge = load_scorer(scorer_source(scorer), network.device, settings=settings)
            found = calibrate(
                network,
                direction,
                judge,
                attribute.strip(),
                inversions=inversion,
                config=config,
                callback=step_reporter(),
            )
            plot = to_host(plot_response(found.curve, found.fit, f"{direction.name} on {attribute.strip()}"))
        show_on_node(str(found))
        return io.NodeOutput(found.direction, plot, str(found), ui=ui.PreviewImage(plot, cls=cls))


def scorer_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "scorer",
            options=[DEMO, *files_in(FOLDER, ENDINGS)],
            default=DEMO,
            tooltip="What tells how much of the attribute a picture shows. demo = for demo portraits. For photos a "
            "classifier or regressor as ONNX in models/chunkygan/scorers; press R after copying one there.",
        ),
        io.String.Input(
            "attribute",
            default="smile",
            tooltip="Which of the scorer's attributes. demo: smile, age, beard, glasses, yaw, mouth_open, skin, ...; a "
            "wrong name lists all. ONNX: a name of config.json or of output_names, or 'output 0', 'output 1', ...",
        ),
    ]


def measuring_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "unit",
            options=list(UNITS),
            default=UNITS[0],
            tooltip="What strength 1 is to change: deviation = one standard deviation that the attribute has over the "
            "generator's pictures; score = 1 in the scorer's own unit.",
        ),
        io.Int.Input(
            "samples",
            default=24,
            min=2,
            max=512,
            tooltip="Random pictures that are edited, where no inversion is connected. More = a steadier slope; each "
            "is drawn 11 times.",
        ),
        io.Float.Input(
            "strongest",
            default=3.0,
            min=0.1,
            max=STRONGEST,
            step=0.1,
            tooltip="Edits are tried from minus this strength to this one, in the direction's present unit: 3 for "
            "standard deviations; beyond that pictures break up, and no line fits.",
        ),
        seed(0, "Another number draws other random pictures."),
        InversionIO.Input(
            "inversion",
            optional=True,
            tooltip="Measure on these inversions instead, whose segments' own codes move; a batch is better than one.",
        ),
        io.String.Input(
            "segments",
            default="all",
            optional=True,
            tooltip="Which segments of the inversions move: names separated by commas, 'eyes', or 'all'.",
            advanced=True,
        ),
    ]


def onnx_inputs() -> list[io.Input]:
    return [
        io.String.Input(
            "output_names",
            default="",
            optional=True,
            tooltip="Names of an ONNX network's outputs, in order, separated by commas; blank = those of a config.json "
            "beside it, else 'output 0', ...",
            advanced=True,
        ),
        io.Combo.Input(
            "channels",
            options=list(CHANNELS),
            default=CHANNELS[0],
            optional=True,
            tooltip="Order of the colours that an ONNX network was trained with.",
            advanced=True,
        ),
    ]


def scorer_source(choice: str) -> str:
    """What `load_scorer` takes for a choice of the list. Raises as `checked_scorer_file`."""
    return DEMO if choice == DEMO else str(checked_scorer_file(file_in(FOLDER, choice)))


NODES = [CalibrateEdit]
