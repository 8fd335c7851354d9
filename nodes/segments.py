"""Segment Masks and Segment Preview: from masks or label maps to segments that cover the photo once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.evaluation.sheets import segment_overlay
from ..chunky_core.segments import Segments, segments_from_label_map, segments_from_masks
from .host import each_photo, per_photo, plain_tensors, to_host
from .types import LabelMap, LabelMapIO, SegmentsIO

BACKGROUND = "background"
LEGIBLE_SIDE = 768  # pixels


class SegmentMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SegmentMasks",
            display_name="Segment Masks",
            category="ChunkyGAN/segments",
            description="Turns a label map, or a batch of masks with names, into soft segments that add "
            "up to one.",
            search_aliases=["segments", "masks", "label map", "face parsing", "chunks"],
            inputs=[
                io.Image.Input(
                    "image", tooltip="The photo, or several of one size. It sets the size of the segments."
                ),
                LabelMapIO.Input(
                    "label_map",
                    optional=True,
                    tooltip="Numbered areas with names. Connect this or masks, not both.",
                ),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="One mask per segment, as a batch; used for every photo. Needs their names.",
                ),
                io.String.Input(
                    "names",
                    default="",
                    multiline=True,
                    tooltip="Names of the masks in their order, separated by commas or lines. Not used "
                    "with a label map.",
                ),
                io.String.Input(
                    "static",
                    default=BACKGROUND,
                    tooltip="Areas that never change, by name, separated by commas. 'background' may be "
                    "named always: "
                    "without a mask of that name it is what no mask covers.",
                ),
                io.Int.Input(
                    "grow",
                    default=4,
                    min=0,
                    max=64,
                    tooltip="Pixels by which small segments grow over larger ones, so that edits have room.",
                    advanced=True,
                ),
                io.Float.Input(
                    "feather",
                    default=1.5,
                    min=0.0,
                    max=32.0,
                    step=0.5,
                    tooltip="Softness of the boundaries: Gaussian sigma in pixels; 0 = hard.",
                ),
                io.Combo.Input(
                    "gaps",
                    options=["static", "nearest"],
                    default="static",
                    tooltip="What happens to pixels that no mask covers: they stay as they are, or go to "
                    "the nearest segment.",
                    advanced=True,
                ),
            ],
            outputs=[SegmentsIO.Output(display_name="segments", tooltip="The segments, one set per photo.")],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        names: str,
        static: str,
        grow: int,
        feather: float,
        gaps: str,
        label_map: LabelMap | None = None,
        masks: Tensor | None = None,
    ) -> io.NodeOutput:
        kept, size = split_names(static), (image.shape[1], image.shape[2])
        options = {"grow": grow, "feather": feather, "gaps": gaps}
        with plain_tensors():
            if masks is not None and label_map is None:
                batch = [segments_of_masks(masks.clone(), split_names(names), kept, size, options)]
            elif label_map is not None and masks is None:
                batch = segments_of_labels(label_map, kept, size, options)
            else:
                found = "neither" if masks is None else "both"
                raise InvalidInputError(
                    f"{found} of label_map and masks is connected; connect one of the two"
                )
            return io.NodeOutput(per_photo(tuple(batch), len(image), "sets of segments"))


class SegmentPreview(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SegmentPreview",
            display_name="Segment Preview",
            category="ChunkyGAN/segments",
            description="Shows the photo with its segments in colour and their names.",
            search_aliases=["show segments", "mask overlay", "label overlay"],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="The photo, or several."),
                SegmentsIO.Input("segments", tooltip="The segments of the photo."),
                io.Float.Input(
                    "opacity",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="0 = photo only, 1 = colours only. Static areas are never coloured.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The photo with coloured, named segments.")
            ],
        )

    @classmethod
    def execute(cls, image: Tensor, segments: tuple[Segments, ...], opacity: float) -> io.NodeOutput:
        with plain_tensors():
            photos = each_photo(image)
            sets = per_photo(segments, len(photos), "sets of segments")
            pictures = [segment_overlay(*legible(*pair), opacity) for pair in zip(photos, sets, strict=True)]
            result = to_host(torch.cat(pictures))
        return io.NodeOutput(result, ui=ui.PreviewImage(result, cls=cls))


def legible(photo: Tensor, segments: Segments) -> tuple[Tensor, Segments]:
    """Both enlarged by a whole factor, so that names can be read on small photos."""
    scale = max(1, -(-LEGIBLE_SIDE // min(photo.shape[-2:])))

    def larger(plane: Tensor) -> Tensor:
        return plane.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)

    return larger(photo), Segments(segments.names, larger(segments.masks), larger(segments.static))


def split_names(text: str) -> list[str]:
    """Names separated by commas, semicolons or lines, without blanks around them."""
    return [name.strip() for name in re.split(r"[,;\n]", text) if name.strip()]


def segments_of_masks(
    masks: Tensor, names: list[str], static: list[str], size: tuple[int, int], options: Mapping[str, Any]
) -> Segments:
    """Host MASK [N,H,W] with N names. Raises InvalidInputError."""
    if len(names) != len(masks):
        raise InvalidInputError(
            f"{len(names)} names for {len(masks)} masks; write one name per mask, separated by commas"
        )
    if len(set(names)) != len(names):
        raise InvalidInputError(f"a name occurs twice among {', '.join(names)}; give every mask its own name")
    kept = [
        name for name in static if name in names or name != BACKGROUND
    ]  # else it is the gaps, static as well
    return segments_from_masks(dict(zip(names, masks, strict=True)), static=kept, size=size, **options)


def segments_of_labels(
    label_map: LabelMap, static: list[str], size: tuple[int, int], options: Mapping[str, Any]
) -> list[Segments]:
    """Each map of the batch gives the segments of the labels that occur in it. Raises InvalidInputError."""
    labels = label_map.labels.clone()
    if labels.shape[1:] != size:
        found, wanted = (f"{width}x{height}" for height, width in (labels.shape[1:], size))
        raise InvalidInputError(
            f"the label map is {found}, the image is {wanted}; use the picture it belongs to"
        )
    return [segments_from_label_map(one, label_map.names, static=static, **options) for one in labels]


NODES = [SegmentMasks, SegmentPreview]
