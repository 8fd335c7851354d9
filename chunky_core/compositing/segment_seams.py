"""Seams between the neighbouring segments of an inversion removed, for all segments together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ..boxes import Box
from ..segments.blend import blend
from ..segments.masks import grow
from ..segments.segment_masks import SegmentMasks
from .poisson import (
    AXES,
    PHOTO_SHOWS_BELOW,
    check_band,
    shifted_pairs,
    solve_gradient_domain,
    stronger_gradient,
    window_around,
)

SoftBoundary = Literal["soft", "half"]


@torch.no_grad()
def poisson_blend_segments(
    photo: Tensor,
    segments: SegmentMasks,
    renderings: Sequence[Tensor],
    boxes: Sequence[Box],
    *,
    mixed: bool = False,
    band: int | None = None,
    boundary: SoftBoundary = "soft",
    screen: Tensor | None = None,
) -> Tensor:
    """One image with every segment's own differences and without seams, [1,3,H,W].

    photo: [1,3,H,W] in [-1,1]; renderings: per segment [1,3,h,w], what the generator drew in its box; boxes must hold
    the segment's mask and one pixel around it (as far as the image goes).
    mixed, band, screen [1,1,H,W]: as in `poisson_blend`; the band lies along the borders between segments, too.
    boundary: from which of the photo's weights on its differences count: "soft" = wherever it shows, "half" = from 0.5
    on.

    A pixel belongs to the segment with the largest weight, without a cross-fade. Between pixels of one segment
    its own rendering's difference counts, between those of two segments the mean of both renderings'
    differences, and the photo's at the boundary, as in `poisson_blend`. All pixels are solved for together, the photo
    around them fixed (Perez et al. 2003, equation 7). Where the static mask is 1 the photo's numbers are
    returned as they are. Without any such pixel the result keeps the mean colour of the segments' renderings, in a
    whole or, with a screen, about everywhere.
    """
    limit = 1 - PHOTO_SHOWS_BELOW[boundary]
    labels, start = _hard_edged(photo, segments, renderings, boxes, limit)
    unknown = labels < len(renderings)
    if band is not None:
        check_band(band)
        unknown &= grow(_borders(labels).float(), band - 1) > 0
    if not unknown.any():
        return start[None]
    window = window_around(unknown)
    static = segments.static.to(photo)[0, 0]
    guidance = [
        _guidance_field(photo[0], labels, static, renderings, boxes, axis, mixed, limit) for axis in AXES
    ]
    inside = [wanted[_differences_in(window, axis)] for wanted, axis in zip(guidance, AXES, strict=True)]
    mean, held = start.mean(dim=(1, 2), keepdim=True), None if screen is None else screen[0, 0]
    return solve_gradient_domain(start, unknown, window, inside, mean, held)[None]


@torch.no_grad()
def shift_segment_colors(
    photo: Tensor,
    segments: SegmentMasks,
    renderings: Sequence[Tensor],
    boxes: Sequence[Box],
    *,
    mixed: bool = False,
    boundary: SoftBoundary = "soft",
) -> Tensor:
    """The segments softly blended, each moved by one offset per channel so that all borders fit best.

    Arguments and static pixels as in `poisson_blend_segments`. The offsets solve its equations in the least-squares
    sense with a constant for each segment; if nothing ties the segments to the photo, their mean is 0.
    """
    limit = 1 - PHOTO_SHOWS_BELOW[boundary]
    labels, start = _hard_edged(photo, segments, renderings, boxes, limit)
    static, count = segments.static.to(photo)[0, 0], len(renderings)
    pairs = torch.zeros((count + 1) ** 2, dtype=torch.float64)  # on the CPU, where sums have a fixed order
    jumps = pairs[:, None].repeat(1, 3)
    for axis in AXES:
        wanted = _guidance_field(photo[0], labels, static, renderings, boxes, axis, mixed, limit)
        jump = (wanted - start.diff(dim=axis)).flatten(1).T.cpu().double()
        first, second = (t.flatten() for t in shifted_pairs(labels.cpu(), axis))
        for a, b, sign in ((first, second, -1), (second, first, 1)):
            pairs.index_add_(0, a * (count + 1) + b, torch.ones_like(jump[:, 0]))
            jumps.index_add_(0, a * (count + 1) + b, sign * jump)
    offsets = _least_squares(pairs.view(count + 1, -1), jumps.view(count + 1, -1, 3)).to(photo)
    moved = [
        rendering + offset[None, :, None, None] for rendering, offset in zip(renderings, offsets, strict=True)
    ]
    return blend(photo, segments, moved, boxes)


def _least_squares(pairs: Tensor, jumps: Tensor) -> Tensor:
    """Offsets [N,3] whose differences are nearest to the mean jumps across the borders; the last label, the
    photo, has 0. pairs: [N+1,N+1] lengths of the borders; jumps: [N+1,N+1,3] sums.
    """
    count = len(pairs) - 1
    apart = 1 - torch.eye(count + 1, dtype=pairs.dtype, device=pairs.device)
    pairs, jumps = pairs * apart, jumps * apart[..., None]
    laplacian = torch.diag(pairs.sum(dim=1)) - pairs
    return torch.linalg.pinv(laplacian[:count, :count], hermitian=True) @ jumps.sum(dim=1)[:count]


def _hard_edged(
    photo: Tensor, segments: SegmentMasks, renderings: Sequence[Tensor], boxes: Sequence[Box], limit: float
) -> tuple[Tensor, Tensor]:
    """The segment of every pixel, [H,W], N = where the photo's weight is above `limit`, and the image of hard-edged
    segments, [3,H,W].
    """
    masks, static = segments.masks.to(photo)[:, 0], segments.static.to(photo)[0, 0]
    labels = torch.where(static > limit, len(renderings), masks.argmax(dim=0))
    start = photo[0].clone()
    for index, (rendering, (top, left, bottom, right)) in enumerate(zip(renderings, boxes, strict=True)):
        inside = (..., slice(top, bottom), slice(left, right))
        start[inside] = torch.where(labels[inside] == index, rendering[0], start[inside])
    return labels, start


def _guidance_field(
    photo: Tensor,
    labels: Tensor,
    static: Tensor,
    renderings: Sequence[Tensor],
    boxes: Sequence[Box],
    axis: int,
    mixed: bool,
    limit: float,
) -> Tensor:
    """The differences that are wanted between neighbours along the axis, in the whole image."""
    of_photo = photo.diff(dim=axis)
    own, ends = torch.zeros_like(of_photo), torch.zeros_like(of_photo[0])
    for index, (rendering, (top, left, bottom, right)) in enumerate(zip(renderings, boxes, strict=True)):
        inside = _differences_in((..., slice(top, bottom), slice(left, right)), axis)
        first, second = shifted_pairs((labels[top:bottom, left:right] == index).to(photo), axis)
        own[inside] += (first + second) * rendering[0].diff(dim=axis)
        ends[inside] += first + second
    own = own / ends.clamp(min=1)
    if mixed:
        own = stronger_gradient(own, of_photo)
    first, second = shifted_pairs(static, axis)
    return torch.where(torch.maximum(first, second) > limit, of_photo, own)


def _differences_in(window: tuple[Any, ...], axis: int) -> tuple[Any, ...]:
    """The index of the differences along the axis between the pixels of a window (..., rows, columns)."""
    rows, columns = window[1:]
    if axis == -1:
        return ..., rows, slice(columns.start, columns.stop - 1)
    return ..., slice(rows.start, rows.stop - 1), columns


def _borders(labels: Tensor) -> Tensor:
    """Where a neighbour belongs to another segment or to the photo, bool [H,W]."""
    result = torch.zeros_like(labels, dtype=torch.bool)
    for axis in AXES:
        other = labels.diff(dim=axis) != 0
        for side in shifted_pairs(result, axis):
            side |= other
    return result
