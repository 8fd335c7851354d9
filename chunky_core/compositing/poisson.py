"""Seams removed by solving Poisson's equation (Perez, Gangnet and Blake 2003, "Poisson Image Editing")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..checks import check_picture
from ..errors import InvalidInputError
from ..segments.masks import SMALLEST_WEIGHT, grow, mask_box, without_noise
from ..wording import in_pixels, pictures
from .multigrid import solve_poisson

AXES = (-1, -2)  # along rows, along columns

Rim = Literal["picture", "photo", "soft", "half"]

WHOLE = 1 - SMALLEST_WEIGHT  # from this weight on, nothing of the photo shows through a mask
SHOWN: Mapping[str, float] = {
    "soft": WHOLE,
    "half": 0.5,
}  # up to which weight of a mask the photo's differences count


@torch.no_grad()
def poisson_composite(
    picture: Tensor,
    photo: Tensor,
    mask: Tensor,
    *,
    mixed: bool = False,
    rim: Rim = "picture",
    band: int | None = None,
) -> Tensor:
    """The picture set into the photo with its gradients, but the photo's colours at the border of the mask.

    picture, photo: [B,3,H,W] in [-1,1].
    mask: [1 or B,1,H,W]; the region is where it is > 0, but for the noise of a black that
        isn't 0 (see `without_noise`); of segments: their 1 - static.
    mixed: the stronger of the picture's and the photo's differences counts (equations 12 and 13), for
        transparent or thin things.
    rim: whose differences count between a pixel inside and one outside. "picture" is the paper's choice and
        needs a picture that continues outside the region. "photo" is for a picture that was already set into
        the photo: there the picture's difference is the seam itself. Use `blend(..., cross_fade=False)` for
        that, since a cross-fade's ramp of colours would be kept like any other detail. "soft": wherever
        the photo shows through the mask, its differences count alone; for soft masks along an outline, whose
        own edge must come from the photo. A share of the picture's differences there would carry the colours of
        what lies behind the outline into the region, because the picture has no such edge. "half": the same where
        the photo shows through with at least half its weight, for a picture that agrees with the photo around the
        region but for what an edit changed: less of the edit is lost.
    band: solve only within so many pixels of the region's border; deeper inside the picture stays as it is,
        which keeps the photo's colours from bleeding far into it.

    Inside the region the result has the picture's differences between neighbours in the least-squares sense
    (Perez et al. equations 3 and 7); outside, it is the photo, number for number. At the image's border,
    where no photo continues, the differences alone decide. Colours may leave [-1,1] a little; `to_uint8`
    clips them.
    An empty region gives the photo. If the region is everything, nothing ties it to the photo but the mean
    colour of each channel, which is kept; a band has no border to follow then and leaves the picture as it is.
    Solved in single precision to a small part of a grey level. Raises InvalidInputError for shapes that do not
    agree, NaN and infinite values.
    """
    check_pictures(picture, photo, mask, rim)
    if band is not None:
        check_band(band)
    picture, mask = picture.to(photo), mask.to(photo.device)
    masks = mask[:, 0].expand(len(photo), -1, -1)
    return torch.stack(
        [_composite(*one, mixed, rim, band) for one in zip(picture, photo, masks, strict=True)]
    )


def _composite(
    picture: Tensor, photo: Tensor, mask: Tensor, mixed: bool, rim: str, band: int | None
) -> Tensor:
    """`poisson_composite` of one picture [3,H,W] with a mask [H,W]."""
    mask = without_noise(mask)
    region = mask > 0
    unknown = region if band is None else region & (grow((~region).float(), band) > 0)
    start = torch.where(region, picture, photo)
    if not unknown.any():
        return start
    window = window_around(unknown)
    guides = [_guide(picture[window], photo[window], mask[window], axis, mixed, rim) for axis in AXES]
    return fitted(start, unknown, window, guides, photo.mean(dim=(1, 2), keepdim=True))


def window_around(unknown: Tensor) -> tuple[Any, ...]:
    """The index of the box [...,h,w] that holds the unknown pixels and their neighbours."""
    top, left, bottom, right = mask_box(unknown, margin=1)
    return ..., slice(top, bottom), slice(left, right)


def fitted(
    start: Tensor, unknown: Tensor, window: tuple[Any, ...], guides: Sequence[Tensor], mean: Tensor
) -> Tensor:
    """The picture whose differences are nearest to the guides, in the least-squares sense.

    start: [3,H,W]; only the pixels where unknown, bool [H,W], is True change. window: of `window_around`; guides:
    for each of AXES the wanted differences in it, [3,h,w-1] and [3,h-1,w]. mean: [3,1,1], the mean colour that is
    given to the result where all pixels are unknown, since differences don't tell it.
    """
    everywhere = bool(unknown.all())
    if everywhere:
        unknown = unknown.clone()
        unknown[0, 0] = False  # one fixed pixel makes the solution unique
    b = torch.zeros_like(start[window], dtype=torch.float32)
    for axis, guide in zip(AXES, guides, strict=True):
        jump = guide - start[window].diff(dim=axis)
        first, second = neighbours(b, axis)
        first -= jump
        second += jump
    result = start.clone()
    if unknown.any():
        result[window] += solve_poisson(unknown[window], b).to(start)
    return result + (mean - result.mean(dim=(1, 2), keepdim=True)) if everywhere else result


def _guide(picture: Tensor, photo: Tensor, mask: Tensor, axis: int, mixed: bool, rim: str) -> Tensor:
    """The differences that are wanted between neighbours along the axis."""
    own, of_photo = picture.diff(dim=axis), photo.diff(dim=axis)
    if mixed:
        own = stronger(own, of_photo)
    if rim == "picture":
        return own
    first, second = neighbours(mask, axis)
    if rim in SHOWN:
        return torch.where(torch.minimum(first, second) < SHOWN[rim], of_photo, own)
    return torch.where((first > 0) ^ (second > 0), of_photo, own)


def stronger(own: Tensor, of_photo: Tensor) -> Tensor:
    """The larger of two differences in every channel (Perez et al. equation 12)."""
    return torch.where(of_photo.abs() > own.abs(), of_photo, own)


def rim_of(region: Tensor) -> Tensor:
    """The pixels outside a region, bool [H,W], that touch it with a side."""
    touching = torch.zeros_like(region)
    for axis in AXES:
        (first, second), (of_first, of_second) = neighbours(region, axis), neighbours(touching, axis)
        of_first |= second
        of_second |= first
    return touching & ~region


def neighbours(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Views of all pixels but the last and of all but the first along the axis."""
    count = values.shape[axis] - 1
    return values.narrow(axis, 0, count), values.narrow(axis, 1, count)


def check_band(band: int) -> None:
    """Raise InvalidInputError for a band that isn't a whole number of pixels, at least 1."""
    if not isinstance(band, int) or isinstance(band, bool) or band < 1:
        raise InvalidInputError(f"band is {band!r}; expected at least 1 pixel, in whole numbers")


def check_pictures(picture: Tensor, photo: Tensor, mask: Tensor, rim: str) -> None:
    """Raise InvalidInputError for what `poisson_composite` does not take."""
    check_picture(picture, "the picture")
    check_picture(photo, "the photo")
    if photo.ndim != 4 or photo.shape[1] != 3 or picture.shape != photo.shape:
        raise InvalidInputError(
            f"the picture is {pictures(picture)}, the photo {pictures(photo)}; expected both in one size and number, "
            "so resize one of them"
        )
    batch, _, height, width = photo.shape
    if mask.shape not in ((1, 1, height, width), (batch, 1, height, width)):
        raise InvalidInputError(
            f"the mask is {in_pixels(mask)}, the photo {width}x{height}; expected one mask of the photo's size, or one "
            "per photo"
        )
    low, high = (bound.item() for bound in mask.aminmax())
    if not 0 <= low <= high <= 1:  # NaN fails, too
        raise InvalidInputError(f"the mask has values in {low:g}..{high:g}; expected 0..1")
    if rim not in get_args(Rim):
        raise InvalidInputError(f"rim is {rim!r}; expected one of {', '.join(get_args(Rim))}")
