"""Load, Save and Train Mask Generator: what finds the masks of anything that a generator draws."""

from __future__ import annotations

from pathlib import Path

import comfy.model_management as memory
import folder_paths
import torch
from comfy_api.latest import io

from ..chunky_core.callbacks import Callback
from ..chunky_core.editing.discovery import codes_of_inversions
from ..chunky_core.errors import InvalidInputError, MissingWeightsError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import LatentCode
from ..chunky_core.segments.mask_generator import (
    MaskGenerator,
    MaskTrainingConfig,
    StopTraining,
    check_resumed,
    load_mask_generator,
    save_mask_generator,
    train_mask_generator,
)
from ..chunky_core.segments.mask_generator.examples import continued_config, with_carried_labels
from ..chunky_core.wording import counted
from .host import HostedGenerator, loaded, plain_tensors, step_reporter
from .mask_training_labels import Labels, named_classes
from .model_files import file_in, files_in, stamp
from .notices import show_notice, show_on_node
from .sampling import SUFFIX, free_path
from .types import (
    CodeIO,
    GeneratorIO,
    InversionBatch,
    InversionIO,
    LabelMapIO,
    MaskGeneratorIO,
    SegmentsIO,
)
from .widgets import seed as seed_input

DEMO = "demo (built in)"
FOLDER, EARLIER = "chunkygan_mask_generators", "stylegan_mask_generators"
PLACE = "models/chunkygan/mask_generators"
UNFINISHED = "unfinished"  # name of the file that an interrupted training leaves


def register_folders() -> None:
    """Make models/chunkygan/mask_generators known to the host, and where they were before."""
    folder_paths.add_model_folder_path(FOLDER, str(models_folder()))
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / EARLIER))


def models_folder() -> Path:
    return Path(folder_paths.models_dir) / "chunkygan" / "mask_generators"


class LoadMaskGenerator(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_LoadMaskGenerator",
            display_name="Load Mask Generator",
            category="ChunkyGAN/segments",
            description="Opens a mask generator: the built-in one of the demo portraits, or one of "
            f"{PLACE}. Nothing stored in a file is executed.",
            search_aliases=[
                "datasetgan",
                "segmentation model",
                "automatic masks",
                "auto mask",
                "label generator",
            ],
            inputs=[
                GeneratorIO.Input(
                    "generator",
                    tooltip="The generator that it was trained for; with another one it is refused.",
                ),
                io.Combo.Input(
                    "name",
                    options=[DEMO, *files_in(FOLDER, (SUFFIX,))],
                    default=DEMO,
                    tooltip=f"The mask generator. Files are .safetensors of Save Mask Generator, in {PLACE}, "
                    "subfolders too; press R to refresh the list.",
                ),
            ],
            outputs=[
                MaskGeneratorIO.Output(
                    display_name="mask_generator",
                    tooltip="For Generate Masks, Segmented Projection, Poisson Composite and Train Mask Generator.",
                ),
                io.String.Output(display_name="names", tooltip="Its classes, separated by commas."),
            ],
        )

    @classmethod
    def validate_inputs(cls, name: str | None = None) -> bool | str:
        """In place of the host's check of the list, so that a file that is gone is explained."""
        try:
            source_of(name or DEMO)
        except MissingWeightsError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, name: str | None = None, generator: object = None) -> str:
        try:
            return f"{name} {stamp(source_of(name or DEMO))}"
        except MissingWeightsError:
            return f"{name} absent"

    @classmethod
    def execute(cls, generator: HostedGenerator, name: str) -> io.NodeOutput:
        with plain_tensors():
            found = load_mask_generator(source_of(name))
            found.check_generator(generator.generator)
        names = ", ".join(found.names)
        show_on_node(f"{len(found.names)} classes: {names}")
        return io.NodeOutput(found, names)


class SaveMaskGenerator(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SaveMaskGenerator",
            display_name="Save Mask Generator",
            category="ChunkyGAN/segments",
            description=f"Writes a mask generator to {PLACE}: Load Mask Generator lists it after R was pressed.",
            search_aliases=["export mask generator", "keep mask generator", "save segmentation model"],
            is_output_node=True,
            inputs=[
                MaskGeneratorIO.Input("mask_generator", tooltip="The mask generator to write."),
                io.String.Input(
                    "file",
                    default="mine",
                    tooltip=f"Name of the file inside {PLACE}, folders allowed. Where it is taken, a number is "
                    "appended: nothing is overwritten.",
                ),
                io.Boolean.Input(
                    "keep_training",
                    default=True,
                    tooltip="On = training can go on from the file; off = a third of the size.",
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
    def execute(cls, mask_generator: MaskGenerator, file: str, keep_training: bool) -> io.NodeOutput:
        path = written(mask_generator, file, keep_training)
        show_on_node(f"written to {path.name}")
        return io.NodeOutput(str(path))


class TrainMaskGenerator(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_TrainMaskGenerator",
            display_name="Train Mask Generator",
            category="ChunkyGAN/segments",
            description="Learns the masks of everything that a generator draws from a few of its pictures with labels, "
            "or from a single one.",
            search_aliases=[
                "datasetgan",
                "train segmentation",
                "few-shot segmentation",
                "one-shot segmentation",
                "mask classifier",
            ],
            inputs=training_inputs(),
            outputs=[
                MaskGeneratorIO.Output(
                    display_name="mask_generator", tooltip="For Generate Masks and Save Mask Generator."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        code: LatentCode | InversionBatch,
        labels: Labels,
        names: str,
        samples: int,
        steps: int,
        members: int,
        seed: int,
        mask_generator: MaskGenerator | None = None,
    ) -> io.NodeOutput:
        with loaded(generator) as network:
            earlier = None if mask_generator is None else mask_generator.to(network.device)
            config = continued_config(earlier, steps, members, seed)
            if not isinstance(code, LatentCode):
                code = codes_of_inversions(network, code)
            given = LatentCode(code.space, code.tensor.to(network.device))
            classes = named_classes(
                labels, names, len(given.tensor), None if earlier is None else earlier.names
            )
            if earlier is not None:
                check_resumed(network, earlier, classes.names, config)
            maps, parts = classes.labels, 1
            if samples and len(given.tensor) == 1:
                parts = 2
                report = step_reporter(0, parts, previews=False)
                given, maps = with_carried_labels(network, given, maps, samples, seed, report)
            trained = train(
                network, given, maps, classes.names, config, earlier, step_reporter(parts - 1, parts)
            )
        show_on_node(
            f"{len(trained.names)} classes from {counted(len(maps), 'picture')}: {', '.join(trained.names)}"
        )
        return io.NodeOutput(trained)


def training_inputs() -> list[io.Input]:
    return [
        GeneratorIO.Input("generator", tooltip="The generator whose pictures are labelled."),
        io.MultiType.Input(
            "code",
            types=[CodeIO, InversionIO],
            tooltip="Codes of the labelled pictures, one each: Sample StyleGAN's, for instance; or inversions of "
            "labelled photos, by one code each.",
        ),
        io.MultiType.Input(
            "labels",
            types=[LabelMapIO, SegmentsIO, io.Mask],
            tooltip="What the pictures show, in the order of the codes: label maps; segments, of which the static rest "
            "is the class background; or masks, for each picture as many as there are names.",
        ),
        io.String.Input(
            "names",
            default="",
            tooltip="Of masks, separated by commas; what none of them covers is background. Not used for label maps "
            "and segments, which have their own.",
        ),
        io.Int.Input(
            "samples",
            default=20,
            min=0,
            max=200,
            tooltip="With a single code: random pictures that its labels are carried to, where that is beyond doubt. "
            "0 = learn from it alone. Not used for several codes.",
        ),
        io.Int.Input(
            "steps",
            default=1500,
            min=1,
            max=100_000,
            tooltip="Steps of the training in all, those of a connected mask generator included.",
        ),
        io.Int.Input(
            "members",
            default=4,
            min=1,
            max=20,
            tooltip="Networks that vote; where they disagree the masks are uncertain. Training goes on with as many as "
            "were begun.",
            advanced=True,
        ),
        seed_input(0, "Of the networks' first weights, of the pixels looked at, and of samples."),
        MaskGeneratorIO.Input(
            "mask_generator",
            optional=True,
            tooltip="A mask generator whose training goes on: an interrupted one, or one that is to learn from other "
            "pictures; saved with keep_training, as the demo's was not. Its classes stay.",
        ),
    ]


def train(
    generator: Generator,
    code: LatentCode,
    labels: torch.Tensor,
    names: tuple[str, ...],
    config: MaskTrainingConfig,
    earlier: MaskGenerator | None,
    reporter: Callback,
) -> MaskGenerator:
    """On the CPU. reporter: a callback of the host's. Raises the host's interruption after what was learnt has been
    written to a file.
    """
    interruption = Interruption(reporter)
    found = train_mask_generator(
        generator, code, labels, names, config, callback=interruption.report, resume=earlier
    ).to("cpu")
    if interruption.raised is not None:
        path = written(found, UNFINISHED, True)
        show_notice(
            f"the training was interrupted; what was learnt is in {path.name}: open it with Load Mask Generator (after "
            "R was pressed) and connect it to mask_generator to go on"
        )
        raise interruption.raised
    return found


class Interruption:
    """A callback that ends a training in good order where the user interrupts it."""

    def __init__(self, reporter: Callback) -> None:
        self._reporter = reporter
        self.raised: BaseException | None = None

    def report(self, step: int, total: int, image: torch.Tensor | None) -> None:
        try:
            self._reporter(step, total, image)
        except memory.InterruptProcessingException as asked:
            self.raised = asked
            raise StopTraining from asked


def source_of(name: str) -> str | Path:
    """What load_mask_generator takes for a choice of the list. Raises MissingWeightsError."""
    return "demo" if name == DEMO else file_in(FOLDER, name)


def written(mask_generator: MaskGenerator, name: str, with_training: bool) -> Path:
    """The file that it was written to."""
    path = free_path(models_folder(), name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with plain_tensors():
        save_mask_generator(mask_generator, path, with_training=with_training)
    return path


NODES = [LoadMaskGenerator, SaveMaskGenerator, TrainMaskGenerator]
