"""A seam removed at no more cost than it needs: a smooth offset as far as the inside confirms it, and a narrow rest."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..mask_shapes import as_stack
from ..segments.masks import without_noise
from .color_shift import boundary_weights, membrane
from .gaussian import gaussian_blur
from .poisson import PHOTO_SHOWS_BELOW, BoundaryGuidance, check_images, poisson_blend

# Lengths in pixels of an image of 256; larger ones scale them.
REACH = 2.0  # over which a correction at the boundary fades
CONFIRMATION_SIGMA = 16.0  # sigma of the neighbourhood that must confirm an offset
_RIM_COUNTS = (
    0.1  # in the confirmation: the pixels that told the offset are no witness, but all of a thin region
)
_CELL = 4  # pixels a side of the cells on which confirmation is told


@torch.no_grad()
def blend_as_needed(
    photo: Tensor,
    rendering: Tensor,
    mask: Tensor,
    *,
    mixed: bool = False,
    boundary: BoundaryGuidance = "picture",
) -> Tensor:
    """The rendering set into the photo without a seam, and otherwise left as near to itself as can be.

    photo, rendering, mask, mixed: as in `poisson_blend`. boundary: the same, with "photo" for "picture": what the
    rendering shows outside the region does not count.

    A difference at the boundary may be an error of the whole region, such as a tint, or only of its edge: where a mask
    ends at an outline, a fitted rendering has it a little blurred, all around with one sign, and Poisson's solution
    would spread this over the whole region. The inside tells which, if the rendering shows there what the photo shows.
    So the membrane through the differences at the boundary (see `shift_colors`) is added as far as the differences
    inside go along with it. What remains is corrected within about two pixels of an image of 256, by a screened
    Poisson equation (see `poisson_blend`).

    Outside the region the photo's numbers are returned as they are. Raises InvalidInputError as `poisson_blend` does.
    """
    mask = as_stack(mask)
    check_images(photo, rendering, mask, boundary)
    rendering = rendering.to(photo)
    if boundary == "picture":
        boundary = "photo"
    masks = mask.to(photo).expand(len(photo), -1, -1, -1)
    offsets = [
        confirmed_offset(*one, boundary)
        for one in zip(photo.split(1), rendering.split(1), masks.split(1), strict=True)
    ]
    return poisson_blend(
        photo, rendering + torch.cat(offsets), mask, mixed=mixed, boundary=boundary, screen=screen_for(photo)
    )


def screen_for(photo: Tensor) -> Tensor:
    """[1,1,H,W]: the screen of `poisson_blend` with which a correction fades over REACH."""
    return torch.full_like(photo[:1, :1], (REACH * _scale(photo)) ** -2)


def confirmed_offset(photo: Tensor, rendering: Tensor, mask: Tensor, boundary: BoundaryGuidance) -> Tensor:
    """[1,3,H,W]: the smooth error of a rendering [1,3,H,W] that shows what the photo shows, to be added to it.

    The membrane through the differences at the boundary of the mask [1,1,H,W], times the share of it, 0 to 1, that the
    differences around each pixel of the region have in the least-squares sense.
    """
    mask = without_noise(mask)
    region = (mask > 0).to(photo)
    difference = (photo - rendering) * region
    if not difference.any():
        return torch.zeros_like(photo)
    rim = boundary_weights((mask if boundary in PHOTO_SHOWS_BELOW else region)[0, 0], "soft")[None, None]
    surface = membrane(difference, rim)
    counted = region * torch.where(rim > 0, _RIM_COUNTS, 1.0)
    products = [(surface * one * counted).sum(dim=1, keepdim=True) for one in (difference, surface)]
    return surface * _local_share(torch.cat(products, dim=1), _scale(photo))


def _local_share(products: Tensor, scale: float) -> Tensor:
    """[1,1,H,W] in [0,1]: local sums of the first of two planes [1,2,H,W] over those of the second."""
    height, width = products.shape[-2:]
    cell = max(1, round(_CELL * scale))
    coarse = F.avg_pool2d(F.pad(products, (0, -width % cell, 0, -height % cell)), cell)
    coarse = gaussian_blur(coarse, CONFIRMATION_SIGMA * scale / cell)
    share = (coarse[:, :1] / coarse[:, 1:].clamp(min=1e-12)).clamp(0, 1)
    larger = F.interpolate(share, scale_factor=cell, mode="bilinear") if cell > 1 else share
    return larger[..., :height, :width]


def _scale(photo: Tensor) -> float:
    return max(1.0, max(photo.shape[-2:]) / 256)
