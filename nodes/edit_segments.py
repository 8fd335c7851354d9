"""Edit Segments and Add Segment: masks by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce

from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.segments import SegmentMasks
from ..chunky_core.segments.edit_segments import (
    add_segment,
    feather_segments,
    fill_holes,
    grow_segments,
    keep_largest_parts,
    merge_segments,
    remove_segments,
    rename_segment,
    shrink_segments,
    smooth_segments,
)
from ..chunky_core.segments.label_names import split_names
from ..chunky_core.segments.names import ALL
from ..chunky_core.segments.relayer import Freed
from ..chunky_core.segments.symmetry import mirror_segments
from .fitted import fitted_mask, say_odd_levels
from .host import mask_to_core, per_photo, plain_tensors
from .mask_widgets import feather_input
from .segments import named_masks
from .types import SegmentsBatch, SegmentsIO

SEGMENTS_TIP = "The segments, one set per photo."


@dataclass(frozen=True)
class Settings:
    """The widgets of Edit Segments."""

    names: list[str]
    pixels: float
    new_name: str
    freed: Freed
    enter_static: bool
    axis: float


def whole(pixels: float) -> int:
    """The nearest whole number, halves upward."""
    return math.floor(pixels + 0.5)


OPERATIONS: dict[str, Callable[[SegmentMasks, Settings], SegmentMasks]] = {
    "grow": lambda s, o: grow_segments(s, o.names, whole(o.pixels), enter_static=o.enter_static),
    "shrink": lambda s, o: shrink_segments(s, o.names, whole(o.pixels), freed=o.freed),
    "smooth": lambda s, o: smooth_segments(s, o.names, o.pixels, freed=o.freed),
    "feather": lambda s, o: feather_segments(s, o.names, o.pixels),
    "fill holes": lambda s, o: fill_holes(s, o.names),
    "keep largest part": lambda s, o: keep_largest_parts(s, o.names, freed=o.freed),
    "mirror": lambda s, o: mirror_segments(s, o.names, new=o.new_name, axis=o.axis, enter_static=True),
    "rename": lambda s, o: rename_segment(s, ", ".join(o.names), o.new_name),
    "merge": lambda s, o: merge_segments(s, o.names, o.new_name),
    "remove": lambda s, o: remove_segments(s, o.names, freed=o.freed),
}


class EditSegments(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_EditSegments",
            display_name="Edit Segments",
            category="ChunkyGAN/segments",
            description="Grows, shrinks, smooths, fills, feathers, mirrors, renames, merges or removes "
            "segments by name. All of them still add up to one.",
            search_aliases=[
                "grow mask",
                "shrink mask",
                "fill holes",
                "mirror mask",
                "merge",
                "remove segment",
                "expand mask",
                "blur mask",
            ],
            inputs=[
                SegmentsIO.Input("segments", tooltip="The segments to change."),
                io.Combo.Input(
                    "operation",
                    options=list(OPERATIONS),
                    default="grow",
                    tooltip="What to do with the segments that names lists. Chain the node for more.",
                ),
                io.String.Input(
                    "names",
                    default="all",
                    tooltip="Which segments: names separated by commas, a plural such as eyes, or all.",
                ),
                io.Float.Input(
                    "pixels",
                    default=4.0,
                    min=0.0,
                    max=128.0,
                    step=0.5,
                    tooltip="How far to grow or shrink (whole pixels), or the sigma to smooth or feather by. Not "
                    "used by the other operations.",
                ),
                io.String.Input(
                    "new_name",
                    default="",
                    tooltip="The name that rename and merge give. For mirror: empty = left_X becomes right_X.",
                ),
                io.Combo.Input(
                    "freed",
                    options=["nearest", "static"],
                    default="nearest",
                    tooltip="Pixels that a segment lets go: to its nearest neighbour (the static part is one), or "
                    "all to the static part.",
                ),
                io.Boolean.Input(
                    "enter_static",
                    default=False,
                    tooltip="On = grow and mirror may cover parts that were static. Fill holes and feather "
                    "always may.",
                ),
                io.Float.Input(
                    "axis",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    round=False,
                    tooltip="Where mirror sets its vertical line: 0 = left border, 0.5 = middle, 1 = right border.",
                    advanced=True,
                ),
            ],
            outputs=[SegmentsIO.Output(display_name="segments", tooltip="The changed segments.")],
        )

    @classmethod
    def execute(
        cls,
        segments: SegmentsBatch,
        operation: str,
        names: str,
        pixels: float,
        new_name: str,
        freed: Freed,
        enter_static: bool,
        axis: float,
    ) -> io.NodeOutput:
        settings = Settings(split_names(names), pixels, new_name.strip(), freed, enter_static, axis)
        with plain_tensors():
            return io.NodeOutput(tuple(OPERATIONS[operation](one, settings) for one in segments))


class AddSegment(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_AddSegment",
            display_name="Add Segment",
            category="ChunkyGAN/segments",
            description="Makes one segment of a mask, such as the host's mask editor paints, on top of those "
            "that are there. One of these nodes per segment, in a chain.",
            search_aliases=[
                "mask editor",
                "paint mask",
                "new segment",
                "mask to segment",
                "protect",
                "inpaint face",
            ],
            inputs=[
                io.Mask.Input(
                    "mask",
                    tooltip="1 = inside. From Load Image after painting in the mask editor, or any mask. With several "
                    "names: a batch with one mask for each.",
                ),
                io.String.Input(
                    "name",
                    default="mouth",
                    tooltip="The segment's name. 'static' keeps these pixels as they are in the photo. Several names, "
                    "separated by commas, for a batch of masks in their order.",
                ),
                feather_input("as painted"),
                io.Combo.Input(
                    "if_present",
                    options=["extend", "replace"],
                    default="extend",
                    tooltip="If a segment has the name already: the mask is added to it, or takes its place.",
                    advanced=True,
                ),
                io.Boolean.Input(
                    "enter_static",
                    default=True,
                    tooltip="Off = pixels that were static so far stay static.",
                    advanced=True,
                ),
                SegmentsIO.Input(
                    "segments",
                    optional=True,
                    tooltip="What there is so far. Without it this is the first segment and the rest is static.",
                ),
                io.String.Input(
                    "covers",
                    optional=True,
                    default=ALL,
                    tooltip="The segments that the mask lies on top of, by name or plural; all others lie above it. "
                    "'skin' for hair: a fringe covers the skin and no brows. Empty = it takes static pixels only.",
                ),
            ],
            outputs=[SegmentsIO.Output(display_name="segments", tooltip=SEGMENTS_TIP)],
        )

    @classmethod
    def execute(
        cls,
        mask: Tensor,
        name: str,
        feather: float,
        if_present: str,
        enter_static: bool,
        segments: SegmentsBatch | None = None,
        covers: str = ALL,
    ) -> io.NodeOutput:
        names = split_names(name) or [name.strip()]
        with plain_tensors():
            given = mask_to_core(mask)
            if segments is not None:
                given = fitted_mask(given, segments[0].size, f"the mask of {name.strip()!r}")
            masks_of_photos = masks_by_name(given[:, 0], names)
            sets = (None,) * len(masks_of_photos) if segments is None else segments
            count = max(len(masks_of_photos), len(sets))
            pairs = zip(
                per_photo(sets, count, "sets of segments"),
                per_photo(masks_of_photos, count, "masks"),
                strict=True,
            )
            add = partial(
                add_segment,
                feather=feather,
                extend=if_present == "extend",
                enter_static=enter_static,
                covers=split_names(covers),
            )
            made = tuple(
                reduce(lambda done, new: add(done, *new), masks.items(), one) for one, masks in pairs
            )
            for masks in masks_of_photos:
                say_odd_levels(masks)
            return io.NodeOutput(made)


def masks_by_name(masks: Tensor, names: list[str]) -> tuple[dict[str, Tensor], ...]:
    """[N,H,W] with one name: a mask for each photo; with several: one mask each, the same for all photos.

    Raises InvalidInputError if there are not as many masks as names.
    """
    if len(names) == 1:
        return tuple({names[0]: mask} for mask in masks)
    return tuple(named_masks(masks, names, 0))


NODES = [EditSegments, AddSegment]
