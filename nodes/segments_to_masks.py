"""Segments to Masks: for the nodes of the host and of other packs."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..chunky_core.segments.edit_segments import STATIC
from ..chunky_core.segments.label_names import split_names
from ..chunky_core.segments.names import ALL
from ..chunky_core.segments.segment_masks import SegmentMasks
from .host import mask_to_host, plain_tensors
from .types import SegmentsBatch, SegmentsIO


class SegmentsToMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SegmentsToMasks",
            display_name="Segments to Masks",
            category="ChunkyGAN/segments",
            description="Gives segments as masks, for the nodes of other packs: inpainting, compositing, saving.",
            search_aliases=[
                "masks from segments",
                "export masks",
                "segment mask",
                "mask batch",
                "split segments",
            ],
            inputs=[
                SegmentsIO.Input("segments", tooltip="The segments, one set per photo."),
                io.String.Input(
                    "names",
                    default=ALL,
                    tooltip="Which segments, by name or plural, separated by commas, in this order: 'mouth, eyes'. "
                    "'all' = every one; 'static' = what stays the photo.",
                ),
                io.Boolean.Input(
                    "merge",
                    default=False,
                    tooltip="On = one mask per photo in which all of them are added; off = one mask for each.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="masks",
                    tooltip="1 = inside. Photo by photo, and within one in the order of names.",
                ),
                io.String.Output(
                    display_name="names",
                    tooltip="The names of the masks in their order, separated by commas.",
                ),
            ],
        )

    @classmethod
    def execute(cls, segments: SegmentsBatch, names: str, merge: bool) -> io.NodeOutput:
        with plain_tensors():
            named = [named_planes(one, split_names(names) or [ALL]) for one in segments]
            if merge:
                named = [
                    {" + ".join(one): torch.stack(list(one.values())).sum(0).clamp(max=1)} for one in named
                ]
            masks = torch.stack([plane for one in named for plane in one.values()])[:, None]
            return io.NodeOutput(mask_to_host(masks), ", ".join(name for one in named for name in one))


def named_planes(segments: SegmentMasks, wanted: list[str]) -> dict[str, torch.Tensor]:
    """The masks [H,W] that a list of names means. Raises InvalidInputError for a name that no segment has."""
    planes = segments.planes()
    if STATIC not in planes:
        planes = {**planes, STATIC: segments.static[0, 0]}
    found = {}
    for entry in wanted:
        own = entry.lower() == STATIC
        found.update({name: planes[name] for name in ((STATIC,) if own else segments.resolve(entry))})
    return found


NODES = [SegmentsToMasks]
