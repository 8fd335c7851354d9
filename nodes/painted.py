"""Painted Segments: strokes over a photo to segments."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.images import to_uint8
from ..chunky_core.segments import SegmentMasks, segments_from_masks
from ..chunky_core.segments.edit_segments import STATIC
from ..chunky_core.segments.label_images import Palette, parse_palette
from ..chunky_core.segments.label_names import split_names
from ..chunky_core.segments.names import known_name
from ..chunky_core.segments.painting.palette import palette_of_strokes
from ..chunky_core.segments.painting.strokes import painted_masks
from ..chunky_core.segments.partition import Gaps
from .fitted import say_odd_levels
from .host import each_photo, per_photo, plain_tensors
from .mask_widgets import feather_input, gaps_input
from .types import SegmentsIO

AUTO = "auto"
EXAMPLE_PALETTE = "#ff0000 mouth\n#00ff00 left_eye\n#0000ff right_eye"


class PaintedSegments(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_PaintedSegments",
            display_name="Painted Segments",
            category="ChunkyGAN/segments",
            description="Makes segments of strokes painted over the photo: one colour, one segment.",
            search_aliases=[
                "brush",
                "paint layer",
                "scribble",
                "strokes",
                "colour mask",
                "mask editor",
                "inpaint face",
            ],
            inputs=[
                io.Image.Input("original", tooltip="The photo without paint, or several."),
                io.Image.Input("painted", tooltip="The same photo with strokes, in the same size."),
                io.String.Input(
                    "palette",
                    default=EXAMPLE_PALETTE,
                    multiline=True,
                    tooltip="One line per colour: '#ff0000 mouth'. Several colours may have one name. 'auto' or empty "
                    "= the colours of the strokes, named '#ff0000' and so on.",
                ),
                io.String.Input(
                    "static",
                    default=STATIC,
                    tooltip="Names of the palette that mean parts to keep as they are, separated by commas.",
                ),
                io.Int.Input(
                    "tolerance",
                    default=16,
                    min=0,
                    max=128,
                    tooltip="Grey levels by which a channel of a stroke may differ from its colour.",
                    advanced=True,
                ),
                feather_input("as painted"),
                gaps_input(),
            ],
            outputs=[SegmentsIO.Output(display_name="segments", tooltip="The segments, one set per photo.")],
        )

    @classmethod
    def execute(
        cls,
        original: Tensor,
        painted: Tensor,
        palette: str,
        static: str,
        tolerance: int,
        feather: float,
        gaps: Gaps,
    ) -> io.NodeOutput:
        given = None if palette.strip().lower() in ("", AUTO) else parse_palette(palette)
        if given is not None:
            static_names(split_names(static), given)
        with plain_tensors():
            above = each_photo(painted)
            below = per_photo(tuple(each_photo(original)), len(above), "originals")
            pairs = [(to_uint8(old)[0], to_uint8(new)[0]) for old, new in zip(below, above, strict=True)]
            return io.NodeOutput(
                tuple(painted_segments(*pair, given, static, tolerance, feather, gaps) for pair in pairs)
            )


def static_names(static: list[str], palette: Palette) -> list[str]:
    """The names as the palette writes them. Raises InvalidInputError for one that it doesn't have; the default may be
    missing there.
    """
    meant = {entry: known_name(entry, (*palette.names, STATIC)) for entry in static}
    unknown = [entry for entry, name in meant.items() if name is None]
    if unknown:
        raise InvalidInputError(
            f"static names {', '.join(unknown)} are not in the palette, which has {', '.join(palette.names)}; "
            "write them as there"
        )
    return [name for name in meant.values() if name is not None]


def painted_segments(
    original: Tensor,
    painted: Tensor,
    palette: Palette | None,
    static: str,
    tolerance: int,
    feather: float,
    gaps: Gaps,
) -> SegmentMasks:
    """The segments of one photo, uint8 [H,W,3] twice; without a palette its strokes' own colours make one."""
    colours = palette or palette_of_strokes(original, painted)
    masks = painted_masks(original, painted, colours, tolerance)
    kept = [name for name in static_names(split_names(static), colours) if name in masks]
    say_odd_levels(masks)
    return segments_from_masks(masks, static=kept, feather=feather, gaps=gaps)


NODES = [PaintedSegments]
