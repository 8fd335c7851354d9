"""Load StyleGAN: from the file on disk to a generator under the host's memory management."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..chunky_core import load_generator
from .host import host_generator, plain_tensors
from .types import GeneratorIO

DEMO = "demo (built in)"
FOLDER = "stylegan"
ENDINGS = (".safetensors", ".pkl", ".pt", ".pth")


def register_folders() -> None:
    """Make models/stylegan known to the host. Extensions are left alone: other packs share the folder."""
    folder_paths.add_model_folder_path(FOLDER, str(models_folder()))


def models_folder() -> Path:
    return Path(folder_paths.models_dir) / FOLDER


def stylegan_files() -> list[str]:
    """Every file with one of ENDINGS below the registered folders, relative to them.

    Not the host's own list: that follows the extensions of whichever pack registered the folder first.
    """
    roots = folder_paths.get_folder_paths(FOLDER)
    found = {name for root in roots for name in folder_paths.recursive_search(root, [".git"])[0]}
    return sorted(name for name in found if name.lower().endswith(ENDINGS))


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
                    options=[DEMO, *stylegan_files()],
                    default=DEMO,
                    tooltip="The generator. Files are .safetensors, .pkl, .pt or .pth in models/stylegan, "
                    "subfolders too; press R to refresh the list.",
                )
            ],
            outputs=[
                GeneratorIO.Output(
                    display_name="generator", tooltip="The generator, for all other ChunkyGAN nodes."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, name: str) -> str:
        return name if name == DEMO else f"{name} {Path(path_of(name)).stat().st_mtime}"

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        with plain_tensors():
            return io.NodeOutput(host_generator(load_generator(path_of(name))))


def path_of(name: str) -> str:
    """What load_generator takes for a choice of the list."""
    return "demo" if name == DEMO else folder_paths.get_full_path_or_raise(FOLDER, name)


NODES = [LoadStyleGAN]
