"""Seams removed by solving Poisson's equation (Perez, Gangnet and Blake 2003, "Poisson Image Editing")."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..segments.masks import grow, mask_box
from .multigrid import solve_poisson


@torch.no_grad()
def poisson_composite(
    picture: Tensor,
    photo: Tensor,
    mask: Tensor,
    *,
    mixed: bool = False,
    rim: Literal["picture", "photo", "soft"] = "picture",
    band: int | None = None,
) -> Tensor:
    """The picture set into the photo with its gradients, but the photo's colours at the border of the mask.

    picture, photo: [B,3,H,W] in [-1,1].
    mask: [1 or B,1,H,W]; the region is where it is > 0 (of segments: their 1 - static).
    mixed: the stronger of the picture's and the photo's differences counts (equations 12 and 13), for
        transparent or thin things.
    rim: whose differences count between a pixel inside and one outside. "picture" is the paper's choice and
        needs a picture that continues outside the region. "photo" is for a picture that was already set into
        the photo: there the picture's difference is the seam itself. Use `blend(..., cross_fade=False)` for
        that, since a cross-fade's ramp of colours would be kept like any other detail. "soft": throughout
        the region the photo's differences count with its share of the mask, 1 - mask; for soft masks along an
        outline, whose own edge must come from the photo as far as the photo shows.
    band: solve only within so many pixels of the region's border; deeper inside the picture stays as it is,
        which keeps the photo's colours from bleeding far into it.

    Inside the region the result has the picture's differences between neighbours in the least-squares sense
    (Perez et al. equations 3 and 7); outside, it is the photo, number for number. At the image's border,
    where no photo continues, the differences alone decide. Colours may leave [-1,1] a little; `to_uint8`
    clips them.
    An empty region gives the photo. If the region is everything, nothing ties it to the photo but the mean
    colour of each channel, which is kept. Raises InvalidInputError for shapes that do not agree, NaN and
    infinite values.
    """
    _check(picture, photo, mask, rim, band)
    picture, mask = picture.to(photo), mask.to(photo.device)
    masks = mask[:, 0].expand(len(photo), -1, -1)
    return torch.stack(
        [_composite(*one, mixed, rim, band) for one in zip(picture, photo, masks, strict=True)]
    )


def _composite(
    picture: Tensor, photo: Tensor, mask: Tensor, mixed: bool, rim: str, band: int | None
) -> Tensor:
    """`poisson_composite` of one picture [3,H,W] with a mask [H,W]."""
    region = mask > 0
    unknown = region if band is None else region & (grow((~region).float(), band) > 0)
    everywhere = bool(region.all())
    if everywhere:
        unknown = region.clone()
        unknown[0, 0] = False  # one fixed pixel, here by 0, makes the solution unique; the mean comes below
    result = picture.clone()
    if unknown.any():
        top, left, bottom, right = mask_box(unknown, margin=1)
        window = (..., slice(top, bottom), slice(left, right))
        result[window] += _change(picture[window], photo[window], mask[window], unknown[window], mixed, rim)
    if everywhere:
        result += (photo - result).mean(dim=(1, 2), keepdim=True)
    return torch.where(region, result, photo)


def _change(picture: Tensor, photo: Tensor, mask: Tensor, unknown: Tensor, mixed: bool, rim: str) -> Tensor:
    """u = f - picture [3,h,w]; its Laplacian is 0 wherever the picture's differences count."""
    # Double precision where the device has it: the condition number grows with the square of the region's
    # width.
    dtype = torch.float32 if photo.device.type == "mps" else torch.float64
    picture, photo, mask = picture.to(dtype), photo.to(dtype), mask.to(dtype)
    missing = photo - picture
    # u where it is known; 0 also in the region's depth if a band is solved
    fixed = torch.where(mask > 0, 0, missing)
    b = torch.zeros_like(missing)
    for axis in (-1, -2):
        share = _photo_share(picture, photo, mask, axis, mixed, rim)
        (first, second), (fixed_first, fixed_second) = _pairs(missing, axis), _pairs(fixed, axis)
        jump = share * (first - second)
        b_first, b_second = _pairs(b, axis)
        b_first += fixed_second + jump
        b_second += fixed_first - jump
    return solve_poisson(unknown, b).to(picture)


def _photo_share(picture: Tensor, photo: Tensor, mask: Tensor, axis: int, mixed: bool, rim: str) -> Tensor:
    """For each pair of neighbours along the axis: how far the photo's difference counts, 0..1, not the picture's."""
    first, second = _pairs(mask, axis)
    if rim == "soft":
        share = 1 - (first + second) / 2
    else:
        share = ((first > 0) ^ (second > 0)).to(mask) * (rim == "photo")
    if mixed:
        return torch.where(photo.diff(dim=axis).abs() > picture.diff(dim=axis).abs(), 1.0, share)
    return share


def _pairs(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Views of all pixels but the last and of all but the first along the axis."""
    count = values.shape[axis] - 1
    return values.narrow(axis, 0, count), values.narrow(axis, 1, count)


def _check(picture: Tensor, photo: Tensor, mask: Tensor, rim: str, band: int | None) -> None:
    if photo.ndim != 4 or photo.shape[1] != 3 or picture.shape != photo.shape:
        raise InvalidInputError(
            f"the picture is {list(picture.shape)}, the photo {list(photo.shape)}; expected [B,3,H,W] twice"
        )
    batch, _, height, width = photo.shape
    if mask.shape not in ((1, 1, height, width), (batch, 1, height, width)):
        raise InvalidInputError(
            f"the mask is {list(mask.shape)}, the photo {list(photo.shape)}; expected [1,1,{height},{width}] "
            "or one mask per photo"
        )
    for name, tensor in (("picture", picture), ("photo", photo), ("mask", mask)):
        if not tensor.isfinite().all():
            raise InvalidInputError(f"the {name} contains NaN or infinite values; expected numbers only")
    if rim not in ("picture", "photo", "soft"):
        raise InvalidInputError(f'rim is {rim!r}; expected "picture", "photo" or "soft"')
    if band is not None and band < 1:
        raise InvalidInputError(f"band is {band}; expected at least 1 pixel, or None for the whole region")
