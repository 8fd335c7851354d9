"""Label Map from Image and Face Parsing: where label maps come from."""

from __future__ import annotations

from pathlib import Path

import comfy.model_management as memory
import comfy.model_patcher
import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.errors import InvalidInputError, MissingWeightsError
from ..chunky_core.images import to_uint8
from ..chunky_core.segments.label_files.presets import LABEL_PRESETS
from ..chunky_core.segments.label_images import labels_from_colors, palette_of, parse_palette
from ..chunky_core.segments.parsing import CONFIG, PREPROCESSOR, WEIGHTS, FaceParser, load_parser
from .host import each_photo, plain_tensors, to_core
from .label_choices import chosen_names, names_input
from .label_pictures import (
    AS_PALETTE,
    AUTO,
    between_levels,
    by_table,
    is_auto,
    label_output,
    label_outputs,
    stored_pixels,
    table_of,
)
from .model_files import files_below, stamp
from .notices import show_notice
from .types import LabelMap

FOLDER = "face_parsing"
NO_MODEL = "no model in models/face_parsing"


def register_folders() -> None:
    """Make models/face_parsing known to the host."""
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / FOLDER))


class LabelMapFromImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_LabelMapFromImage",
            display_name="Label Map from Image",
            category="ChunkyGAN/segments",
            description="Reads a picture in which every area has its own colour, or its own grey level, as a "
            "label map.",
            search_aliases=[
                "label map",
                "color mask",
                "palette",
                "segmentation image",
                "indexed",
                "mask from color",
                "celebamask",
                "labelmap.txt",
                "pascal voc",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The label picture, in the photo's aspect, or several."),
                io.String.Input(
                    "palette",
                    default=AUTO,
                    multiline=True,
                    tooltip="One line per area: '#ff0000 mouth', or '3 mouth' for grey level 3 of 0..255. "
                    "'auto' takes every exact colour and names it by its number; a grey PNG of "
                    "4 bits shows its 3 as 51.",
                ),
                io.Int.Input(
                    "tolerance",
                    default=16,
                    min=0,
                    max=255,
                    tooltip="Grey levels by which a channel may differ from a colour of the palette. Smoothed "
                    "edges between areas are recognised beside it. Not used for grey levels and 'auto'.",
                    advanced=True,
                ),
                names_input(
                    AS_PALETTE,
                    "What the colours or grey levels mean, in the place of the palette, which stays 'auto'.",
                ),
            ],
            outputs=label_outputs(),
        )

    @classmethod
    def validate_inputs(cls, names: str | None = None) -> bool | str:
        """In place of the host's check of the list, so that a file that is gone is explained."""
        try:
            if names not in (None, AS_PALETTE):
                chosen_names(names)
        except InvalidInputError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(
        cls, names: str | None = None, palette: str = "", tolerance: int = 0, image: Tensor | None = None
    ) -> str:
        try:
            file = None if names is None or names in (AS_PALETTE, *LABEL_PRESETS) else chosen_names(names)
        except InvalidInputError as error:
            return str(error)
        return f"{palette} {tolerance} {names} {'' if file is None else stamp(file)}"

    @classmethod
    def execute(cls, image: Tensor, palette: str, tolerance: int, names: str = AS_PALETTE) -> io.NodeOutput:
        with plain_tensors():
            if image.shape[-1] == 4 and (image[..., 3] < 1).any():
                show_notice(
                    "the label picture is transparent in parts; the colours stored there count all the same"
                )
            table = table_of(palette, names)
            if table is not None:
                return by_table(image, table, tolerance)
            given = None if is_auto(palette) else parse_palette(palette)
            pixels = stored_pixels(image)
            if pixels is None and (given is None or given.exact):
                raise between_levels(image)
            pixels = to_uint8(to_core(image)) if pixels is None else pixels
            chosen = given or palette_of(pixels)
            labels = labels_from_colors(pixels, chosen, tolerance)
            return label_output(LabelMap(labels, dict(enumerate(chosen.names))))


class FaceParsing(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        models = sorted(parser_folders()) or [NO_MODEL]
        return io.Schema(
            node_id="ChunkyGAN_FaceParsing",
            display_name="Face Parsing",
            category="ChunkyGAN/segments",
            description="Finds the areas of a face with a SegFormer from models/face_parsing. Nothing is "
            "downloaded and no code from the folder runs.",
            search_aliases=[
                "face segmentation",
                "segformer",
                "semantic segmentation",
                "parse face",
                "celebamask",
                "face parts",
                "face mask",
                "bisenet",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The photo, or several. Aligned faces work best."),
                io.Combo.Input(
                    "model",
                    options=models,
                    default=models[0],
                    tooltip="A folder in models/face_parsing with config.json, preprocessor_config.json and "
                    "model.safetensors; press R to refresh the list.",
                ),
            ],
            outputs=label_outputs(),
        )

    @classmethod
    def validate_inputs(cls, model: str | None = None) -> bool | str:
        """In place of the host's check of the list, so that a folder that is gone is explained."""
        try:
            if model is not None:
                parser_folder(model)
        except MissingWeightsError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, model: str | None = None, image: Tensor | None = None) -> str:
        folder = parser_folders().get(model or "", Path())
        return f"{model} {[stamp(folder / name) for name in (CONFIG, PREPROCESSOR, WEIGHTS)]}"

    @classmethod
    def execute(cls, image: Tensor, model: str) -> io.NodeOutput:
        with plain_tensors():
            photos = each_photo(image)
            parser = load_parser(parser_folder(model))
            labels = parsed(parser, photos)
            return label_output(LabelMap(labels, parser.names))


def parsed(parser: FaceParser, photos: list[Tensor]) -> Tensor:
    """uint8 [B,H,W] on the CPU, photo by photo under the host's memory management."""
    device = memory.get_torch_device()
    patcher = comfy.model_patcher.ModelPatcher(parser, device, memory.unet_offload_device())
    logits = 4 * len(parser.names) * photos[0].shape[-1] * photos[0].shape[-2]  # bytes, float32
    memory.load_models_gpu([patcher], memory_required=3 * logits, force_full_load=True)
    bar, labels = comfy.utils.ProgressBar(len(photos)), []
    for done, photo in enumerate(photos, start=1):
        memory.throw_exception_if_processing_interrupted()
        labels.append(parser.labels(photo.to(device)).cpu())
        bar.update_absolute(done, len(photos))
    memory.soft_empty_cache()
    return torch.cat(labels)


def parser_folders() -> dict[str, Path]:
    """Every folder below models/face_parsing that holds a config.json, by its path from there."""
    found: dict[str, Path] = {}
    for root in folder_paths.get_folder_paths(FOLDER):
        folders = [path.parent for path in files_below(Path(root)) if path.name == CONFIG]
        found = {folder.relative_to(root).as_posix(): folder for folder in folders} | found
    return found


def parser_folder(name: str) -> Path:
    """The folder of an entry of the list. Raises MissingWeightsError."""
    found = parser_folders()
    if name not in found:
        raise MissingWeightsError(
            f"there is no face parsing model {name!r} in {Path(folder_paths.models_dir) / FOLDER}; put a folder "
            "there with config.json, preprocessor_config.json and model.safetensors of a SegFormer, press R, "
            "and choose it"
        )
    return found[name]


NODES = [LabelMapFromImage, FaceParsing]
