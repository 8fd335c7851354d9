"""Save and Load Inversion: the host's output and input folders."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.inversion.inversion_files import load_inversion, save_inversion
from .fits import ON_NODE, fit_line
from .host import plain_tensors
from .model_files import stamp
from .notices import show_on_node
from .photos import PHOTO_TIP, photos_of, with_photos
from .saving import LONGEST_NAME, problem_of_folder
from .types import AlignmentIO, InversionBatch, InversionIO

SUFFIX = ".safetensors"
NO_FILE = "no saved inversion yet"
HOW_TO_GET = (
    "Save Inversion writes one into the output folder, every projection one into output/chunkygan; or copy a file into "
    "the input folder. Then press R and choose it"
)


class SaveInversion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SaveInversion",
            display_name="Save Inversion",
            category="ChunkyGAN/inversion",
            description="Writes each inversion, with codes, masks, edits and, if wanted, its photo, to a file "
            "in the output folder.",
            search_aliases=["export inversion", "save latent", "gan inversion"],
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
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        if filename_prefix is None:  # linked: it is known only when the node runs
            return True
        return problem_of_prefix(filename_prefix) or True

    @classmethod
    def execute(
        cls, inversion: InversionBatch, filename_prefix: str, with_photo: bool = True
    ) -> io.NodeOutput:
        problem = problem_of_prefix(filename_prefix)
        if problem is not None:
            raise InvalidInputError(problem)
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
            search_aliases=[
                "open inversion",
                "import inversion",
                "load latent",
                "gan inversion",
                "autosave",
                "resume",
            ],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=saved_files() or [NO_FILE],
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
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        if file is None:
            return True
        return problem_of_file(file) or True

    @classmethod
    def fingerprint_inputs(cls, file: str | None = None, photo: None = None) -> str:
        if file is None or problem_of_file(file):
            return str(file)
        return f"{file} {stamp(folder_paths.get_annotated_filepath(file))}"

    @classmethod
    def execute(cls, file: str, photo: Tensor | None = None) -> io.NodeOutput:
        problem = problem_of_file(file)
        if problem is not None:
            raise InvalidInputError(problem)
        with plain_tensors():
            opened = (load_inversion(folder_paths.get_annotated_filepath(file)),)
        records = with_photos(opened, photo)
        if line := fit_line(opened[0], ON_NODE):
            show_on_node(line)
        crops = tuple((record.alignment,) if record.alignment else () for record in records)
        return io.NodeOutput(records, photos_of(records), crops)


def saved_files() -> list[str]:
    """Every .safetensors file below the output and the input folder, see `files_of_host`."""
    return files_of_host((SUFFIX,))


def files_of_host(endings: Collection[str]) -> list[str]:
    """Every file with one of `endings` below the output and the input folder, newest first, in the host's notation."""
    found: list[tuple[float, str]] = []
    for mark, root in (
        (" [output]", folder_paths.get_output_directory()),
        ("", folder_paths.get_input_directory()),
    ):
        for path in Path(root).rglob("*"):
            if not path.name.lower().endswith(tuple(endings)):
                continue
            with contextlib.suppress(OSError):  # removed since, a link to what is gone, or not to be entered
                if path.is_file():
                    found.append((path.stat().st_mtime, path.relative_to(root).as_posix() + mark))
    return [name for _, name in sorted(found, reverse=True)]


def problem_of_file(file: str) -> str | None:
    """Why a choice of the list can't be opened."""
    return problem_of_choice(file, NO_FILE, "inversion", HOW_TO_GET)


def problem_of_choice(file: str, none: str, kind: str, advice: str) -> str | None:
    """Why a choice of such a list can't be opened. none: what the list says where it is empty."""
    if file == none:
        return f"there is {none}; {advice}"
    there = folder_paths.exists_annotated_filepath(file)
    if not there or not Path(folder_paths.get_annotated_filepath(file)).is_file():
        return f"there is no {kind} file {file!r} in the input or output folder; {advice}"
    return None


def problem_of_prefix(prefix: str) -> str | None:
    """Why no file can be written with this beginning of its name, found before anything is projected."""
    output = Path(folder_paths.get_output_directory())
    expected = (
        "write a folder and the beginning of a name inside the output folder, as in 'chunkygan/inversion'"
    )
    if not prefix.strip() or "\0" in prefix or Path(prefix).name in ("", ".."):
        return f"the filename_prefix is {prefix!r}; {expected}"
    if len(Path(prefix).name.encode("utf-8", "replace")) > LONGEST_NAME:
        return f"the filename_prefix is too long for a file's name; {expected}, of at most {LONGEST_NAME} letters"
    folder = (output / prefix).parent.resolve()
    if not folder.is_relative_to(output.resolve()):
        return f"the filename_prefix {prefix!r} leads out of the output folder; {expected}"
    problem = problem_of_folder(folder)
    return None if problem is None else f"the filename_prefix {prefix!r} can't be used: {problem}"


NODES = [SaveInversion, LoadInversion]
