"""A region's colours moved until its rim fits the photo, with every detail of the region kept."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..segments.masks import grow, without_noise
from .multigrid import solve_poisson
from .poisson import WHOLE, Rim, check_pictures, rim_of

_CELLS = 32  # along the photo's longer side: coarse enough that no texture of the rim runs into the region
_REACH = 3  # pixels inside of a soft rim that tell the offset

Offset = Literal["membrane", "constant"]


@torch.no_grad()
def colour_shift(
    picture: Tensor, photo: Tensor, mask: Tensor, *, offset: Offset = "membrane", rim: Rim = "picture"
) -> Tensor:
    """The picture set into the photo by its mask, its colours moved by a smooth offset that makes its rim fit.

    picture, photo: [B,3,H,W] in [-1,1]; mask: [1 or B,1,H,W] in [0,1], 1 = the picture, which fades into the
    photo where the mask is soft.
    offset: "membrane" is the smoothest surface through the differences at the rim (the membrane of Perez et al.
    2003, equation 2, on cells of 1/32 of the photo's longer side); "constant" one number for each channel, the
    mean difference at the rim.
    rim: where picture and photo are compared. "picture" and "half": just outside the region, for a picture that
    continues there. "photo": just inside, for a picture that was already set into the photo. "soft": within
    three pixels inside of where the photo shows through the mask, whose soft edge belongs to what lies behind.

    Where the mask is 0, or its black only noisy (see `without_noise`), the photo's numbers are returned as they are. A
    region without a rim gives the photo or the picture as it is. Raises InvalidInputError for shapes that do not agree,
    NaN and infinite values.
    """
    check_pictures(picture, photo, mask, rim)
    picture = picture.to(photo)
    mask = torch.stack([without_noise(one) for one in mask]).to(photo).expand(len(photo), -1, -1, -1)
    weights = torch.stack([_rim_weights(one[0], rim) for one in mask])[:, None]
    shift = _constant if offset == "constant" else _membrane
    shifts = [shift(*one) for one in zip((photo - picture).split(1), weights.split(1), strict=True)]
    return torch.where(mask > 0, torch.lerp(photo, picture + torch.cat(shifts), mask), photo)


def _rim_weights(mask: Tensor, rim: Rim) -> Tensor:
    """How far each pixel tells the offset, [H,W] in 0..1."""
    if rim == "soft":
        whole = mask >= WHOLE
        return (whole & (grow((~whole).to(mask), _REACH) > 0)).to(mask)
    region = mask > 0
    return (rim_of(~region) if rim == "photo" else rim_of(region)).to(mask)


def _constant(missing: Tensor, weight: Tensor) -> Tensor:
    """The weighted mean of missing [1,3,H,W] for each channel, [1,3,1,1]."""
    total = (missing * weight).sum(dim=(2, 3), keepdim=True)
    return total / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)


def _membrane(missing: Tensor, weight: Tensor) -> Tensor:
    """The harmonic surface [1,3,H,W] through what is missing at the rim."""
    height, width = missing.shape[-2:]
    cell = max(1, round(max(height, width) / _CELLS))
    padding = (0, -width % cell, 0, -height % cell)
    # Means over 3 x 3 cells, since a cell that the rim just touches would tell the noise of a few pixels.
    sums, weights = (
        F.avg_pool2d(F.avg_pool2d(F.pad(t, padding).float(), cell), 3, 1, 1)
        for t in (missing * weight, weight)
    )
    if not weights.any():
        return torch.zeros_like(missing)
    # A straight rim fills 3 / (9 cell) of them; half of that tells more than noise, or less if there is no more.
    known = weights[0, 0] >= min(1 / (6 * cell), weights.max().item() / 2)
    coarse = torch.where(known, sums / weights.clamp(min=1e-12), 0)[0]
    b = F.conv2d(coarse[:, None], coarse.new_tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]])[None, None], padding=1)
    surface = (coarse + solve_poisson(~known, b[:, 0], tolerance=1e-4))[None]
    larger = F.interpolate(surface, scale_factor=cell, mode="bicubic") if cell > 1 else surface
    return larger[..., :height, :width].to(missing)
