"""What nodes offer to read as a label map, and to name its labels by: presets, and files in the host's input folder."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.images.formats import SUFFIXES
from ..chunky_core.segments.label_files.finding import BESIDE, given_table
from ..chunky_core.segments.label_files.label_studio import has_address
from ..chunky_core.segments.label_files.presets import LABEL_PRESETS
from ..chunky_core.segments.label_files.tables import LabelTable
from .model_files import files_below

NO_FILE = "no picture in the input folder"
MOST_LISTED = 200  # pictures of one folder; of more, as data sets have them, the folder alone is offered
OTHER_LISTS = ("labels.txt",)
HOSTS_OWN = ("clipspace",)  # where the mask editor keeps its pictures
HOW_TO_GET = "copy it into ComfyUI's input folder, press R and choose it"


def label_map_choices() -> list[str]:
    """Every picture below the input folder and every folder there with two and more, relative to it, sorted; folders
    end in a slash.

    Pictures whose names hold an e-mail address, as Label Studio's do, are offered by their folder only: a choice is
    stored in the workflow.
    """
    root = Path(folder_paths.get_input_directory())
    pictures: dict[Path, list[Path]] = defaultdict(list)
    for path in files_below(root):
        inside = path.relative_to(root)
        if path.suffix.lower() in SUFFIXES and inside.parts[0] not in HOSTS_OWN:
            pictures[inside.parent].append(inside)
    folders = [
        f"{folder.as_posix()}/" for folder, files in pictures.items() if folder.parts and len(files) > 1
    ]
    single = [
        file.as_posix()
        for files in pictures.values()
        if len(files) <= MOST_LISTED
        for file in files
        if not has_address(file.name)
    ]
    return sorted(single + folders)


def names_input(first: str, tooltip: str) -> io.Input:
    """A list with `first`, the presets, and the files with names below the input folder."""
    root = Path(folder_paths.get_input_directory())
    wanted = (*BESIDE, *OTHER_LISTS)
    files = [path.relative_to(root).as_posix() for path in files_below(root) if path.name.lower() in wanted]
    return io.Combo.Input(
        "names",
        options=[first, *LABEL_PRESETS, *sorted(files)],
        default=first,
        optional=True,
        tooltip=f"{tooltip} A preset, or a file in the input folder: labelmap.txt of CVAT and Datumaro, "
        "label_names.txt and class_names.txt of LabelMe, a SegFormer's config.json. Press R to refresh the list.",
    )


def chosen_names(names: str) -> str:
    """What `read_named_labels` takes for a choice: a preset's name, or the path of a file. Raises InvalidInputError."""
    return names if names in LABEL_PRESETS else str(input_path(names, "file of names"))


def chosen_table(names: str) -> LabelTable:
    """Raises InvalidInputError."""
    return given_table(chosen_names(names))


def input_path(choice: str, what: str) -> Path:
    """What a choice stands for, inside the input folder. Raises InvalidInputError."""
    root = Path(folder_paths.get_input_directory()).resolve()
    path = (root / choice).resolve() if "\0" not in choice else root
    if path == root or not path.is_relative_to(root) or not path.exists():
        raise InvalidInputError(f"there is no {what} {choice!r} in the input folder; {HOW_TO_GET}")
    return root / choice
