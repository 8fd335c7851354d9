"""Operations on masks: float tensors in [0,1], 1 = selected."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.region import Box

# A weight below this changes no 8-bit pixel by half a grey level, and would only widen the box of its mask.
SMALLEST_WEIGHT = 1 / 512
FEATHER_REACH = (
    3.0  # the Gaussian is cut at three sigma, so pixels farther from a boundary keep their exact 0 or 1
)


def mask_box(mask: Tensor, margin: int = 0, multiple: int = 1) -> Box:
    """The smallest box around the pixels > 0 of a mask, plus a margin.

    mask: [...,H,W]; margin: pixels added on every side; multiple: the edges are moved outward to multiples of
    it. The box is clipped to the image. Raises InvalidInputError for an empty mask.
    """
    height, width = mask.shape[-2:]
    selected = (mask.detach() > 0).reshape(-1, height, width).any(dim=0)
    rows = selected.any(dim=1).nonzero().flatten().tolist()
    columns = selected.any(dim=0).nonzero().flatten().tolist()
    if not rows:
        raise InvalidInputError(f"a mask of {width}x{height} is empty; expected at least one pixel above 0")
    top, bottom = _span(rows[0] - margin, rows[-1] + 1 + margin, height, multiple)
    left, right = _span(columns[0] - margin, columns[-1] + 1 + margin, width, multiple)
    return Box(top, left, bottom, right)


def _span(first: int, end: int, size: int, multiple: int) -> tuple[int, int]:
    return max(first // multiple * multiple, 0), min(-(-end // multiple) * multiple, size)


def grow(mask: Tensor, radius: int) -> Tensor:
    """Grey dilation with a disc: every pixel becomes the maximum within `radius` pixels of it.

    mask: [...,H,W]; the same shape is returned.
    """
    result = mask.clone()
    radius = min(radius, sum(mask.shape[-2:]))  # which reaches everything
    if radius > 0 and mask.any():
        top, left, bottom, right = mask_box(mask, radius)  # beyond it the result is 0
        reached = result[..., top:bottom, left:right]
        reached.copy_(_dilated(reached.clone(), radius))
    return result


def _dilated(mask: Tensor, radius: int) -> Tensor:
    height, width = mask.shape[-2:]
    rows, result, reach = mask, torch.zeros_like(mask), 0
    for dy in range(radius, -1, -1):  # the disc's rows widen toward its centre, so their maxima are built up
        half_width = min(math.isqrt(radius * radius - dy * dy), width - 1)
        while reach < half_width:
            reach += 1
            rows = rows.clone()
            rows[..., reach:] = torch.maximum(rows[..., reach:], mask[..., :-reach])
            rows[..., :-reach] = torch.maximum(rows[..., :-reach], mask[..., reach:])
        if dy < height:
            result[..., dy:, :] = torch.maximum(result[..., dy:, :], rows[..., : height - dy, :])
            result[..., : height - dy, :] = torch.maximum(result[..., : height - dy, :], rows[..., dy:, :])
    return result


def feather(mask: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, cut at three sigma; the image is continued by its border pixels.

    mask: float64 [H,W] on the CPU; sigma: pixels, at least 0. Blurred masks add up as the masks did.
    """
    if sigma <= 0 or not mask.any():
        return mask
    from scipy.ndimage import gaussian_filter

    # Outside this box the result is zero, and at its edges the border continues zeros or the image's own
    # border.
    top, left, bottom, right = mask_box(mask, math.ceil(FEATHER_REACH * sigma) + 1)
    result = torch.zeros_like(mask)
    blurred = gaussian_filter(
        mask[top:bottom, left:right].numpy(), sigma, mode="nearest", truncate=FEATHER_REACH
    )
    result[top:bottom, left:right] = torch.from_numpy(blurred)
    return result


def stack_by_area(masks: Tensor, areas: Tensor, static: Tensor) -> Tensor:
    """Resolves overlaps: static first, then smaller segments before larger ones, each takes what is left.

    masks: [N,H,W]; areas: [N], which may be of the masks before they were grown; static: [H,W]. Returns
    [N,H,W] with sum + static <= 1. Masks that already add up to at most one stay as they are.
    """
    left = 1 - static
    result = torch.empty_like(masks)
    for i in torch.argsort(areas, stable=True).tolist():
        result[i] = torch.minimum(masks[i], left)
        left = left - result[i]
    return result


def fill_from_nearest(masks: Tensor, static: Tensor) -> Tensor:
    """Gives what neither a segment nor the static mask holds to the segments of the nearest such pixel.

    masks: float64 [N,H,W] and static: [H,W], on the CPU, sum at most 1. Returns [N,H,W] with sum + static =
    1.
    """
    from scipy.ndimage import distance_transform_edt

    total = masks.sum(dim=0)
    occupied = total > SMALLEST_WEIGHT
    shares = masks / total.clamp(min=SMALLEST_WEIGHT)
    rows, columns = distance_transform_edt(~occupied.numpy(), return_distances=False, return_indices=True)
    gap = (1 - static - total).clamp(min=0)
    return masks + gap * shares[:, torch.from_numpy(rows).long(), torch.from_numpy(columns).long()]


def normalise(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Segments and static rest that add up to one (P2 eq. 3).

    masks: [N,1,H,W], >= 0, sum at most about 1. Returns masks [N,1,H,W] and static [1,1,H,W]: the static mask
    is what the segments leave, weights too small to be seen become exactly 0, and where no segment is left
    the static mask is exactly 1.
    """
    weights = torch.cat([masks, (1 - masks.sum(dim=0, keepdim=True)).clamp(min=0)])
    smallest = min(SMALLEST_WEIGHT, 0.5 / len(weights))  # so the largest weight of a pixel always stays
    weights = torch.where(weights < smallest, 0, weights)
    weights = weights / weights.sum(dim=0, keepdim=True)
    return weights[:-1], weights[-1:]
