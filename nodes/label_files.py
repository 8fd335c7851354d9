"""Load Label Map: label maps and folders of masks as labelling tools and data sets write them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import torch
from comfy_api.latest import io

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.segments.label_files.finding import AUTO, names_beside
from ..chunky_core.segments.label_files.reading import read_named_labels
from .host import plain_tensors
from .label_choices import NO_FILE, chosen_names, input_path, label_map_choices, names_input
from .label_pictures import label_output, label_outputs
from .model_files import stamp
from .notices import show_notice
from .types import LabelMap

LARGEST_BYTE = 255


class LoadLabelMap(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_LoadLabelMap",
            display_name="Load Label Map",
            category="ChunkyGAN/segments",
            description="Reads a label map with its names, or a folder of masks, as CelebAMask-HQ, LabelMe, CVAT, "
            "Label Studio and face parsers write them.",
            search_aliases=[
                "celebamask",
                "labelme",
                "cvat",
                "label studio",
                "pascal voc",
                "bisenet",
                "segformer",
                "datumaro",
                "indexed png",
                "face parts",
                "part masks",
            ],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=label_map_choices() or [NO_FILE],
                    tooltip="A label picture, or a folder (with a slash at its end) with one mask per area, in the "
                    "input folder. Press R to refresh the list.",
                ),
                names_input(
                    AUTO,
                    "What the numbers or colours of a label picture mean. 'auto' takes the file beside it, and says "
                    "which; not used for folders of masks.",
                ),
                io.String.Input(
                    "photo",
                    default="",
                    optional=True,
                    tooltip="Number or name of the photo in a folder that has masks of several: 12 for 00012_hair.png; "
                    "for Label Studio the number of the task, or of task and annotation: 12-3. Empty = the only one.",
                ),
            ],
            outputs=label_outputs(),
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None, names: str | None = None) -> bool | str:
        """In place of the host's check of the lists, so that a file that is gone is explained."""
        try:
            if file is not None:
                input_path(file, "label map")
            if names not in (None, AUTO):
                chosen_names(names)
        except InvalidInputError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(
        cls, file: str | None = None, names: str | None = None, photo: str | None = None
    ) -> str:
        try:
            path = input_path(file or "", "label map")
            given = [] if names in (None, AUTO) else [Path(chosen_names(names))]
        except InvalidInputError as error:
            return str(error)
        read = sorted(path.rglob("*")) if path.is_dir() else [path, *names_beside(path)]
        stamps = [f"{one} {stamp(one)}" for one in (*read, *given)]
        return sha256("\n".join([str(photo), *stamps]).encode("utf-8", "surrogateescape")).hexdigest()

    @classmethod
    def execute(cls, file: str, names: str = AUTO, photo: str = "") -> io.NodeOutput:
        with plain_tensors():
            path = input_path(file, "label map")
            made = read_named_labels(
                path, names if names == AUTO else chosen_names(names), photo=photo.strip()
            )
            for note in made.notes:
                show_notice(note)
            labels = made.labels[None]
            small = labels if int(labels.max()) > LARGEST_BYTE else labels.to(torch.uint8)
            return label_output(LabelMap(small, dict(made.names)))


NODES = [LoadLabelMap]
