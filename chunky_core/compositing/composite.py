"""The finished picture of an inversion: what was edited, set into the photo without a seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..boxes import Box
from ..editing.edits import applicable_edits
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..inversion.record import Inversion, check_generator
from ..segments.blend import blend
from ..segments.masks import SMALLEST_WEIGHT, grow, mask_box
from ..segments.segment_masks import SegmentMasks
from .between_segments import SoftRim, join_segments, shift_segments
from .detail import KeepDetail, check_keep_detail, with_detail
from .modes import Mode, check_mode, set_in
from .render import segment_picture, segment_pictures
from .replaced import Replace, replaced_part

CompositeMode = Literal[Mode, "soft blend"]
COMPOSITE_MODES: tuple[CompositeMode, ...] = get_args(CompositeMode)

_BEYOND = 1e-3  # the weight of a segment's picture beside its mask, where another one's mask may lie
_CONTEXT = 12  # pixels of a picture of 256 around a segment, in which motion is looked for, too


@torch.no_grad()
def composite(
    generator: Generator,
    inversion: Inversion,
    *,
    replace: Replace | None = None,
    keep_detail: KeepDetail = "keep and move",
    mode: CompositeMode = "seam only",
    mixed: bool = False,
    band: int = 8,
    between: bool = False,
) -> Tensor:
    """[1,3,H,W]: the photo with its edited segments, their seams removed.

    replace: "edited segments" leaves everything else the photo's own pixels, to the bit: edited are the segments
    with an edit of a strength other than 0, filled parts and refined boundaries. Without any the result is the
    photo. "all segments" replaces the unedited ones too. None: the first where there is a photo, else the second.
    keep_detail: the photo's detail that the generator can't draw is left out ("off"), added back in place ("keep") or
    carried along with what the edit moves; see `with_detail`. Without a photo there is none.
    mode, mixed, band: see `set_in`; "soft blend" removes no seam. The narrow band of the default takes least of the
    edit with the seam (docs/compositing.md). between: the borders between replaced segments
    count, too: their seams are solved for together with that toward the photo (`join_segments`), or each segment's
    colours are shifted by one offset so that they fit each other and the photo (`shift_segments`).
    Where nothing is replaced the photo's numbers are returned as they are. Without a photo (see `render`) the
    picture keeps its own colours, or its mean colour with `between` in full. Raises what `render` raises, and
    InvalidInputError for an unknown choice and a band under 1.
    """
    _check(mode, band, keep_detail)
    check_generator(inversion, generator)
    part = replaced_part(inversion, replace)
    if part is None:
        return inversion.backdrop().clone()
    detailed = keep_detail != "off" and part.photo is not None
    if detailed:
        crops, boxes = _detailed_pictures(generator, part, move=keep_detail == "keep and move")
    else:
        crops, boxes = segment_pictures(generator, part, margin=1)
    if mode == "soft blend":
        return blend(part.backdrop(), part.masks, crops, boxes)
    seams = _Seams(mode, mixed and part.photo is not None, band, "half" if detailed else "soft")
    if between and len(part.segments) > 1:
        return _joined(part, crops, boxes, seams)
    return _set_in_photo(part, crops, boxes, seams)


@dataclass(frozen=True)
class _Seams:
    """How seams are removed, see `set_in`. rim: "half" for pictures with the photo's detail, which continue there."""

    mode: Mode
    mixed: bool
    band: int
    rim: SoftRim


def _joined(part: Inversion, crops: Sequence[Tensor], boxes: Sequence[Box], seams: _Seams) -> Tensor:
    """Seams between segments and toward the photo removed, all together."""
    backdrop, masks = part.backdrop(), part.masks
    if seams.mode == "colour shift only":
        return shift_segments(backdrop, masks, crops, boxes, mixed=seams.mixed, rim=seams.rim)
    reach = seams.band if seams.mode == "seam only" else None
    return join_segments(backdrop, masks, crops, boxes, mixed=seams.mixed, band=reach, rim=seams.rim)


def _set_in_photo(part: Inversion, crops: Sequence[Tensor], boxes: Sequence[Box], seams: _Seams) -> Tensor:
    """Seams toward the photo removed, if there is one.

    No cross-fade: the Poisson equation would keep the ramp from photo to picture as if it were detail.
    """
    backdrop, masks = part.backdrop(), part.masks
    if seams.rim == "half":
        picture = _continued(backdrop, masks, crops, boxes)
    else:
        picture = blend(backdrop, masks, crops, boxes, cross_fade=False)
    if part.photo is None:
        return picture
    return set_in(picture, backdrop, 1 - part.static_mask, **asdict(seams))


def _detailed_pictures(
    generator: Generator, inversion: Inversion, *, move: bool
) -> tuple[list[Tensor], list[Box]]:
    """Every segment's edited picture with its photo's detail, and where it lies; without edits it is the photo."""
    photo, masks = inversion.backdrop(), inversion.masks
    scale = max(1.0, max(photo.shape[-2:]) / 256)
    crops, boxes = [], []
    for segment in inversion.segments:
        box = mask_box(segment.mask, margin=round(_CONTEXT * scale))
        shown = photo[..., box.top : box.bottom, box.left : box.right]
        edits = [edit for edit in applicable_edits(masks, segment.name, inversion.edits) if edit.strength]
        if edits:
            plain = segment_picture(generator, inversion, segment, [], box).to(photo)
            edited = segment_picture(generator, inversion, segment, edits, box).to(photo)
            shown = with_detail(shown, plain, edited, move=move, scale=scale)
        crops.append(shown)
        boxes.append(box)
    return crops, boxes


def _continued(
    photo: Tensor, segments: SegmentMasks, crops: Sequence[Tensor], boxes: Sequence[Box]
) -> Tensor:
    """The segments' pictures without a cross-fade, [1,3,H,W], continued a little beyond their masks. There a picture
    with the photo's detail is the photo but for what an edit changed.
    """
    masks = segments.masks.to(photo)
    weights = masks + _BEYOND * torch.stack([grow(mask, 2) for mask in masks])
    picture, total = torch.zeros_like(photo), weights.sum(dim=0, keepdim=True)
    for weight, crop, box in zip(weights, crops, boxes, strict=True):
        top, left, bottom, right = box
        picture[..., top:bottom, left:right] += weight[:, top:bottom, left:right] * crop
    return torch.where(total > 0, picture / total.clamp(min=_BEYOND * SMALLEST_WEIGHT), photo)


def _check(mode: str, band: int, keep_detail: str) -> None:
    if mode not in COMPOSITE_MODES:
        raise InvalidInputError(f"mode is {mode!r}; expected one of {', '.join(COMPOSITE_MODES)}")
    if mode != "soft blend":
        check_mode(mode, band)
    check_keep_detail(keep_detail)
