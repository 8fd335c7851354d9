"""Changes of segments by name: grow, shrink, smooth, feather, fill holes, rename, merge, remove, add.

In all of them `wanted` is what `SegmentMasks.resolve` takes: names, plurals such as "eyes", or "all". The result
adds up to one again (see `relayer`), and the given segments are never changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import InvalidInputError
from .connected_components import holes, largest_part
from .covering import cover_segments
from .masks import check_extent, feather, grow
from .names import ALL, known_name
from .partition import segments_from_masks
from .relayer import Freed, relayer
from .segment_masks import SegmentMasks

STATIC = "static"  # as a name: the part that stays as in the photo


def grow_segments(
    segments: SegmentMasks, wanted: Sequence[str], radius: int, *, enter_static: bool = False
) -> SegmentMasks:
    """Dilate masks by a disc of `radius` pixels.

    Where segments then overlap, grown or not, the one that was smaller lies on top: a mouth grows over the skin,
    and a growing skin leaves the mouth alone.
    """
    check_extent(radius, segments.size, "pixels")
    masks = segments.planes()
    grown = {name: grow(masks[name], radius) for name in segments.resolve(wanted)}
    return relayer(segments, masks | grown, enter_static=enter_static)


def shrink_segments(
    segments: SegmentMasks, wanted: Sequence[str], radius: int, *, freed: Freed = "nearest"
) -> SegmentMasks:
    """Erode masks by a disc of `radius` pixels; the image's border is no edge. freed: see `relayer`; pixels
    between two segments that both shrink become static.
    """
    check_extent(radius, segments.size, "pixels")
    changed = _each(segments, wanted, lambda mask: 1 - grow(1 - mask, radius))
    return relayer(segments, changed, freed=freed)


def smooth_segments(
    segments: SegmentMasks, wanted: Sequence[str], sigma: float, *, freed: Freed = "nearest"
) -> SegmentMasks:
    """Round off corners, hairs and notches smaller than about `sigma` pixels; straight edges stay where they are.

    A Gaussian blurs the mask, and its level 1/2 becomes the new edge, about one pixel soft. Static pixels are
    not entered.
    """
    check_extent(sigma, segments.size, "pixels")
    slope = max(1.0, sigma * math.sqrt(2 * math.pi))  # of a blurred step is 1 / this

    def smooth(mask: Tensor) -> Tensor:
        return ((feather(mask, sigma) - 0.5) * slope + 0.5).clamp(0, 1) if sigma > 0 else mask

    return _one_by_one(segments, wanted, smooth, freed)


def keep_largest_parts(
    segments: SegmentMasks, wanted: Sequence[str], *, freed: Freed = "nearest"
) -> SegmentMasks:
    """Let go of all connected parts of a segment but the heaviest."""
    return _one_by_one(segments, wanted, largest_part, freed)


def fill_holes(segments: SegmentMasks, wanted: Sequence[str]) -> SegmentMasks:
    """Give a segment what it encloses: gaps, also static ones, and specks of other segments.

    A segment with more than half of its weight in the holes is no speck and stays, as the eyes in a face do.
    """
    result = segments
    for name in segments.resolve(wanted):
        masks = result.planes()
        own = masks.pop(name)
        inside = holes(own)
        kept = sum((mask for mask in masks.values() if (mask * inside).sum() > mask.sum() / 2), 0 * own)
        filled = torch.where(inside, torch.maximum(own, 1 - kept), own)
        result = relayer(result, {name: filled}, enter_static=True)
    return result


def feather_segments(segments: SegmentMasks, wanted: Sequence[str], sigma: float) -> SegmentMasks:
    """Soften edges, also those toward the static part, by a Gaussian of `sigma` pixels."""
    check_extent(sigma, segments.size, "pixels")
    changed = _each(segments, wanted, lambda mask: feather(mask, sigma))
    return relayer(segments, changed, enter_static=True)


def rename_segment(segments: SegmentMasks, old: str, new: str) -> SegmentMasks:
    """Another name for one segment. Raises InvalidInputError for a name that is unknown, empty or taken."""
    meant = known_name(old, segments.names)
    if meant is None:
        raise InvalidInputError(
            f"there is no segment {old!r} to rename; there are {', '.join(segments.names)}"
        )
    _check_name(new, [name for name in segments.names if name != meant])
    return replace(segments, names=tuple(new if name == meant else name for name in segments.names))


def merge_segments(segments: SegmentMasks, wanted: Sequence[str], new: str) -> SegmentMasks:
    """One segment `new` in place of several, whose weights are added; it takes the place of the first.

    Raises InvalidInputError if `new` is the name of a segment that isn't merged.
    """
    names = segments.resolve(wanted)
    others = [name for name in segments.names if name not in names]
    _check_name(new, others)
    masks = dict(zip(segments.names, segments.masks, strict=True))
    merged = torch.stack([masks[name] for name in names]).sum(dim=0).clamp(max=1)
    first = min(names, key=segments.names.index)
    order = [name for name in segments.names if name in others or name == first]
    stack = torch.stack([merged if name == first else masks[name] for name in order])
    return SegmentMasks(tuple(new if name == first else name for name in order), stack, segments.static)


def remove_segments(
    segments: SegmentMasks, wanted: Sequence[str], *, freed: Freed = "nearest"
) -> SegmentMasks:
    """Without some segments; their pixels go to the nearest neighbor, the static part being one, or all to the
    static part. Raises InvalidInputError if none would be left.
    """
    return relayer(segments, {}, dropped=segments.resolve(wanted), freed=freed)


def add_segment(
    segments: SegmentMasks | None,
    name: str,
    mask: Tensor,
    *,
    feather: float = 0.0,
    extend: bool = True,
    enter_static: bool = True,
    covers: Sequence[str] = (ALL,),
) -> SegmentMasks:
    """Lay a mask [H,W] in [0,1] on top as the segment `name`, or as a part of the photo to keep ("static").

    segments: None to begin with this one; the rest is then static. feather: sigma in pixels of a Gaussian on
    the mask. extend: add it to a segment that has the name already, in whatever case, instead of replacing that.
    covers: the segments that it lies on top of, as `resolve` takes them; all others lie above it, so that ("skin",)
    lets a fringe cover the skin and no brows, and () takes static pixels only. A static mask covers all. Raises
    InvalidInputError for a mask that is empty, of another size or no mask, and for a segment that vanishes below
    it.
    """
    size = None if segments is None else segments.size
    _check_name(name, ())
    name = known_name(name, () if segments is None else segments.names) or known_name(name, (STATIC,)) or name
    new = segments_from_masks({name: mask}, size=size, feather=feather)
    if segments is None:
        if name == STATIC:
            raise InvalidInputError(
                "the first mask is called 'static', which is no segment; add one before it"
            )
        return new
    mask = new.masks[0, 0].to(segments.masks.device)
    if name == STATIC:
        return _with_static(segments, mask)
    below = segments.resolve(covers)
    if {*below, name} < {*segments.names, name}:
        return cover_segments(segments, name, mask, below, extend=extend, enter_static=enter_static)
    if extend and name in segments.names:
        mask = torch.maximum(mask, segments.planes()[name])
    return relayer(segments, {name: mask}, enter_static=enter_static)


def _with_static(segments: SegmentMasks, mask: Tensor) -> SegmentMasks:
    """The mask as an extra layer on top that then joins the static part."""
    if (mask <= segments.static[0, 0].to(mask)).all():
        return segments  # static already
    layered = relayer(segments, {STATIC: mask})
    return SegmentMasks(
        segments.names, layered.masks[:-1], (layered.static + layered.masks[-1:]).clamp(max=1)
    )


def _one_by_one(
    segments: SegmentMasks, wanted: Sequence[str], change: Callable[[Tensor], Tensor], freed: Freed
) -> SegmentMasks:
    """Each mask changed as it was at first and laid on top, small ones last, so that what one of them lets go
    finds an owner among the others.
    """
    masks = segments.planes()
    result = segments
    for name in sorted(segments.resolve(wanted), key=lambda name: -masks[name].cpu().double().sum().item()):
        result = relayer(result, {name: change(masks[name].cpu().double())}, freed=freed)
    return result


def _each(
    segments: SegmentMasks, wanted: Sequence[str], change: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """The changed masks [H,W] by name. change: of float64 on the CPU; one at a time is held so."""
    masks = segments.planes()
    return {name: change(masks[name].cpu().double()).to(segments.masks) for name in segments.resolve(wanted)}


def _check_name(name: str, taken: Sequence[str]) -> None:
    if not name.strip():
        raise InvalidInputError("the new segment has no name; write one, such as mouth")
    present = known_name(name, taken)
    if present is not None:
        raise InvalidInputError(
            f"there is a segment {present!r} already; choose another name, or merge the two"
        )
