"""Boundaries of an inversion that follow its renderings (P1 = Futschik et al. 2021, section 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..editing.edits import applicable_edits
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..inversion import Inversion, SegmentCode, SegmentCodes
from ..inversion.record import check_same_generator
from ..inversion.tuning import segment_generators
from ..losses.perceptual import PerceptualNetwork
from ..segments.level_set import boundary_speed, feature_speed, refine_segments
from ..segments.segment_masks import SegmentMasks
from .segment_drawing import draw_segment

Reference = Literal["edit", "photo"]
SpeedMeasure = Callable[[Tensor, Tensor], Tensor]  # two images [1,3,H,W] -> F [1,1,H,W] in [0,1]


def refine_boundaries(
    generator: Generator,
    inversion: Inversion,
    names: str | Sequence[str] = "all",
    *,
    distance: float = 12.0,
    curvature: float = 0.3,
    sign: Literal[1, -1] = 1,
    compared: Reference = "edit",
    speed: SpeedMeasure = boundary_speed,
    enter_static: bool = True,
) -> Inversion:
    """The inversion with boundaries moved to where its renderings differ: `segment_speeds`, then a level set for each.

    names: as `SegmentMasks.resolve` takes them. distance: pixels that a boundary moves where the difference is
    greatest. curvature: bends with a smaller radius than this many pixels vanish; 0 = off. sign: 1 grows, -1 shrinks.
    compared, speed: as in `segment_speeds`. enter_static: whether a growing segment may cover static pixels.

    Codes, edits and noise stay; a projection can't be continued from the result (see `with_masks`). Raises what
    `segment_speeds` and `refine_segments` raise.
    """
    wanted = [names] if isinstance(names, str) else names
    speeds = segment_speeds(generator, inversion, wanted, compared=compared, speed=speed)
    masks = refine_segments(
        inversion.masks,
        speeds,
        distance=distance,
        signs=sign,
        curvature=curvature,
        enter_static=enter_static,
    )
    return with_masks(inversion, masks, refined=speeds)


@torch.no_grad()
def segment_speeds(
    generator: Generator,
    inversion: Inversion,
    names: Sequence[str],
    *,
    compared: Reference = "edit",
    speed: SpeedMeasure = boundary_speed,
) -> dict[str, Tensor]:
    """How fast the boundary of each segment moves at each pixel: F [1,1,H,W] in [0,1], by name.

    names: as `SegmentMasks.resolve` takes them. compared: "edit" = the segment's own rendering G(X_i) with its edits
    and without them, so that the boundary moves where an edit changes something; "photo" = the photo and the
    edited rendering, F = |I - I_W| of P1. speed: what makes F of the two, `boundary_speed` or `by_features`.
    Where edits are compared, segments without any are left out. Raises InvalidInputError if none has any, or if
    the photo is needed and absent, and WrongGeneratorError.
    """
    check_same_generator(generator, inversion)
    masks = inversion.masks
    generators = segment_generators(generator, inversion)
    by_name = dict(zip(inversion.names, zip(generators, inversion.segments, strict=True), strict=True))
    speeds = {}
    for name in masks.resolve(names):
        edits = [edit for edit in applicable_edits(masks, name, inversion.edits) if edit.has_effect]
        if edits or compared == "photo":
            own, segment = by_name[name]
            edited = draw_segment(own, inversion, segment, edits)
            reference = _reference(own, inversion, segment, compared)
            speeds[name] = speed(reference.to(edited), edited).to(inversion.static_mask)
    if not speeds:
        raise InvalidInputError(
            f"none of the segments {', '.join(masks.resolve(names))} has an edit, so nothing outgrows them; edit "
            "them first, or compare with the photo"
        )
    return speeds


def by_features(network: PerceptualNetwork) -> SpeedMeasure:
    """F from the differences of a network's features: blind to grain and small shifts of colour."""

    def speed(first: Tensor, second: Tensor) -> Tensor:
        height, width = first.shape[-2:]
        scale = max(1.0, network.smallest_side / min(height, width))
        resized = [F.interpolate(one, scale_factor=scale, mode="bilinear") for one in (first, second)]
        return feature_speed(network.features(resized[0]), network.features(resized[1]), (height, width))

    return speed


def with_masks(inversion: Inversion, segments: SegmentMasks, refined: Collection[str] = ()) -> Inversion:
    """The inversion with other masks for its segments; codes, edits and everything else stay.

    refined: names of the segments whose boundary this was about; those whose mask is another one now count as
    redrawn from here on, see `SegmentCode`. The inversion's projection can't be continued afterwards, since that stands
    where the old masks led it. Raises InvalidInputError if names or sizes differ.
    """
    if segments.names != inversion.names:
        raise InvalidInputError(
            f"the masks are named {', '.join(segments.names)}, the inversion's segments "
            f"{', '.join(inversion.names)}; they must be the same"
        )
    moved = SegmentCodes(
        _with_mask(one, mask.to(one.mask), one.name in refined)
        for one, mask in zip(inversion.segments, segments.masks.split(1), strict=True)
    )
    static = segments.static.to(inversion.static_mask)
    return replace(inversion, segments=moved, static_mask=static, state=None)


def _with_mask(segment: SegmentCode, mask: Tensor, refined: bool) -> SegmentCode:
    redrawn = segment.redrawn or (refined and not torch.equal(mask, segment.mask))
    return replace(segment, mask=mask, redrawn=redrawn)


def _reference(own: Generator, inversion: Inversion, segment: SegmentCode, compared: Reference) -> Tensor:
    if compared == "edit":
        return draw_segment(own, inversion, segment, [])
    if inversion.photo is None:
        raise InvalidInputError(
            "this inversion was saved without its photo, which is to be compared; give it the photo, or compare "
            "the edit"
        )
    return inversion.photo
