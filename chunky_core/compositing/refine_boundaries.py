"""Boundaries of an inversion that follow its pictures (P1 = Futschik et al. 2021, section 2.3)."""

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
from ..inversion.record import Inversion, SegmentCode, check_generator
from ..losses.perceptual import PerceptualNetwork
from ..segments.level_set import boundary_speed, feature_speed
from ..segments.segment_masks import SegmentMasks
from .render import segment_picture

Compared = Literal["edit", "photo"]
Speed = Callable[[Tensor, Tensor], Tensor]  # two pictures [1,3,H,W] -> F [1,1,H,W] in [0,1]


@torch.no_grad()
def segment_speeds(
    generator: Generator,
    inversion: Inversion,
    names: Sequence[str],
    *,
    compared: Compared = "edit",
    speed: Speed = boundary_speed,
) -> dict[str, Tensor]:
    """How fast the boundary of each segment moves at each pixel: F [1,1,H,W] in [0,1], by name.

    names: as `SegmentMasks.resolve` takes them. compared: "edit" = the segment's own picture G(X_i) with its edits
    and without them, so that the boundary moves where an edit changes something; "photo" = the photo and the
    edited picture, F = |I - I_W| of P1. speed: what makes F of the two, `boundary_speed` or `by_features`.
    Where edits are compared, segments without any are left out. Raises InvalidInputError if none has any, or if
    the photo is needed and absent, and WrongGeneratorError.
    """
    check_generator(inversion, generator)
    masks = inversion.masks
    by_name = {segment.name: segment for segment in inversion.segments}
    speeds = {}
    for name in masks.resolve(names):
        edits = [edit for edit in applicable_edits(masks, name, inversion.edits) if edit.strength]
        if edits or compared == "photo":
            edited = segment_picture(generator, inversion, by_name[name], edits)
            reference = _reference(generator, inversion, by_name[name], compared)
            speeds[name] = speed(reference.to(edited), edited).to(inversion.static_mask)
    if not speeds:
        raise InvalidInputError(
            f"none of the segments {', '.join(masks.resolve(names))} has an edit, so nothing outgrows them; edit "
            "them first, or compare with the photo"
        )
    return speeds


def by_features(network: PerceptualNetwork) -> Speed:
    """F from the differences of a network's features: blind to grain and small shifts of colour."""

    def speed(first: Tensor, second: Tensor) -> Tensor:
        height, width = first.shape[-2:]
        scale = max(1.0, network.smallest_side / min(height, width))
        views = [F.interpolate(one, scale_factor=scale, mode="bilinear") for one in (first, second)]
        return feature_speed(network.features(views[0]), network.features(views[1]), (height, width))

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
    moved = tuple(
        _with_mask(one, mask.to(one.mask), one.name in refined)
        for one, mask in zip(inversion.segments, segments.masks.split(1), strict=True)
    )
    static = segments.static.to(inversion.static_mask)
    return replace(inversion, segments=moved, static_mask=static, state=None)


def _with_mask(segment: SegmentCode, mask: Tensor, refined: bool) -> SegmentCode:
    redrawn = segment.redrawn or (refined and not torch.equal(mask, segment.mask))
    return replace(segment, mask=mask, redrawn=redrawn)


def _reference(
    generator: Generator, inversion: Inversion, segment: SegmentCode, compared: Compared
) -> Tensor:
    if compared == "edit":
        return segment_picture(generator, inversion, segment, [])
    if inversion.photo is None:
        raise InvalidInputError(
            "this inversion was saved without its photo, which is to be compared; give it the photo, or compare "
            "the edit"
        )
    return inversion.photo
