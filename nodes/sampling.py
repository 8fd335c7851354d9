"""Sample, Info and Save StyleGAN: what a generator draws by itself, what is known of it, and a file of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io, ui

from ..chunky_core.checkpoints import save_generator
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.description import dimensions
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.sampling import NOISE_MODES, SEEDS, sample
from ..chunky_core.generator.statistics import GeneratorStatistics, cache_folder, statistics
from .generators import models_folder
from .host import HostedGenerator, loaded, plain_tensors, step_reporter, to_host
from .saving import LONGEST_NAME, problem_of_folder
from .types import CodeIO, GeneratorIO

SUFFIX = ".safetensors"
_ENDINGS = re.compile(r"(\.(safetensors|npy|npz|pt|pth|pkl|ckpt|bin|onnx|json))+$", re.IGNORECASE)
_ODD = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16}


class SampleStyleGAN(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SampleStyleGAN",
            display_name="Sample StyleGAN",
            category="ChunkyGAN/generator",
            description="Draws random pictures with a generator. Seeds mean the same as in NVIDIA's own scripts.",
            search_aliases=[
                "gan",
                "generate",
                "generate face",
                "random face",
                "stylegan sample",
                "truncation",
                "seed",
                "latent",
            ],
            inputs=sampling_inputs(),
            outputs=[
                io.Image.Output(display_name="image", tooltip="The pictures, one for each seed."),
                CodeIO.Output(display_name="code", tooltip="Their codes in w, truncated."),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        seed: int,
        truncation_psi: float,
        batch_size: int,
        class_label: int,
        noise_mode: str,
    ) -> io.NodeOutput:
        with loaded(generator) as network:
            label = chosen_class(network, class_label)
            report = step_reporter()
            images, code = sample(network, seed, batch_size, truncation_psi, label, noise_mode, report)
            return io.NodeOutput(to_host(images), code)


def sampling_inputs() -> list[io.Input]:
    return [
        GeneratorIO.Input("generator", tooltip="The generator that draws."),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=SEEDS - 1,
            control_after_generate=io.ControlAfterGenerate.fixed,
            tooltip="Another number is another picture; a batch draws this seed and those after it.",
        ),
        io.Float.Input(
            "truncation_psi",
            default=0.7,
            min=0.0,
            max=2.0,
            step=0.05,
            tooltip="How far from the average picture: 1 = full variety, 0.7 = fewer failures, 0 = the average.",
        ),
        io.Int.Input("batch_size", default=1, min=1, max=64, tooltip="How many pictures."),
        io.Int.Input(
            "class_label",
            default=-1,
            min=-1,
            max=100_000,
            tooltip="The class, for a generator that was trained with classes; -1 = a random one for each "
            "picture, and the only choice for a generator without.",
        ),
        io.Combo.Input(
            "noise_mode",
            options=list(NOISE_MODES),
            default="const",
            tooltip="Fine detail in StyleGAN2: const = the noise stored in the file, none = smooth, random = "
            "drawn from the seed. StyleGAN3 has no noise.",
        ),
    ]


def chosen_class(generator: Generator, label: int) -> int | None:
    """What the core takes for the widget's number. Raises InvalidInputError for a class that there is not."""
    if label < 0:
        return None
    if label >= generator.c_dim:
        known = f"0 to {generator.c_dim - 1}, or -1 for any" if generator.c_dim else "-1, it has no classes"
        raise InvalidInputError(f"class_label is {label}; this generator takes {known}")
    return label


class StyleGANInfo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_StyleGANInfo",
            display_name="StyleGAN Info",
            category="ChunkyGAN/generator",
            description="Says what a generator is: format, size, classes, spaces, licence, and how its codes "
            "are spread.",
            search_aliases=["inspect", "gan info", "checkpoint info", "statistics", "fingerprint", "licence"],
            is_output_node=True,
            inputs=[GeneratorIO.Input("generator", tooltip="The generator to describe.")],
            outputs=[io.String.Output(display_name="info", tooltip="One property per line.")],
        )

    @classmethod
    def execute(cls, generator: HostedGenerator) -> io.NodeOutput:
        with loaded(generator) as network:
            known = statistics(network, statistics_folders())
            text = "\n".join(f"{label}: {value}" for label, value in properties(network, known))
        return io.NodeOutput(text, ui=ui.PreviewText(text))


def statistics_folders() -> list[Path]:
    """Where statistics are looked for; the first one that can be written to keeps them."""
    return [Path(folder_paths.models_dir) / "chunkygan" / "statistics", cache_folder()]


def properties(generator: Generator, known: GeneratorStatistics) -> Iterator[tuple[str, str]]:
    """Label and text of everything worth knowing."""
    metadata = generator.metadata
    yield "format", metadata.get("source_format") or metadata.get("format", "unknown")
    yield from dimensions(generator.architecture, generator.module.state_dict())
    yield "w sigma", f"{known.w_std.mean():.4g} per component, {known.w_spread:.4g} from the mean in all"
    yield "s sigma", f"{known.style_std.mean():.4g} per channel"
    yield "fingerprint", generator.fingerprint
    yield "licence", metadata.get("licence", "not stated in the file")
    yield from ((name, metadata[name]) for name in ("source", "notes") if name in metadata)


class SaveStyleGAN(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SaveStyleGAN",
            display_name="Save StyleGAN",
            category="ChunkyGAN/generator",
            description="Writes a generator, whatever file it came from, to models/stylegan as .safetensors: "
            "a format that cannot run code.",
            search_aliases=[
                "convert stylegan",
                "convert gan",
                "export generator",
                "pkl to safetensors",
                "convert pkl",
            ],
            is_output_node=True,
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator to write."),
                io.String.Input(
                    "name",
                    default="generator",
                    tooltip="Name of the file inside models/stylegan, folders allowed. Where it is taken, a "
                    "number is appended: nothing is overwritten.",
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="fp32",
                    tooltip="fp32 = exactly the same weights; fp16 = half the size, weights rounded.",
                ),
                io.String.Input(
                    "licence",
                    default="",
                    tooltip="The licence of the weights, noted in the file; empty = what the original says.",
                ),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="The path of the file written.")],
        )

    @classmethod
    def validate_inputs(cls, name: str | None = None) -> bool | str:
        if name is None:  # linked: it is known only when the node runs
            return True
        try:
            free_path(models_folder(), name)
        except InvalidInputError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, generator: HostedGenerator, name: str, precision: str, licence: str) -> io.NodeOutput:
        path = free_path(models_folder(), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        extra = {"licence": licence.strip()} if licence.strip() else {}
        with plain_tensors():
            save_generator(generator.generator, path, PRECISIONS[precision], extra)
        return io.NodeOutput(str(path))


def free_path(folder: Path, name: str) -> Path:
    """The .safetensors file `name` inside `folder`, with the first number from 2 on where it is taken.

    Endings of weights files that the name has already are dropped. Raises InvalidInputError for a name that is empty,
    that not every system can have, or that leads out of the folder, and where nothing can be written.
    """
    shown = folder.relative_to(folder_paths.models_dir).as_posix()
    expected = f"expected one inside models/{shown}, as in 'faces/mine'"
    stem = _ENDINGS.sub("", name.strip())
    if not stem.rpartition("/")[2].strip(". ") or stem[-1] == "\\":
        raise InvalidInputError(f"the name is {name!r}; {expected}")
    odd = _ODD.search(stem)
    if odd:
        raise InvalidInputError(
            f"the name {name!r} has {odd[0]!r}, which not every system allows; {expected}"
        )
    if len(stem.rpartition("/")[2].encode("utf-8", "replace")) > LONGEST_NAME:
        raise InvalidInputError(
            f"the name is too long for a file; {expected}, of at most {LONGEST_NAME} letters"
        )
    wanted = (folder / f"{stem}{SUFFIX}").resolve()
    if not wanted.is_relative_to(folder.resolve()):
        raise InvalidInputError(f"the name {name!r} leads out of its folder; {expected}")
    problem = problem_of_folder(wanted.parent)
    if problem is not None:
        raise InvalidInputError(f"the name {name!r} can't be used: {problem}")
    path, number = wanted, 1
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.stem}_{number}{SUFFIX}")
    return path


NODES = [StyleGANInfo, SampleStyleGAN, SaveStyleGAN]
