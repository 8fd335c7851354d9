"""Load StyleGAN: from the file on disk to a generator under the host's memory management."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..chunky_core import load_generator
from ..chunky_core.checkpoints.formats.basicsr import OF_TWINS, is_of_twins
from ..chunky_core.errors import MissingWeightsError
from ..chunky_core.generator.settings import UPSAMPLINGS
from .host import host_generator, plain_tensors
from .model_files import file_in, files_in, stamp
from .notices import show_notice
from .types import GeneratorIO

DEMO = "demo (built in)"
FOLDER = "stylegan"
AUTO = "auto"
ENDINGS = (".safetensors", ".pkl", ".pt", ".pth", ".pdparams")


def register_folders() -> None:
    """Make models/stylegan known to the host. Extensions are left alone: other packs share the folder."""
    folder_paths.add_model_folder_path(FOLDER, str(models_folder()))


def models_folder() -> Path:
    return Path(folder_paths.models_dir) / FOLDER


class LoadStyleGAN(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_LoadStyleGAN",
            display_name="Load StyleGAN",
            category="ChunkyGAN/generator",
            description="Loads a StyleGAN2 or StyleGAN3 generator: the built-in demo portraits, or a file "
            "from models/stylegan. Nothing stored in a file is executed.",
            search_aliases=[
                "gan",
                "stylegan",
                "stylegan2",
                "stylegan3",
                "gan loader",
                "load gan",
                "ffhq",
                "pkl",
                "generator",
                "checkpoint",
            ],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=listed_generators(),
                    default=DEMO,
                    tooltip="The generator. Files are .safetensors, .pkl, .pt, .pth or .pdparams in models/stylegan, "
                    "subfolders too; press R to refresh the list.",
                ),
                io.Combo.Input(
                    "upsampling",
                    options=[AUTO, *UPSAMPLINGS],
                    default=AUTO,
                    optional=True,
                    tooltip="For files with BasicSR's names only, which hold one of two networks that nothing in the "
                    "file tells apart: fir = BasicSR's StyleGAN2, bilinear = GFPGAN's. auto = as the file says, else "
                    "fir, with a notice.",
                    advanced=True,
                ),
            ],
            outputs=[
                GeneratorIO.Output(
                    display_name="generator", tooltip="The generator, for all other ChunkyGAN nodes."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, name: str | None = None) -> bool | str:
        """In place of the host's check of the list, so that a file that is gone is explained."""
        try:
            path_of(name or DEMO)
        except MissingWeightsError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, name: str | None = None, upsampling: str = AUTO) -> str:
        try:
            return f"{name} {stamp(path_of(name or DEMO))} {upsampling}"
        except MissingWeightsError:
            return f"{name} absent"

    @classmethod
    def execute(cls, name: str, upsampling: str = AUTO) -> io.NodeOutput:
        with plain_tensors():
            asked = None if upsampling == AUTO else upsampling
            generator = load_generator(path_of(name), upsampling=asked)
            if is_of_twins(generator.metadata):
                show_notice(f"{name}: {OF_TWINS}")
            return io.NodeOutput(host_generator(generator))


def listed_generators() -> list[str]:
    return [DEMO, *files_in(FOLDER, ENDINGS)]


def path_of(name: str) -> str | Path:
    """What load_generator takes for a choice of the list. Raises MissingWeightsError."""
    return "demo" if name == DEMO else file_in(FOLDER, name)


NODES = [LoadStyleGAN]
