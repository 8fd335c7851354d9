"""A region's colours moved until its boundary fits the photo, with every detail of the region kept."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..deprecated import old_names
from ..mask_shapes import as_stack
from ..segments.masks import grow, without_noise
from .multigrid import solve_poisson
from .poisson import OPAQUE, BoundaryGuidance, check_images, outer_boundary

__getattr__ = old_names(__name__)

_CELLS = (
    32  # along the photo's longer side: coarse enough that no texture of the boundary runs into the region
)
_REACH = 3  # pixels inside of a soft boundary that tell the offset

Offset = Literal["membrane", "constant"]


@torch.no_grad()
def shift_colors(
    photo: Tensor,
    rendering: Tensor,
    mask: Tensor,
    *,
    offset: Offset = "membrane",
    boundary: BoundaryGuidance = "picture",
) -> Tensor:
    """The rendering set into the photo by its mask, its colours moved by a smooth offset that makes its boundary fit.

    photo, rendering: [B,3,H,W] in [-1,1]; mask: [H,W] or [1 or B,1,H,W] in [0,1], 1 = the rendering, which fades
    into the photo where the mask is soft.
    offset: "membrane" is the smoothest surface through the differences at the boundary (the membrane of Perez et al.
    2003, equation 2, on cells of 1/32 of the photo's longer side); "constant" one number for each channel, the
    mean difference at the boundary.
    boundary: where rendering and photo are compared. "picture" and "half": just outside the region, for a rendering
    that continues there. "photo": just inside, for a rendering that was already set into the photo. "soft": within
    three pixels inside of where the photo shows through the mask, whose soft edge belongs to what lies behind.

    Where the mask is 0, or its black only noisy (see `without_noise`), the photo's numbers are returned as they are. A
    region without a boundary gives the photo or the rendering as it is. Raises InvalidInputError for shapes that do
    not agree, NaN and infinite values.
    """
    mask = as_stack(mask)
    check_images(photo, rendering, mask, boundary)
    rendering = rendering.to(photo)
    mask = torch.stack([without_noise(one) for one in mask]).to(photo).expand(len(photo), -1, -1, -1)
    weights = torch.stack([boundary_weights(one[0], boundary) for one in mask])[:, None]
    offset_of = _constant if offset == "constant" else membrane
    offsets = [offset_of(*one) for one in zip((photo - rendering).split(1), weights.split(1), strict=True)]
    return torch.where(mask > 0, torch.lerp(photo, rendering + torch.cat(offsets), mask), photo)


def boundary_weights(mask: Tensor, boundary: BoundaryGuidance) -> Tensor:
    """How far each pixel tells the offset, [H,W] in 0..1."""
    if boundary == "soft":
        opaque = mask >= OPAQUE
        return (opaque & (grow((~opaque).to(mask), _REACH) > 0)).to(mask)
    region = mask > 0
    return (outer_boundary(~region) if boundary == "photo" else outer_boundary(region)).to(mask)


def _constant(difference: Tensor, weight: Tensor) -> Tensor:
    """The weighted mean of a difference [1,3,H,W] for each channel, [1,3,1,1]."""
    total = (difference * weight).sum(dim=(2, 3), keepdim=True)
    return total / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)


def membrane(difference: Tensor, weight: Tensor) -> Tensor:
    """The harmonic surface [1,3,H,W] through the difference at the boundary."""
    height, width = difference.shape[-2:]
    cell = max(1, round(max(height, width) / _CELLS))
    padding = (0, -width % cell, 0, -height % cell)
    # Means over 3 x 3 cells, since a cell that the boundary just touches would tell the noise of a few pixels.
    sums, weights = (
        F.avg_pool2d(F.avg_pool2d(F.pad(t, padding).float(), cell), 3, 1, 1)
        for t in (difference * weight, weight)
    )
    if not weights.any():
        return torch.zeros_like(difference)
    # A straight boundary fills 3 / (9 cell) of them; half of that tells more than noise, or less if there is no more.
    known = weights[0, 0] >= min(1 / (6 * cell), weights.max().item() / 2)
    coarse = torch.where(known, sums / weights.clamp(min=1e-12), 0)[0]
    b = F.conv2d(coarse[:, None], coarse.new_tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]])[None, None], padding=1)
    surface = (coarse + solve_poisson(~known, b[:, 0], tolerance=1e-4))[None]
    larger = F.interpolate(surface, scale_factor=cell, mode="bicubic") if cell > 1 else surface
    return larger[..., :height, :width].to(difference)
