"""Segment Masks and Segment Preview: from masks or label maps to segments that cover the photo once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.segments import SegmentMasks, segments_from_label_map, segments_from_masks
from ..chunky_core.segments.label_names import (
    Renames,
    parse_renames,
    renamed_labels,
    renamed_masks,
    split_names,
)
from ..chunky_core.segments.names import known_name
from ..chunky_core.visualization.sheets import segment_overlay
from ..chunky_core.wording import counted
from .fitted import fitted_labels, fitted_mask, fitted_masks, say_odd_levels, say_painted
from .host import each_photo, image_size, mask_to_core, per_photo, plain_tensors, to_host
from .mask_widgets import feather_input, gaps_input
from .notices import show_notice
from .types import LabelMap, LabelMapIO, SegmentsIO

BACKGROUND = "background"
SUBJECT = "subject"
LEGIBLE_SIDE = 768  # pixels


class SegmentMasksNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SegmentMasks",
            display_name="Segment Masks",
            category="ChunkyGAN/segments",
            description="Turns a label map, a batch of masks with names, or a picture's transparency into "
            "soft segments that add up to one.",
            search_aliases=[
                "segments",
                "masks",
                "label map",
                "alpha",
                "merge labels",
                "chunks",
                "face parts",
                "face edit",
            ],
            inputs=[
                io.Image.Input(
                    "image", tooltip="The photo, or several of one size. It sets the size of the segments."
                ),
                LabelMapIO.Input(
                    "label_map",
                    optional=True,
                    tooltip="Numbered areas with names. Connect one of label_map, masks and alpha.",
                ),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="One mask per segment, as a batch; used for every photo. Needs their names. With one "
                    "name: a mask for each photo.",
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
                    tooltip="Areas that never change, by name (after renaming), separated by commas. "
                    "'background' may be named always: without an area of that name it is what nothing "
                    "covers.",
                ),
                io.Int.Input(
                    "grow",
                    default=4,
                    min=0,
                    max=64,
                    tooltip="Pixels by which small segments grow over larger ones, so that edits have room; static "
                    "areas are not entered (Edit Segments can).",
                    advanced=True,
                ),
                feather_input("hard"),
                gaps_input(),
                io.Mask.Input(
                    "alpha",
                    optional=True,
                    tooltip="The mask of a loader for pictures with transparency, 1 = transparent. What is "
                    "opaque becomes the segment 'subject', the rest is static. What the mask editor "
                    "painted belongs to masks.",
                ),
                io.String.Input(
                    "rename",
                    optional=True,
                    default="",
                    multiline=True,
                    tooltip="Renames and merges areas: 'hair + hat = hair, l_eye = left_eye'. One rule per "
                    "line, or separated by commas.",
                ),
                io.String.Input(
                    "only",
                    optional=True,
                    default="",
                    tooltip="The areas that become segments, by name or plural (after renaming): 'mouth, eyes'. "
                    "All else stays the photo and costs nothing; grow may enter it. Empty = all.",
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
        alpha: Tensor | None = None,
        rename: str = "",
        only: str = "",
    ) -> io.NodeOutput:
        kept, size, renames = split_names(static), image_size(image), parse_renames(rename)
        options = {"grow": grow, "feather": feather, "gaps": gaps, "only": split_names(only)}
        check_one_source({"label_map": label_map, "masks": masks, "alpha": alpha})
        batch: list[SegmentMasks] = []
        with plain_tensors():
            if label_map is not None:
                batch = segments_of_labels(label_map, kept, renames, size, options)
            elif masks is not None:
                planes = mask_to_core(masks, borrowed=True)[:, 0]
                sets = named_masks(planes, split_names(names), len(image))
                batch = [segments_of_masks(named, kept, renames, size, options) for named in sets]
                for named in sets:
                    say_odd_levels(named)
            elif alpha is not None:
                # nothing is known of what is transparent, so that it can't be a segment
                kept.append(renames.get(BACKGROUND, BACKGROUND))
                planes = fitted_mask(mask_to_core(alpha), size, "alpha")[:, 0]
                say_painted(planes)
                areas = [areas_of_alpha(plane) for plane in planes]
                batch = [segments_of_masks(named, kept, renames, size, options) for named in areas]
            if len(batch) == 1 < len(image):
                show_notice(f"one set of segments is used for all {len(image)} photos")
            return io.NodeOutput(per_photo(tuple(batch), len(image), "sets of segments"))


class SegmentPreview(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SegmentPreview",
            display_name="Segment Preview",
            category="ChunkyGAN/segments",
            description="Shows the photo with its segments in colour and their names.",
            search_aliases=["show segments", "mask overlay", "label overlay", "preview mask", "mask names"],
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
    def execute(cls, image: Tensor, segments: tuple[SegmentMasks, ...], opacity: float) -> io.NodeOutput:
        with plain_tensors():
            photos = each_photo(image)
            sets = per_photo(segments, len(photos), "sets of segments")
            pictures = [segment_overlay(*legible(*pair), opacity) for pair in zip(photos, sets, strict=True)]
            result = to_host(torch.cat(pictures))
        return io.NodeOutput(result, ui=ui.PreviewImage(result, cls=cls))


def legible(photo: Tensor, segments: SegmentMasks) -> tuple[Tensor, SegmentMasks]:
    """Both enlarged by a whole factor, so that names can be read on small photos. Raises InvalidInputError."""
    segments.check_photo(photo)
    scale = max(1, -(-LEGIBLE_SIDE // min(photo.shape[-2:])))

    def larger(plane: Tensor) -> Tensor:
        return plane.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)

    return larger(photo), SegmentMasks(segments.names, larger(segments.masks), larger(segments.static))


def check_one_source(sources: Mapping[str, object]) -> None:
    """Raises InvalidInputError unless exactly one of label_map, masks and alpha is connected."""
    given = [name for name, value in sources.items() if value is not None]
    if not given:
        raise InvalidInputError("neither of label_map and masks is connected, nor alpha; connect one of them")
    if len(given) > 1:
        raise InvalidInputError(f"{' and '.join(given)} are connected together; connect one of them only")


def named_masks(masks: Tensor, names: list[str], photos: int) -> list[dict[str, Tensor]]:
    """[N,H,W] with N names: one set for all photos; with a single name and a mask for each photo: a set for each.

    Raises InvalidInputError.
    """
    if len(names) == 1 and len(masks) == photos:
        return [{names[0]: mask} for mask in masks]
    if len(names) != len(masks):
        raise InvalidInputError(
            f"{counted(len(names), 'name')} for {counted(len(masks), 'mask')}; write one name per mask, separated "
            "by commas, or give each photo its own masks by one Add Segment for each name"
        )
    if len(set(names)) != len(names):
        raise InvalidInputError(
            f"a name occurs twice among {', '.join(names)}; give every mask its own name, and merge with rename"
        )
    return [dict(zip(names, masks, strict=True))]


def areas_of_alpha(transparent: Tensor) -> dict[str, Tensor]:
    """Host alpha [H,W], 1 = transparent -> the opaque subject and, if anything is transparent, the rest."""
    rest = {BACKGROUND: transparent} if transparent.any() else {}
    return {SUBJECT: 1 - transparent, **rest}


def segments_of_masks(
    masks: Mapping[str, Tensor],
    static: list[str],
    renames: Renames,
    size: tuple[int, int],
    options: Mapping[str, Any],
) -> SegmentMasks:
    """Name -> [H,W]. Raises InvalidInputError."""
    masks = renamed_masks(fitted_masks(masks, size), renames)
    return segments_from_masks(masks, static=known_static(static, masks), size=size, **options)


def known_static(static: list[str], names: Collection[str]) -> list[str]:
    """Without "background" if no area is called so: then it is the gaps, which are static as well."""
    known = known_name(BACKGROUND, names) is not None
    return [name for name in static if known or known_name(name, (BACKGROUND,)) is None]


def segments_of_labels(
    label_map: LabelMap,
    static: list[str],
    renames: Renames,
    size: tuple[int, int],
    options: Mapping[str, Any],
) -> list[SegmentMasks]:
    """Each map of the batch gives the segments of the labels that occur in it. Raises InvalidInputError."""
    labels = fitted_labels(label_map.labels.clone(), size)
    names = renamed_labels(label_map.names, renames)
    kept = known_static(static, names.values())
    return [segments_from_label_map(one, names, static=kept, **options) for one in labels]


NODES = [SegmentMasksNode, SegmentPreview]
