"""Load Latent and Code to Inversion: codes that are there already, from other tools' files or sampled."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import LatentCode
from ..chunky_core.inversion.given_codes import inversion_from_code, single_codes
from ..chunky_core.inversion.latent_files import StoredCodes, read_codes
from ..chunky_core.segments import SegmentMasks
from .host import HostedGenerator, each_photo, loaded, per_photo
from .inversion_files import files_of_host, problem_of_choice
from .model_files import stamp
from .notices import show_on_node
from .photos import photos_of
from .types import CodeIO, GeneratorIO, InversionBatch, InversionIO, SegmentsBatch, SegmentsIO

ENDINGS = (".npz", ".npy", ".pt", ".pth", ".pkl", ".safetensors")
NO_FILE = "no latent file yet"
HOW_TO_GET = "copy projected_w.npz, latents.pt or the like into the input folder. Then press R and choose it"
AUTO = "auto"
SHOWN = 5  # names on the node


class LoadLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_LoadLatent",
            display_name="Load Latent",
            category="ChunkyGAN/inversion",
            description="Opens latent codes of other tools from the input folder: NVIDIA's projected_w.npz, .pt files "
            "of e4e, Pivotal Tuning and rosinality's projector, .npy. Nothing stored in a file is executed.",
            search_aliases=[
                "projected_w",
                "npz",
                "w+",
                "w_pivot",
                "e4e latents",
                "pti",
                "import latent",
                "open latent",
                "stylegan latent",
                "npy",
            ],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the codes belong to."),
                io.Combo.Input(
                    "file",
                    options=files_of_host(ENDINGS) or [NO_FILE],
                    tooltip="The file, newest first. '[output]' = it lies in the output folder. Press R "
                    "to refresh the list.",
                ),
                io.Combo.Input(
                    "space",
                    options=[AUTO, "w", "w+", "z", "s"],
                    default=AUTO,
                    tooltip="What the numbers are. auto = by their names and size; z has the size of w mostly, and "
                    "has to be said.",
                    advanced=True,
                ),
                io.Int.Input(
                    "index",
                    default=-1,
                    min=-1,
                    max=99_999,
                    tooltip="Which code of several, counted from 0; -1 = all.",
                ),
                io.Image.Input(
                    "photo",
                    optional=True,
                    tooltip="The photos that the codes stand for, in the generator's size. Without them the pictures "
                    "that the codes draw take their place.",
                ),
            ],
            outputs=[
                CodeIO.Output(display_name="code", tooltip="The codes: for start of Segmented Projection."),
                InversionIO.Output(
                    display_name="inversion",
                    tooltip="Each code as an inversion of one segment, to be edited.",
                ),
                io.Image.Output(display_name="image", tooltip="What the codes draw."),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        return True if file is None else problem_of_file(file) or True

    @classmethod
    def fingerprint_inputs(cls, file: str | None = None, **_: object) -> str:
        if file is None or problem_of_file(file):
            return str(file)
        return f"{file} {stamp(folder_paths.get_annotated_filepath(file))}"

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        file: str,
        space: str,
        index: int,
        photo: Tensor | None = None,
    ) -> io.NodeOutput:
        problem = problem_of_file(file)
        if problem is not None:
            raise InvalidInputError(problem)
        path = Path(folder_paths.get_annotated_filepath(file))
        with loaded(generator) as network:
            stored = read_codes(network, path, None if space == AUTO else space)
            stored = stored if index < 0 else stored.one(index)
            records = _inversions(network, stored, photo, None)
            drawn = records if photo is None else _inversions(network, stored, None, None)
            show_on_node(_described(stored))
            return io.NodeOutput(stored.code, records, photos_of(drawn))


class CodeToInversion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_CodeToInversion",
            display_name="Code to Inversion",
            category="ChunkyGAN/inversion",
            description="Makes an inversion of each code, such as Sample StyleGAN's, so that it can be edited, "
            "composited and saved.",
            search_aliases=["edit sample", "latent to inversion", "edit random face", "code", "gan"],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the codes belong to."),
                CodeIO.Input("code", tooltip="One code or several, from Sample StyleGAN or Load Latent."),
                io.Image.Input(
                    "photo",
                    optional=True,
                    tooltip="The photos that the codes stand for. Without them the pictures that the codes draw take "
                    "their place.",
                ),
                SegmentsIO.Input(
                    "segments",
                    optional=True,
                    tooltip="Segments that may be edited by themselves; all set out from the same code. Without them "
                    "the whole picture is one segment.",
                ),
            ],
            outputs=[
                InversionIO.Output(display_name="inversion", tooltip="One for each code."),
                io.Image.Output(display_name="photo", tooltip="The photos, or what the codes draw."),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        code: LatentCode,
        photo: Tensor | None = None,
        segments: SegmentsBatch | None = None,
    ) -> io.NodeOutput:
        with loaded(generator) as network:
            records = _inversions(network, StoredCodes(code), photo, segments)
            return io.NodeOutput(records, photos_of(records))


def _inversions(
    generator: Generator, stored: StoredCodes, photo: Tensor | None, segments: SegmentsBatch | None
) -> InversionBatch:
    """One inversion per code. Raises InvalidInputError where photos or segments are neither one nor as many."""
    codes = single_codes(stored.code)
    photos: tuple[Tensor | None, ...] = (None,)
    if photo is not None:
        photos = tuple(each_photo(photo))
    masks: tuple[SegmentMasks | None, ...] = segments or (None,)
    noise = stored.noise or ((),) * len(codes)
    given = (per_photo(photos, len(codes), "photos"), per_photo(masks, len(codes), "sets of segments"))
    return tuple(
        inversion_from_code(generator, code, one, mask, noise=maps)
        for code, one, mask, maps in zip(codes, *given, noise, strict=True)
    )


def problem_of_file(file: str) -> str | None:
    """Why a choice of the list can't be opened."""
    return problem_of_choice(file, NO_FILE, "latent", HOW_TO_GET)


def _described(stored: StoredCodes) -> str:
    count = len(stored.code.tensor)
    names = ", ".join(name[:40] for name in stored.names[:SHOWN]) + (
        ", ..." if len(stored.names) > SHOWN else ""
    )
    codes = f"{count} code{'s' * (count != 1)} in {stored.code.space}" + (f": {names}" if names else "")
    return "\n".join([codes, *stored.notes])


NODES = [LoadLatent, CodeToInversion]
