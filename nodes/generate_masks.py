"""Generate Masks: the masks of a photo, of codes or of inversions, with nothing painted."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..chunky_core.editing.discovery import codes_of_inversions
from ..chunky_core.generator.generator import Generator
from ..chunky_core.generator.spaces import LatentCode, synthesis_input
from ..chunky_core.inversion.automatic_masks import QUICK, STEPS, PhotoMasks, masks_of_code, masks_of_photo
from ..chunky_core.inversion.given_codes import single_codes
from ..chunky_core.losses import LossConfig
from ..chunky_core.segments.label_names import split_names
from ..chunky_core.segments.mask_generator import MaskGenerator
from ..chunky_core.segments.mask_generator.record import static_classes
from ..chunky_core.segments.segment_masks import SegmentMasks
from ..chunky_core.visualization.sheets import segment_overlay
from ..chunky_core.wording import counted
from .host import HostedGenerator, each_photo, loaded, mask_to_host, step_reporter, to_host
from .losses import weight_folders
from .notices import show_on_node
from .segments import BACKGROUND, known_static, legible
from .types import (
    CodeIO,
    GeneratorIO,
    InversionBatch,
    InversionIO,
    LabelMap,
    LabelMapIO,
    LossIO,
    MaskGeneratorIO,
    SegmentsIO,
)

DOUBTFUL = 0.1  # uncertainty above which a pixel is counted
Source: TypeAlias = Tensor | LatentCode | InversionBatch  # photos as a host IMAGE, codes, or inversions


class GenerateMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_GenerateMasks",
            display_name="Generate Masks",
            category="ChunkyGAN/segments",
            description="Finds the parts of a photo of what the generator draws by itself, with nothing painted; or "
            "those of codes and inversions.",
            search_aliases=[
                "automatic masks",
                "auto mask",
                "segment photo",
                "automatic segmentation",
                "semantic segmentation",
                "face parts",
                "segmentation",
                "datasetgan",
            ],
            inputs=[
                GeneratorIO.Input(
                    "generator", tooltip="The generator, which the mask generator was trained for."
                ),
                MaskGeneratorIO.Input(
                    "mask_generator", tooltip="From Load Mask Generator or Train Mask Generator."
                ),
                io.MultiType.Input(
                    "source",
                    types=[io.Image, CodeIO, InversionIO],
                    tooltip="Photos of the generator's size, aligned as its pictures, to which one code each is "
                    "fitted first; codes; or inversions, of which the mean code of the segments is looked at.",
                ),
                io.Int.Input(
                    "steps",
                    default=STEPS,
                    min=1,
                    max=1000,
                    tooltip="Steps of the fit to a photo; more = masks that lie closer, up to a few hundred. Not used "
                    "for codes and inversions.",
                ),
                io.String.Input(
                    "static",
                    default=BACKGROUND,
                    tooltip="Classes that stay the photo, by name or plural, separated by commas; empty = all become "
                    "segments.",
                ),
                LossIO.Input(
                    "loss",
                    optional=True,
                    tooltip="From Perceptual Loss: what the fit to a photo compares by. Without it the squared colour "
                    "difference is used.",
                ),
            ],
            outputs=[
                SegmentsIO.Output(
                    display_name="segments", tooltip="Soft masks with names, one set per picture."
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="The same as masks: picture by picture, in the order of names.",
                ),
                io.String.Output(
                    display_name="names", tooltip="The names of the masks, separated by commas."
                ),
                LabelMapIO.Output(
                    display_name="label_map",
                    tooltip="The most likely class of each pixel; for Segment Masks.",
                ),
                io.Mask.Output(
                    display_name="uncertainty",
                    tooltip="Where the networks of the mask generator disagree: 0 = they agree.",
                ),
                CodeIO.Output(
                    display_name="code",
                    tooltip="The codes that the masks were read from; for start or mask_code of Segmented Projection.",
                ),
                io.Image.Output(display_name="image", tooltip="The pictures with their segments in colour."),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        mask_generator: MaskGenerator,
        source: Source,
        steps: int,
        static: str,
        loss: LossConfig | None = None,
    ) -> io.NodeOutput:
        with loaded(generator) as network:
            finder = mask_generator.to(network.device)
            kept = known_static(split_names(static), finder.names)
            if isinstance(source, Tensor):
                photos = each_photo(source)
                found = of_photos(network, finder, photos, steps, kept, loss or LossConfig())
            else:
                code = source if isinstance(source, LatentCode) else codes_of_inversions(network, source)
                found, photos = of_codes(network, finder, code, kept)
            pairs = zip(photos, found, strict=True)
            shown = torch.cat(
                [segment_overlay(*legible(photo, on_cpu(one.masks)), 0.5) for photo, one in pairs]
            )
            sets = tuple(on_cpu(one.masks) for one in found)
            labels = torch.cat([one.labels for one in found]).cpu()
            code = LatentCode(found[0].code.space, torch.cat([one.code.tensor.cpu() for one in found]))
            unsure = torch.cat([one.uncertainty for one in found])
            result = to_host(shown)
            names = [name for one in sets for name in one.names]
            show_on_node(summary(found))
            return io.NodeOutput(
                sets,
                mask_to_host(torch.cat([one.masks for one in sets])),
                ", ".join(names),
                LabelMap(labels, dict(enumerate(finder.names))),
                mask_to_host(unsure),
                code,
                result,
                ui=ui.PreviewImage(result, cls=cls),
            )


def of_photos(
    generator: Generator,
    finder: MaskGenerator,
    photos: list[Tensor],
    steps: int,
    static: list[str],
    loss: LossConfig,
) -> list[PhotoMasks]:
    config = replace(QUICK, loss=loss)
    return [
        masks_of_photo(
            generator,
            finder,
            photo,
            steps,
            static=static,
            config=config,
            callback=step_reporter(index, len(photos), previews=False),  # the last one would hide the masks
            folders=weight_folders(),
        )
        for index, photo in enumerate(photos)
    ]


def of_codes(
    generator: Generator, finder: MaskGenerator, code: LatentCode, static: list[str]
) -> tuple[list[PhotoMasks], list[Tensor]]:
    """The masks of each code, and what it draws: [1,3,H,W] on the CPU."""
    ones = single_codes(LatentCode(code.space, code.tensor.to(generator.device)))
    kept = static_classes(static, finder.names)
    report, found, pictures = step_reporter(previews=False), [], []
    for done, one in enumerate(ones, start=1):
        found.append(masks_of_code(generator, finder, one, static=kept))
        pictures.append(generator.synthesis(synthesis_input(generator, one)).float().cpu())
        report(done, len(ones), None)
    return found, pictures


def on_cpu(segments: SegmentMasks) -> SegmentMasks:
    return SegmentMasks(segments.names, segments.masks.cpu(), segments.static.cpu())


def summary(found: list[PhotoMasks]) -> str:
    """What the node says: the parts and how sure they are."""
    unsure = sum(float((one.uncertainty > DOUBTFUL).float().mean()) for one in found) / len(found)
    names = dict.fromkeys(name for one in found for name in one.masks.names)
    return f"{counted(len(found), 'picture')}, {unsure:.1%} of the pixels uncertain: {', '.join(names)}"


NODES = [GenerateMasks]
