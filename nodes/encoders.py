"""Load Encoder and Encode Segments: codes of a photo's segments in one pass of a network."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.encoders.encoder import Encoder, load_encoder
from ..chunky_core.errors import MissingWeightsError
from ..chunky_core.inversion.encoded import inversion_from_encoder
from ..chunky_core.segments import SegmentMasks
from .host import HostedGenerator, each_photo, loaded, per_photo, plain_tensors
from .model_files import file_in, files_in, stamp
from .types import EncoderIO, GeneratorIO, InversionIO, SegmentsBatch, SegmentsIO

DEMO = "demo (built in)"
FOLDER = "chunkygan_encoders"
ENDINGS = (".safetensors", ".pt", ".pth")


def register_folders() -> None:
    """Make models/chunkygan/encoders known to the host."""
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / "chunkygan" / "encoders"))


class LoadEncoder(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_LoadEncoder",
            display_name="Load Encoder",
            category="ChunkyGAN/inversion",
            description="Loads a network that names the code of a photo in one pass: the built-in one of the demo "
            "portraits, a trained masked encoder, or a checkpoint of e4e, pSp or ReStyle. Nothing stored in a file is "
            "executed.",
            search_aliases=["e4e", "psp", "restyle", "encoder4editing", "pixel2style2pixel", "gan encoder"],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=[DEMO, *files_in(FOLDER, ENDINGS)],
                    default=DEMO,
                    tooltip="The encoder. Files are .safetensors, .pt or .pth in models/chunkygan/encoders, subfolders "
                    "too; press R to refresh the list.",
                )
            ],
            outputs=[EncoderIO.Output(display_name="encoder", tooltip="The encoder, for Encode Segments.")],
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
    def fingerprint_inputs(cls, name: str | None = None) -> str:
        try:
            return f"{name} {stamp(path_of(name or DEMO))}"
        except MissingWeightsError:
            return f"{name} absent"

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        with plain_tensors():
            return io.NodeOutput(load_encoder(path_of(name)))


class EncodeSegments(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_EncodeSegments",
            display_name="Encode Segments",
            category="ChunkyGAN/inversion",
            description="Inverts photos in one pass of an encoder, without any steps: a draft, or the start of "
            "Segmented Projection.",
            search_aliases=[
                "encode photo",
                "e4e inversion",
                "fast inversion",
                "draft",
                "invert photo",
                "gan encode",
                "start",
            ],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the encoder belongs to."),
                EncoderIO.Input("encoder", tooltip="The encoder, from Load Encoder."),
                io.Image.Input("photo", tooltip="The photos, in the generator's size."),
                SegmentsIO.Input(
                    "segments",
                    optional=True,
                    tooltip="The segments, each of which gets a code of its own from an encoder that takes masks; e4e, "
                    "pSp and ReStyle give all the same. Without them the whole photo is one segment.",
                ),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion",
                    tooltip="One for each photo: for start of Segmented Projection, or to be edited as it is.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        encoder: Encoder,
        photo: Tensor,
        segments: SegmentsBatch | None = None,
    ) -> io.NodeOutput:
        with loaded(generator) as network:
            photos = each_photo(photo)
            masks: tuple[SegmentMasks | None, ...] = segments or (None,)
            given = per_photo(masks, len(photos), "sets of segments")
            try:
                records = tuple(
                    inversion_from_encoder(network, encoder, one, mask)
                    for one, mask in zip(photos, given, strict=True)
                )
            finally:
                encoder.network.to("cpu")  # the host doesn't know of it, so it leaves the device
            return io.NodeOutput(records)


def path_of(name: str) -> str | Path:
    """What load_encoder takes for a choice of the list. Raises MissingWeightsError."""
    return "demo" if name == DEMO else file_in(FOLDER, name)


NODES = [LoadEncoder, EncodeSegments]
