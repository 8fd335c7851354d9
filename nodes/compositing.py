"""From inversions to pictures: Render Inversion, Poisson Composite and Poisson Blend."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.compositing import MODES, Mode, composite, render, set_in
from ..chunky_core.generator.generator import Generator
from ..chunky_core.inversion.inversion import Inversion
from .host import HostedGenerator, each_photo, loaded, per_photo, plain_tensors, to_host
from .photos import PHOTO_TIP, into_photo, photos_of, with_photos
from .types import GeneratorIO, InversionBatch, InversionIO


def mode_inputs() -> list[io.Input]:
    """The widgets of both Poisson nodes; optional, so that workflows saved before they came still run."""
    return [
        io.Combo.Input(
            "mode",
            options=list(MODES),
            default="full",
            optional=True,
            tooltip="full = the photo's colours spread through the whole region; seam only = within a band along "
            "its border; colour shift only = a smooth shift of the colours that keeps every detail.",
        ),
        io.Int.Input(
            "band",
            default=16,
            min=1,
            max=1024,
            optional=True,
            tooltip="For 'seam only': how many pixels on the region's side of a seam may change.",
            advanced=True,
        ),
        io.Boolean.Input(
            "mixed_gradients",
            default=False,
            optional=True,
            tooltip="On = where the photo has the stronger detail, it shows through; for thin and transparent "
            "things. Has no effect on 'colour shift only'.",
            advanced=True,
        ),
    ]


class RenderInversion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_RenderInversion",
            display_name="Render Inversion",
            category="ChunkyGAN/compositing",
            description="Draws an inversion: every segment by its own code, static areas from the photo.",
            search_aliases=["reconstruction", "decode inversion", "synthesis"],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input("inversion", tooltip="The inversion to draw."),
                io.Boolean.Input(
                    "edited", default=True, tooltip="On = with its edits, off = the plain reconstruction."
                ),
                io.Image.Input("photo", optional=True, tooltip=PHOTO_TIP),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The picture, softly blended, one per photo.")
            ],
        )

    @classmethod
    def execute(
        cls, generator: HostedGenerator, inversion: InversionBatch, edited: bool, photo: Tensor | None = None
    ) -> io.NodeOutput:
        records = with_photos(inversion, photo)
        return io.NodeOutput(pictures(generator, records, partial(render, edited=edited)))


class PoissonComposite(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_PoissonComposite",
            display_name="Poisson Composite",
            category="ChunkyGAN/compositing",
            description="Draws an inversion and sets it into its photo without seams. Static areas stay "
            "exactly the photo.",
            search_aliases=["poisson", "seamless clone", "gradient domain", "paste back"],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input("inversion", tooltip="The inversion with its edits."),
                io.Image.Input("photo", optional=True, tooltip=PHOTO_TIP),
                *mode_inputs(),
                io.Boolean.Input(
                    "between_segments",
                    default=False,
                    optional=True,
                    tooltip="On = seams between neighbouring segments are removed, too, all together. For edits "
                    "that make neighbours differ in colour.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", tooltip="The edited photo; static pixels are the photo's own."
                ),
                io.Image.Output(display_name="photo", tooltip="The photo as it was, for comparison."),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        photo: Tensor | None = None,
        mode: Mode = "full",
        band: int = 16,
        mixed_gradients: bool = False,
        between_segments: bool = False,
    ) -> io.NodeOutput:
        records = with_photos(inversion, photo)
        draw = partial(composite, mode=mode, band=band, mixed=mixed_gradients, between=between_segments)
        return io.NodeOutput(pictures(generator, records, draw), photos_of(records))


class PoissonBlend(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_PoissonBlend",
            display_name="Poisson Blend",
            category="ChunkyGAN/compositing",
            description="Sets any picture into a photo without seams, inside a mask.",
            search_aliases=["poisson", "seamless clone", "gradient domain"],
            inputs=[
                io.Image.Input(
                    "picture", tooltip="What to set in; its details are kept, its colours follow the photo."
                ),
                io.Image.Input(
                    "photo", tooltip="What surrounds it, in the same size. Its transparency is kept."
                ),
                io.Mask.Input(
                    "mask", tooltip="1 = the picture; everywhere else the photo stays exactly as it is."
                ),
                *mode_inputs(),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The blended picture.")],
        )

    @classmethod
    def execute(
        cls,
        picture: Tensor,
        photo: Tensor,
        mask: Tensor,
        mode: Mode = "full",
        band: int = 16,
        mixed_gradients: bool = False,
    ) -> io.NodeOutput:
        with plain_tensors():
            sources = each_photo(picture)
            targets = per_photo(tuple(each_photo(photo)), len(sources), "photos")
            masks = per_photo(mask.clone().float()[:, None].split(1), len(sources), "masks")
            blended = [
                set_in(*parts, mode=mode, band=band, mixed=mixed_gradients)
                for parts in zip(sources, targets, masks, strict=True)
            ]
            return io.NodeOutput(into_photo(photo, torch.cat(blended)))


def pictures(
    hosted: HostedGenerator, inversions: InversionBatch, draw: Callable[[Generator, Inversion], Tensor]
) -> Tensor:
    """Draw every inversion of a batch -> host IMAGE."""
    with loaded(hosted) as generator:
        return to_host(torch.cat([draw(generator, record).cpu() for record in inversions]))


NODES = [RenderInversion, PoissonComposite, PoissonBlend]
