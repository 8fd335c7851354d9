"""Save and Load Inversion: the host's output and input folders."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.inversion.files import load_inversion, save_inversion
from .host import plain_tensors
from .photos import PHOTO_TIP, photos_of, with_photos
from .types import AlignmentIO, InversionBatch, InversionIO

SUFFIX = ".safetensors"


class SaveInversion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SaveInversion",
            display_name="Save Inversion",
            category="ChunkyGAN/inversion",
            description="Writes each inversion, with codes, masks, edits and, if wanted, its photo, to a file "
            "in the output folder.",
            search_aliases=["export inversion", "save latent"],
            is_output_node=True,
            inputs=[
                InversionIO.Input("inversion", tooltip="The inversion, or a batch: one file per photo."),
                io.String.Input(
                    "filename_prefix",
                    default="chunkygan/inversion",
                    tooltip="Folder and beginning of the name inside the output folder; a number is "
                    "appended.",
                ),
                io.Boolean.Input(
                    "with_photo",
                    default=True,
                    optional=True,
                    tooltip="On = the file holds the photo. Off = it holds a checksum only, and the photo has to "
                    "be given when it is opened. The codes show the person either way.",
                ),
            ],
            outputs=[io.String.Output(display_name="files", tooltip="The files written, one per line.")],
        )

    @classmethod
    def execute(
        cls, inversion: InversionBatch, filename_prefix: str, with_photo: bool = True
    ) -> io.NodeOutput:
        output = folder_paths.get_output_directory()
        folder, stem, counter, _, _ = folder_paths.get_save_image_path(filename_prefix, output)
        paths = [Path(folder) / f"{stem}_{counter + index:05}_{SUFFIX}" for index in range(len(inversion))]
        for record, path in zip(inversion, paths, strict=True):
            save_inversion(record, path, with_photo=with_photo)
        return io.NodeOutput("\n".join(map(str, paths)))


class LoadInversion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_LoadInversion",
            display_name="Load Inversion",
            category="ChunkyGAN/inversion",
            description="Opens an inversion that was saved before, from the input or the output folder.",
            search_aliases=["open inversion", "import inversion"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=saved_files(),
                    tooltip="The file, newest first. '[output]' = it lies in the output folder. Press R "
                    "to refresh the list.",
                ),
                io.Image.Input("photo", optional=True, tooltip=PHOTO_TIP),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion", tooltip="Codes, masks, photo and edits as they were saved."
                ),
                io.Image.Output(display_name="photo", tooltip="The photo that was inverted."),
                AlignmentIO.Output(
                    display_name="alignment",
                    tooltip="For Paste Back: where the photo was cut out by Align Face; empty if it wasn't.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        if folder_paths.exists_annotated_filepath(file):
            return True
        return f"there is no inversion file '{file}' in the input or output folder; save one first or press R"

    @classmethod
    def fingerprint_inputs(cls, file: str, photo: None = None) -> str:
        return f"{file} {Path(folder_paths.get_annotated_filepath(file)).stat().st_mtime}"

    @classmethod
    def execute(cls, file: str, photo: Tensor | None = None) -> io.NodeOutput:
        with plain_tensors():
            opened = (load_inversion(folder_paths.get_annotated_filepath(file)),)
        records = with_photos(opened, photo)
        crops = tuple((record.alignment,) if record.alignment else () for record in records)
        return io.NodeOutput(records, photos_of(records), crops)


def saved_files() -> list[str]:
    """Every .safetensors file below the output and the input folder, newest first, in the host's notation."""
    found: list[tuple[float, str]] = []
    for mark, root in (
        (" [output]", folder_paths.get_output_directory()),
        ("", folder_paths.get_input_directory()),
    ):
        for path in Path(root).rglob(f"*{SUFFIX}"):
            found.append((path.stat().st_mtime, path.relative_to(root).as_posix() + mark))
    return [name for _, name in sorted(found, reverse=True)]


NODES = [SaveInversion, LoadInversion]
