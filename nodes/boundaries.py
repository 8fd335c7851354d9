"""Refine Boundaries: segments whose edges follow what the pictures show."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import comfy.model_management as memory
import torch
from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..chunky_core.compositing.refine_boundaries import (
    Compared,
    Speed,
    by_features,
    segment_speeds,
    with_masks,
)
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.losses.perceptual import LPIPS_NETWORKS, load_perceptual_network
from ..chunky_core.segments import SegmentMasks
from ..chunky_core.segments.label_names import split_names
from ..chunky_core.segments.level_set import boundary_speed, refine_segments
from ..chunky_core.visualization.outlines import draw_curves
from .fitted import fitted_mask
from .host import (
    HostedGenerator,
    each_photo,
    loaded,
    mask_to_core,
    mask_to_host,
    per_photo,
    plain_tensors,
    to_host,
)
from .losses import DEMO, weight_folders
from .photos import with_photos
from .types import GeneratorIO, InversionBatch, InversionIO, SegmentsBatch, SegmentsIO

SIGNS = {"grow": 1, "shrink": -1}
COLOURS = "colours"
LEGIBLE_SIDE = 768  # pixels
NO_INVERSION = "Refine Boundaries was given segments and no inversion; use its segments output"
Speeds = Mapping[str, Tensor]


class RefineBoundaries(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_RefineBoundaries",
            display_name="Refine Boundaries",
            category="ChunkyGAN/segments",
            description="Moves the edges of segments to where an edit, or the photo, differs, by a level set.",
            search_aliases=[
                "level set",
                "grow segment",
                "snap edges",
                "boundary refinement",
                "active contour",
                "refine mask",
                "remove glasses",
            ],
            inputs=[*what_inputs(), *how_inputs()],
            outputs=[
                InversionIO.Output(
                    display_name="inversion", tooltip="The inversion with the new masks; its edits are kept."
                ),
                SegmentsIO.Output(display_name="segments", tooltip="The new masks alone."),
                io.Image.Output(
                    display_name="curves", tooltip="The photo with the old edges in blue, the new in orange."
                ),
                io.Mask.Output(
                    display_name="speed",
                    tooltip="How fast edges may move at each pixel, 0 to 1, at most of all.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        names: str,
        sign: str,
        distance: float,
        curvature: float,
        compare: Compared,
        speed_from: str,
        enter_static: bool,
        generator: HostedGenerator | None = None,
        inversion: InversionBatch | None = None,
        segments: SegmentsBatch | None = None,
        image: Tensor | None = None,
        picture: Tensor | None = None,
        speed: Tensor | None = None,
    ) -> io.NodeOutput:
        records = None if inversion is None else with_photos(inversion, image)
        before, chosen = sources(records, segments), split_names(names)
        with plain_tensors():
            photos = backdrops(image, records or (), before)
            if speed is not None:
                speeds = given_speeds(
                    before, chosen, fitted_mask(mask_to_core(speed), before[0].size, "the speed")
                )
            elif records is not None:
                speeds = inversion_speeds(generator, records, chosen, compare, speed_from)
            else:
                speeds = picture_speeds(before, chosen, image, picture, speed_from)
            after = refined(before, speeds, SIGNS[sign], distance, curvature, enter_static)
            curves = shown(photos, before, after, speeds)
            fastest = torch.cat([torch.stack(list(fast.values())).amax(dim=0) for fast in speeds])
            moved = (
                ExecutionBlocker(NO_INVERSION)
                if records is None
                else moved_inversions(records, after, speeds)
            )
            preview = ui.PreviewImage(curves, cls=cls)
            return io.NodeOutput(moved, after, curves, mask_to_host(fastest), ui=preview)


def what_inputs() -> list[io.Input]:
    return [
        GeneratorIO.Input(
            "generator",
            optional=True,
            tooltip="The generator of the inversion. Not needed with segments, or with a given speed.",
        ),
        InversionIO.Input(
            "inversion", optional=True, tooltip="The inversion with its edits. Connect this or segments."
        ),
        SegmentsIO.Input(
            "segments",
            optional=True,
            tooltip="Segments without an inversion; need image and picture, or speed.",
        ),
        io.Image.Input(
            "image",
            optional=True,
            tooltip="The photo. With an inversion needed only if that was saved without it.",
        ),
        io.Image.Input(
            "picture",
            optional=True,
            tooltip="With segments: what is compared with the image, such as an edited picture of its size.",
        ),
        io.Mask.Input(
            "speed",
            optional=True,
            tooltip="Instead of a comparison: how fast edges move at each pixel, 0 = never, 1 = fully.",
        ),
    ]


def how_inputs() -> list[io.Input]:
    return [
        io.String.Input(
            "names",
            default="all",
            tooltip="Segments to move: names separated by commas, a plural such as eyes, or all. Where two "
            "meet, the smaller lies on top.",
        ),
        io.Combo.Input(
            "sign",
            options=list(SIGNS),
            default="grow",
            tooltip="Whether edges move outward or inward where pictures differ.",
        ),
        io.Float.Input(
            "distance",
            default=12.0,
            min=0.0,
            max=200.0,
            step=0.5,
            tooltip="Pixels that an edge moves where the difference is greatest; elsewhere less.",
        ),
        io.Float.Input(
            "curvature",
            default=0.3,
            min=0.0,
            max=2.0,
            step=0.05,
            tooltip="Smoothness of the edges: bends with a smaller radius than this many pixels vanish, also "
            "where nothing differs; 0 = off.",
            advanced=True,
        ),
        io.Combo.Input(
            "compare",
            options=["edit", "photo"],
            default="edit",
            tooltip="edit = the segment's own picture with and without its edits: edges follow what outgrows the "
            "segment. photo = the photo with the edited picture. Not used with segments or speed.",
        ),
        io.Combo.Input(
            "speed_from",
            options=[COLOURS, DEMO, *LPIPS_NETWORKS],
            default=COLOURS,
            tooltip="What is compared: colours, or features of a network. demo = built in, for demo portraits; the "
            "others are those of LPIPS.",
            advanced=True,
        ),
        io.Boolean.Input(
            "enter_static",
            default=True,
            tooltip="On = segments may grow over the part that stays as in the photo, as glasses over the "
            "background.",
        ),
    ]


def sources(inversion: InversionBatch | None, segments: SegmentsBatch | None) -> SegmentsBatch:
    """The segments to refine. Raises InvalidInputError unless exactly one of the two is connected."""
    if inversion is not None and segments is not None:
        raise InvalidInputError("inversion and segments are connected together; connect one of them only")
    if inversion is not None:
        return tuple(record.masks for record in inversion)
    if segments is None:
        raise InvalidInputError("neither inversion nor segments is connected; connect one of them")
    return segments


def measure_of(speed_from: str, device: torch.device | str = "cpu") -> Speed:
    if speed_from == COLOURS:
        return boundary_speed
    return by_features(load_perceptual_network(speed_from, device, folders=weight_folders()))


def given_speeds(segments: SegmentsBatch, names: list[str], speed: Tensor) -> list[Speeds]:
    """speed: [B,1,H,W] in 0..1; one serves all."""
    masks = per_photo(speed.split(1), len(segments), "speeds")
    return [dict.fromkeys(one.resolve(names), mask) for one, mask in zip(segments, masks, strict=True)]


def inversion_speeds(
    hosted: HostedGenerator | None,
    inversions: InversionBatch,
    names: list[str],
    compare: Compared,
    speed_from: str,
) -> list[Speeds]:
    if hosted is None:
        raise InvalidInputError(
            "the inversion has no generator to draw it with; connect generator, or a speed"
        )
    with loaded(hosted) as generator:
        measure = measure_of(speed_from, generator.device)
        return [
            segment_speeds(generator, record, names, compared=compare, speed=measure) for record in inversions
        ]


def picture_speeds(
    segments: SegmentsBatch,
    names: list[str],
    image: Tensor | None,
    picture: Tensor | None,
    speed_from: str,
) -> list[Speeds]:
    if image is None or picture is None:
        raise InvalidInputError(
            "segments are connected without both image and picture; connect these two to compare them, or a speed"
        )
    measure = measure_of(speed_from)
    photos, pictures = (
        per_photo(tuple(each_photo(one)), len(segments), what)
        for one, what in ((image, "photos"), (picture, "pictures"))
    )
    return [
        dict.fromkeys(one.resolve(names), measure(photo, other))
        for one, photo, other in zip(segments, photos, pictures, strict=True)
    ]


def refined(
    segments: SegmentsBatch,
    speeds: list[Speeds],
    sign: int,
    distance: float,
    curvature: float,
    enter_static: bool,
) -> SegmentsBatch:
    done = []
    for one, fast in zip(segments, speeds, strict=True):
        memory.throw_exception_if_processing_interrupted()
        done.append(
            refine_segments(
                one, fast, distance=distance, signs=sign, curvature=curvature, enter_static=enter_static
            )
        )
    return tuple(done)


def moved_inversions(
    inversions: InversionBatch, segments: SegmentsBatch, speeds: list[Speeds]
) -> InversionBatch:
    return tuple(
        with_masks(record, one, refined=fast)
        for record, one, fast in zip(inversions, segments, speeds, strict=True)
    )


def backdrops(image: Tensor | None, inversions: InversionBatch, segments: SegmentsBatch) -> list[Tensor]:
    """What the curves are drawn on: the photos, or grey where they are not known. Raises InvalidInputError."""
    if image is not None:
        given = per_photo(tuple(each_photo(image)), len(segments), "photos")
        for photo, one in zip(given, segments, strict=True):
            one.check_photo(photo)
        return list(given)
    photos = [record.photo for record in inversions] or [None] * len(segments)
    grey = [torch.zeros_like(one.static).repeat(1, 3, 1, 1) for one in segments]
    return [empty if photo is None else photo for photo, empty in zip(photos, grey, strict=True)]


def shown(photos: list[Tensor], before: SegmentsBatch, after: SegmentsBatch, speeds: list[Speeds]) -> Tensor:
    """Host IMAGE of the old and new edges of the segments that may have moved."""
    scale = max(1, -(-LEGIBLE_SIDE // min(photos[0].shape[-2:])))
    drawn = [
        draw_curves(photo.float(), of(old, fast), of(new, fast), scale)
        for photo, old, new, fast in zip(photos, before, after, speeds, strict=True)
    ]
    return to_host(torch.cat(drawn))


def of(segments: SegmentMasks, names: Collection[str]) -> list[Tensor]:
    """The masks [1,1,H,W] of some segments."""
    return [mask[None] for name, mask in zip(segments.names, segments.masks, strict=True) if name in names]


NODES = [RefineBoundaries]
