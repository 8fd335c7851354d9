"""The finished image of an inversion: what was edited, set into the photo without a seam."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from ..boxes import Box
from ..editing.edits import applicable_edits
from ..editing.harmonies import warn_of_harmonies_left_out
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..inversion.record import Inversion, check_same_generator
from ..segments.blend import blend
from ..segments.masks import SMALLEST_WEIGHT, grow, mask_box
from ..segments.segment_masks import SegmentMasks
from .detail import KeepDetail, check_keep_detail, with_detail
from .followed_masks import FollowedMasks, MaskFollower, check_follow, with_followed_masks
from .label_transfer import transferred_labels
from .modes import CloneMode, check_mode, seamless_clone
from .poisson import poisson_blend
from .render import render_segments
from .renderings import Renderings, renderings_of
from .replacement import Replace, restrict_to_replaced
from .screened_blend import confirmed_offset, screen_for
from .segment_seams import SoftBoundary, poisson_blend_segments, shift_segment_colors
from .uncovered import with_inpainting

CompositeMode = Literal["full", "seam only", "colour shift only", "soft blend", "as needed"]
COMPOSITE_MODES: tuple[CompositeMode, ...] = get_args(CompositeMode)

_BEYOND = 1e-3  # the weight of a segment's rendering beside its mask, where another one's mask may lie
_CONTEXT = 12  # pixels of an image of 256 around a segment, in which motion is looked for, too


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
    kept: Renderings | None = None,
    follow: bool | MaskFollower = False,
    notify: Callable[[str], None] | None = None,
) -> Tensor:
    """[1,3,H,W]: the photo with its edited segments, their seams removed.

    replace: "edited segments" leaves everything else the photo's own pixels, to the bit: edited are the segments
    with an edit of a strength other than 0, filled parts and refined boundaries. Without any the result is the
    photo. "all segments" replaces the unedited ones too. None: the first where there is a photo, else the second.
    keep_detail: the photo's detail that the generator can't draw is left out ("off"), added back in place ("keep") or
    carried along with what the edit moves; see `with_detail`. Without a photo there is none.
    mode, mixed, band: see `seamless_clone`; "soft blend" removes no seam. The narrow band of the default takes least of
    the edit with the seam (docs/compositing.md). between: the borders between replaced segments
    count, too: their seams are solved for together with that toward the photo (`poisson_blend_segments`), or each
    segment's colours are shifted by one offset so that they fit each other and the photo (`shift_segment_colors`).
    follow: masks go where the edits take what they show, and what is uncovered is drawn (`with_followed_masks`), for
    edits that move outlines; unedited neighbours may change, static pixels don't. True = `transferred_labels` tells
    where that is; something else that tells it may be given. What static pixels cut off then is warned of.
    Where nothing is replaced the photo's numbers are returned as they are. Without a photo (see `render`) the
    result keeps its own colours, or its mean colour with `between` in full. kept: what was drawn before, which is taken
    from there and not drawn again, as long as no tensor of the inversion is changed in place (`Renderings`).
    notify: called with each warning's text in the place of a Python warning.
    Raises what `render` raises, and InvalidInputError for an unknown choice and a band under 1.
    """
    _check(mode, band, keep_detail)
    check_follow(follow)
    check_same_generator(generator, inversion)
    warn_of_harmonies_left_out(inversion, notify or partial(warnings.warn, stacklevel=3))
    kept = renderings_of(generator, kept)
    followed = FollowedMasks(inversion)
    if follow:
        followed = with_followed_masks(generator, inversion, transferred_labels if follow is True else follow)
        if followed.cut:
            (notify or partial(warnings.warn, stacklevel=3))(followed.cut_text)
    part = restrict_to_replaced(followed.inversion, replace)
    if part is None:
        return inversion.backdrop().clone()
    backdrop = part.backdrop()
    detailed = keep_detail != "off" and part.photo is not None
    if detailed:
        renderings, boxes = _renderings_with_detail(kept, part, followed, move=keep_detail == "keep and move")
    else:
        renderings, boxes = render_segments(generator, part, margin=1, kept=kept)
    renderings = with_inpainting(part, followed, renderings, boxes)
    if mode == "soft blend":
        return blend(backdrop, part.masks, renderings, boxes)
    removal = _SeamRemoval(mode, mixed and part.photo is not None, band, "half" if detailed else "soft")
    if mode == "as needed" and not (detailed or follow) and part.photo is not None:
        renderings, backdrop = _fitted_to_photo(kept, part, renderings)
    if between and len(part.segments) > 1:
        return _blend_together(backdrop, part.masks, renderings, boxes, removal)
    return _blend_into_photo(backdrop, part, renderings, boxes, removal)


@dataclass(frozen=True)
class _SeamRemoval:
    """How seams are removed, see `seamless_clone`.

    boundary: "half" for renderings with the photo's detail, which continue there.
    """

    mode: CloneMode
    mixed: bool
    band: int
    boundary: SoftBoundary


def _blend_together(
    backdrop: Tensor,
    masks: SegmentMasks,
    renderings: Sequence[Tensor],
    boxes: Sequence[Box],
    removal: _SeamRemoval,
) -> Tensor:
    """Seams between segments and toward the photo removed, all together."""
    if removal.mode == "colour shift only":
        return shift_segment_colors(
            backdrop, masks, renderings, boxes, mixed=removal.mixed, boundary=removal.boundary
        )
    return poisson_blend_segments(
        backdrop,
        masks,
        renderings,
        boxes,
        mixed=removal.mixed,
        band=removal.band if removal.mode == "seam only" else None,
        boundary=removal.boundary,
        screen=screen_for(backdrop) if removal.mode == "as needed" else None,
    )


def _blend_into_photo(
    backdrop: Tensor,
    part: Inversion,
    renderings: Sequence[Tensor],
    boxes: Sequence[Box],
    removal: _SeamRemoval,
) -> Tensor:
    """Seams toward the photo removed, if there is one.

    No cross-fade: the Poisson equation would keep the ramp from photo to rendering as if it were detail.
    """
    if removal.boundary == "half":
        rendering = _extended(backdrop, part.masks, renderings, boxes)
    else:
        rendering = blend(backdrop, part.masks, renderings, boxes, cross_fade=False)
    if part.photo is None:
        return rendering
    mask = 1 - part.static_mask
    if removal.mode == "as needed":
        screen = screen_for(backdrop)
        return poisson_blend(
            backdrop, rendering, mask, mixed=removal.mixed, boundary=removal.boundary, screen=screen
        )
    return seamless_clone(backdrop, rendering, mask, **asdict(removal))


def _fitted_to_photo(
    kept: Renderings, part: Inversion, renderings: Sequence[Tensor]
) -> tuple[list[Tensor], Tensor]:
    """Every segment's rendering without the smooth error of its code, and the photo with what its edits change.

    The error is told by the unedited rendering, so that no edit is taken for one. The change fades with the mask, one
    pixel inside of it, and joins an edited rendering to the photo in a soft boundary.
    """
    photo, replaced = part.backdrop(), 1 - part.static_mask
    faded = -F.max_pool2d(-replaced, 3, 1, 1) / replaced.clamp(min=SMALLEST_WEIGHT)
    plain, boxes = render_segments(kept.generator, part, edited=False, margin=1, kept=kept)
    fitted, changed = [], photo.clone()
    for segment, rendering, unedited, box in zip(part.segments, renderings, plain, boxes, strict=True):
        inside = (..., slice(box.top, box.bottom), slice(box.left, box.right))
        whole, mask = photo.clone(), segment.mask.to(photo)
        whole[inside] = unedited
        fitted.append(rendering + confirmed_offset(photo, whole, mask, "soft")[inside])
        changed[inside] += (faded.to(photo) * mask)[inside] * (rendering - unedited)
    return fitted, changed


def _renderings_with_detail(
    kept: Renderings, inversion: Inversion, followed: FollowedMasks, *, move: bool
) -> tuple[list[Tensor], list[Box]]:
    """Every segment's edited rendering with its photo's detail, and where it lies; without edits it is the photo.

    followed: tells how much of the photo's detail is each segment's, if masks have moved.
    """
    photo = inversion.backdrop()
    scale = max(1.0, max(photo.shape[-2:]) / 256)
    renderings, boxes = [], []
    for segment in inversion.segments:
        margin = round(_CONTEXT * scale)
        whole = followed.share_of_detail(segment, margin)
        box = mask_box(followed.extent_of(segment), margin=margin)
        image = photo[..., box.top : box.bottom, box.left : box.right]
        own = applicable_edits(inversion.segments, segment.name, inversion.edits)
        edits = [edit for edit in own if edit.has_effect]
        if edits:
            plain, edited = (kept.draw(inversion, segment, some, box) for some in ([], edits))
            share = None if whole is None else whole[..., box.top : box.bottom, box.left : box.right]
            adding = partial(with_detail, image, plain, edited, move=move, scale=scale, share=share)
            image = kept.detailed(segment, (photo, plain, edited, move, whole), adding)
        renderings.append(image)
        boxes.append(box)
    return renderings, boxes


def _extended(
    photo: Tensor, segments: SegmentMasks, renderings: Sequence[Tensor], boxes: Sequence[Box]
) -> Tensor:
    """The segments' renderings without a cross-fade, [1,3,H,W], continued a little beyond their masks. There a
    rendering with the photo's detail is the photo but for what an edit changed.
    """
    masks = segments.masks.to(photo)
    weights = masks + _BEYOND * torch.stack([grow(mask, 2) for mask in masks])
    image, total = torch.zeros_like(photo), weights.sum(dim=0, keepdim=True)
    for weight, rendering, box in zip(weights, renderings, boxes, strict=True):
        top, left, bottom, right = box
        image[..., top:bottom, left:right] += weight[:, top:bottom, left:right] * rendering
    return torch.where(total > 0, image / total.clamp(min=_BEYOND * SMALLEST_WEIGHT), photo)


def _check(mode: str, band: int, keep_detail: str) -> None:
    if mode not in COMPOSITE_MODES:
        raise InvalidInputError(f"mode is {mode!r}; expected one of {', '.join(COMPOSITE_MODES)}")
    if mode != "soft blend":
        check_mode(mode, band)
    check_keep_detail(keep_detail)
