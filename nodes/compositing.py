"""From inversions to pictures: Render Inversion, Poisson Composite and Poisson Blend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.compositing import (
    CLONE_MODES,
    COMPOSITE_MODES,
    KEEP_DETAIL,
    REPLACE,
    CloneMode,
    CompositeMode,
    KeepDetail,
    Renderings,
    Replace,
    composite,
    render,
    seamless_clone,
)
from ..chunky_core.compositing.followed_masks import MaskFollower
from ..chunky_core.compositing.generated_labels import mask_follower
from ..chunky_core.generator.generator import Generator
from ..chunky_core.inversion.record import Inversion
from ..chunky_core.segments.mask_generator import MaskGenerator
from .fitted import chosen_mask
from .host import (
    HostedGenerator,
    each_photo,
    image_size,
    loaded,
    mask_to_core,
    per_photo,
    plain_tensors,
    step_reporter,
    to_host,
)
from .notices import OnceEach, show_notice
from .photos import PHOTO_TIP, into_photo, photos_of, with_photos
from .types import GeneratorIO, InversionBatch, InversionIO, MaskGeneratorIO

STAYS = "A mask generator is connected, but follow is off, so the masks stay where they are. Turn follow on."
Draw: TypeAlias = Callable[[Generator, Inversion, Renderings], Tensor]


def mode_inputs(modes: Sequence[str], mode: str, band: int) -> list[io.Input]:
    """The widgets of both Poisson nodes; optional, so that workflows saved before they came still run."""
    meanings = {
        "full": "the photo's colours spread through the whole region",
        "seam only": "within a band along its border",
        "colour shift only": "a smooth shift of the colours that keeps every detail",
        "soft blend": "no seam is removed",
        "as needed": "next to the border only, and a smooth shift of the colours as far as the inside needs it",
    }
    return [
        io.Combo.Input(
            "mode",
            options=list(modes),
            default=mode,
            optional=True,
            tooltip="; ".join(f"{one} = {meanings[one]}" for one in modes) + ".",
        ),
        io.Int.Input(
            "band",
            default=band,
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


def replace_inputs(*, advanced: bool = False) -> list[io.Input]:
    """What a picture of an edited inversion takes from the photo; optional, as `mode_inputs`."""
    return [
        io.Combo.Input(
            "replace",
            options=list(REPLACE),
            default=REPLACE[0],
            optional=True,
            tooltip="edited segments = everything that no edit touches stays the photo, to the bit; all segments = "
            "the generator redraws the unedited ones, too. An inversion without its photo is redrawn wholly.",
            advanced=advanced,
        ),
        io.Combo.Input(
            "keep_detail",
            options=list(KEEP_DETAIL),
            default=KEEP_DETAIL[-1],
            optional=True,
            tooltip="Freckles, strands, grain: what the generator can't draw. keep and move = carried along with "
            "what the edit moves; keep = stays in place; off = the generator's picture as it is.",
            advanced=advanced,
        ),
    ]


def composite_inputs(*, advanced: bool = False) -> list[io.Input]:
    """How edited segments are set into the photo, in the order of Poisson Composite's widgets. advanced: those that are
    seldom changed are folded away.
    """
    return [
        *mode_inputs(COMPOSITE_MODES, "as needed", band=8),
        io.Boolean.Input(
            "between_segments",
            default=False,
            optional=True,
            tooltip="On = seams between neighbouring segments are removed, too, all together. For edits "
            "that make neighbours differ in colour.",
            advanced=advanced,
        ),
        *replace_inputs(advanced=advanced),
        io.Boolean.Input(
            "follow",
            default=False,
            optional=True,
            tooltip="On = masks follow what the edits move, and what they uncover is drawn: for a turned head, "
            "other hair, a shut mouth. Neighbours may change, static parts don't. Off = each edit stays in its "
            "segment's outline.",
            advanced=advanced,
        ),
    ]


class RenderInversion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_RenderInversion",
            display_name="Render Inversion",
            category="ChunkyGAN/compositing",
            description="Draws an inversion: its edits in the photo, or the plain reconstruction, in which every "
            "segment is drawn by its own code.",
            search_aliases=["reconstruction", "decode inversion", "synthesis", "gan", "show edit"],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input("inversion", tooltip="The inversion to draw."),
                io.Boolean.Input(
                    "edited",
                    default=True,
                    tooltip="On = with its edits, as replace and keep_detail say; off = the plain reconstruction: all "
                    "segments as the generator draws them.",
                ),
                io.Image.Input("photo", optional=True, tooltip=PHOTO_TIP),
                *replace_inputs(),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The picture, softly blended, one per photo.")
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        edited: bool,
        photo: Tensor | None = None,
        replace: Replace = REPLACE[0],
        keep_detail: KeepDetail = KEEP_DETAIL[-1],
    ) -> io.NodeOutput:
        records = with_photos(inversion, photo)
        draw = edited_picture(replace, keep_detail) if edited else reconstruction
        return io.NodeOutput(pictures(generator, records, draw))


class PoissonComposite(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_PoissonComposite",
            display_name="Poisson Composite",
            category="ChunkyGAN/compositing",
            description="Sets the edited segments of an inversion into its photo without seams. Everything else stays "
            "exactly the photo.",
            search_aliases=[
                "poisson",
                "seamless clone",
                "gradient domain",
                "paste back",
                "inpaint face",
                "blend",
            ],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input("inversion", tooltip="The inversion with its edits."),
                io.Image.Input("photo", optional=True, tooltip=PHOTO_TIP),
                *composite_inputs(),
                MaskGeneratorIO.Input(
                    "mask_generator",
                    optional=True,
                    tooltip="With follow on, masks go where it finds the parts of the edited pictures, if the segments "
                    "have the names of its classes. Without it the generator's own features tell.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="The edited photo; what was not replaced is the photo's own pixels.",
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
        mode: CompositeMode = "seam only",
        band: int = 8,
        mixed_gradients: bool = False,
        between_segments: bool = False,
        replace: Replace = REPLACE[0],
        keep_detail: KeepDetail = KEEP_DETAIL[-1],
        follow: bool = False,
        mask_generator: MaskGenerator | None = None,
    ) -> io.NodeOutput:
        records = with_photos(inversion, photo)
        if mask_generator is not None and not follow:
            show_notice(STAYS, "warn")
        draw = edited_picture(
            replace,
            keep_detail,
            mode=mode,
            band=band,
            mixed=mixed_gradients,
            between=between_segments,
            follow=follow,
            mask_generator=mask_generator,
        )
        return io.NodeOutput(pictures(generator, records, draw), photos_of(records))


class PoissonBlend(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_PoissonBlend",
            display_name="Poisson Blend",
            category="ChunkyGAN/compositing",
            description="Sets any picture into a photo without seams, inside a mask.",
            search_aliases=[
                "poisson",
                "seamless clone",
                "gradient domain",
                "inpaint face",
                "blend",
                "remove seam",
            ],
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
                *mode_inputs(CLONE_MODES, "full", band=16),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The blended picture.")],
        )

    @classmethod
    def execute(
        cls,
        picture: Tensor,
        photo: Tensor,
        mask: Tensor,
        mode: CloneMode = "full",
        band: int = 16,
        mixed_gradients: bool = False,
    ) -> io.NodeOutput:
        with plain_tensors():
            count = max(len(picture), len(photo))
            sources = per_photo(tuple(each_photo(picture)), count, "pictures")
            targets = per_photo(tuple(each_photo(photo)), count, "photos")
            fitted = chosen_mask(mask_to_core(mask), image_size(photo))
            masks = per_photo(fitted.split(1), count, "masks")
            blended = [
                seamless_clone(*parts, mode=mode, band=band, mixed=mixed_gradients)
                for parts in zip(targets, sources, masks, strict=True)
            ]
            return io.NodeOutput(into_photo(photo, torch.cat(blended)))


def edited_picture(
    replace: Replace,
    keep_detail: KeepDetail,
    *,
    mode: CompositeMode = "soft blend",
    follow: bool = False,
    mask_generator: MaskGenerator | None = None,
    **options: Any,
) -> Draw:
    """What draws an inversion with its edits. Without its photo an inversion is drawn wholly.

    mask_generator: tells where masks are to follow, if they do.
    It shows each warning once, such as of a harmony that has no effect any more.
    """
    told = OnceEach()

    def draw(generator: Generator, inversion: Inversion, kept: Renderings) -> Tensor:
        chosen = None if inversion.photo is None else replace
        follower: bool | MaskFollower = follow
        if follow and mask_generator is not None:
            follower = mask_follower(generator, mask_generator.to(generator.device))
        return composite(
            generator,
            inversion,
            replace=chosen,
            keep_detail=keep_detail,
            mode=mode,
            kept=kept,
            notify=told,
            follow=follower,
            **options,
        )

    return draw


def reconstruction(generator: Generator, inversion: Inversion, kept: Renderings) -> Tensor:
    """What draws an inversion without its edits."""
    return render(generator, inversion, edited=False, kept=kept)


def pictures(hosted: HostedGenerator, inversions: InversionBatch, draw: Draw) -> Tensor:
    """Draw every inversion of a batch -> host IMAGE. What was drawn of them before is taken from there."""
    report, drawn = step_reporter(), []
    with loaded(hosted) as generator:
        for index, record in enumerate(inversions, 1):
            drawn.append(draw(generator, record, hosted.renderings).cpu())
            report(index, len(inversions), None)
        return to_host(torch.cat(drawn))


NODES = [RenderInversion, PoissonComposite, PoissonBlend]
