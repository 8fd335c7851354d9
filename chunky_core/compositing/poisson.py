"""Seams removed by solving Poisson's equation (Perez, Gangnet and Blake 2003, "Poisson Image Editing")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..checks import check_image
from ..deprecated import old_names
from ..errors import InvalidInputError
from ..mask_shapes import as_stack
from ..segments.masks import SMALLEST_WEIGHT, grow, mask_box, without_noise
from ..wording import in_pixels, pictures
from .multigrid import solve_poisson

__getattr__ = old_names(__name__)

AXES = (-1, -2)  # along rows, along columns

BoundaryGuidance = Literal["picture", "photo", "soft", "half"]

OPAQUE = 1 - SMALLEST_WEIGHT  # from this weight on, nothing of the photo shows through a mask
# up to which weight of a mask the photo's differences count
PHOTO_SHOWS_BELOW: Mapping[str, float] = {"soft": OPAQUE, "half": 0.5}


@torch.no_grad()
def poisson_blend(
    photo: Tensor,
    rendering: Tensor,
    mask: Tensor,
    *,
    mixed: bool = False,
    boundary: BoundaryGuidance = "picture",
    band: int | None = None,
    screen: Tensor | None = None,
) -> Tensor:
    """The rendering set into the photo with its gradients, but the photo's colours at the boundary of the mask.

    photo, rendering: [B,3,H,W] in [-1,1]; instead of a rendering any other picture may be given.
    mask: [H,W] or [1 or B,1,H,W]; the region is where it is > 0, but for the noise of a black that
        isn't 0 (see `without_noise`); of segments: their 1 - static.
    mixed: the stronger of the rendering's and the photo's differences counts (mixed gradients, equations 12 and
        13), for transparent or thin things.
    boundary: whose differences guide the solution between a pixel inside and one outside. "picture", the
        rendering's, is the paper's choice and needs a rendering that continues outside the region. "photo" is for
        a rendering that was already set into the photo: there its own difference is the seam itself. Use
        `blend(..., cross_fade=False)` for that, since a cross-fade's ramp of colours would be kept like any other
        detail. "soft": wherever the photo shows through the mask, its differences count alone; for soft masks along
        an outline, whose own edge must come from the photo. A share of the rendering's differences there would
        carry the colours of what lies behind the outline into the region, because the rendering has no such edge.
        "half": the same where the photo shows through with at least half its weight, for a rendering that agrees
        with the photo around the region but for what an edit changed: less of the edit is lost.
    band: solve only within so many pixels of the region's boundary; deeper inside the rendering stays as it is,
        which keeps the photo's colours from bleeding far into it.
    screen: [H,W] or [1 or B,1,H,W], w >= 0: how strongly every pixel is held to the rendering, by an energy
        w (result - rendering)^2 beside that of the differences (Bhat et al. 2008, "Fourier Analysis of the 2D Screened
        Poisson Equation", equation 1). A correction at the boundary fades over about 1 / sqrt(w) pixels. Where the
        photo's differences count (see boundary) nothing is held.

    Inside the region the result has the rendering's differences between neighbours in the least-squares sense
    (Perez et al. equations 3 and 7); outside, it is the photo, number for number. At the image's border,
    where no photo continues, the differences alone decide. Colours may leave [-1,1] a little; `to_uint8`
    clips them.
    An empty region gives the photo. If the region is everything, nothing ties it to the photo but the mean
    colour of each channel, which is kept; with a band or a screen the rendering stays as it is then.
    Solved in single precision to a small part of a grey level. Raises InvalidInputError for shapes that do not
    agree, NaN and infinite values, and a screen below 0.
    """
    mask = as_stack(mask)
    check_images(photo, rendering, mask, boundary)
    if band is not None:
        check_band(band)
    rendering, mask = rendering.to(photo), mask.to(photo.device)
    masks = mask[:, 0].expand(len(photo), -1, -1)
    screens = [None] * len(photo) if screen is None else _screens(screen, photo)
    return torch.stack(
        [
            _blend_one(*one, mixed, boundary, band)
            for one in zip(photo, rendering, masks, screens, strict=True)
        ]
    )


def _screens(screen: Tensor, photo: Tensor) -> list[Tensor]:
    """One [H,W] for each photo. Raises InvalidInputError for another size, and for values below 0 or not finite."""
    planes = as_stack(screen).to(photo.device, torch.float32)
    batch, _, height, width = photo.shape
    if planes.shape not in ((1, 1, height, width), (batch, 1, height, width)):
        raise InvalidInputError(
            f"the screen is {in_pixels(planes)}, the photo {width}x{height}; expected one of the photo's size"
        )
    if not (planes.isfinite() & (planes >= 0)).all():
        raise InvalidInputError("the screen has values that are below 0 or not finite; expected 0 or more")
    return list(planes[:, 0].expand(batch, -1, -1))


def _blend_one(
    photo: Tensor,
    rendering: Tensor,
    mask: Tensor,
    screen: Tensor | None,
    mixed: bool,
    boundary: str,
    band: int | None,
) -> Tensor:
    """`poisson_blend` of one rendering [3,H,W] with a mask and a screen [H,W]."""
    mask = without_noise(mask)
    region = mask > 0
    unknown = region if band is None else region & (grow((~region).float(), band) > 0)
    start = torch.where(region, rendering, photo)
    if not unknown.any():
        return start
    window = window_around(unknown)
    guidance = [
        _guidance_field(photo[window], rendering[window], mask[window], axis, mixed, boundary)
        for axis in AXES
    ]
    if screen is not None:
        screen = torch.where(mask < PHOTO_SHOWS_BELOW.get(boundary, 0.0), 0, screen)
    return solve_gradient_domain(
        start, unknown, window, guidance, photo.mean(dim=(1, 2), keepdim=True), screen
    )


def window_around(unknown: Tensor) -> tuple[Any, ...]:
    """The index of the box [...,h,w] that holds the unknown pixels and their neighbours."""
    top, left, bottom, right = mask_box(unknown, margin=1)
    return ..., slice(top, bottom), slice(left, right)


def solve_gradient_domain(
    start: Tensor,
    unknown: Tensor,
    window: tuple[Any, ...],
    guidance: Sequence[Tensor],
    mean: Tensor,
    screen: Tensor | None = None,
) -> Tensor:
    """The image whose differences are nearest to the guidance field, in the least-squares sense.

    start: [3,H,W]; only the pixels where unknown, bool [H,W], is True change. window: of `window_around`; guidance:
    for each of AXES the wanted differences in it, [3,h,w-1] and [3,h-1,w]. mean: [3,1,1], the mean colour that is
    given to the result where all pixels are unknown, since differences don't tell it. screen: [H,W], how strongly the
    pixels are held to `start`, see `poisson_blend`; where it is above 0 anywhere it tells the mean, too.
    """
    held = screen is not None and bool(screen.any())
    everywhere = bool(unknown.all()) and not held
    if everywhere:
        unknown = unknown.clone()
        unknown[0, 0] = False  # one fixed pixel makes the solution unique
    b = torch.zeros_like(start[window], dtype=torch.float32)
    for axis, wanted in zip(AXES, guidance, strict=True):
        jump = wanted - start[window].diff(dim=axis)
        first, second = shifted_pairs(b, axis)
        first -= jump
        second += jump
    result = start.clone()
    if unknown.any():
        held_there = screen[window].to(b) if screen is not None and held else None
        result[window] += solve_poisson(unknown[window], b, screen=held_there).to(start)
    return result + (mean - result.mean(dim=(1, 2), keepdim=True)) if everywhere else result


def _guidance_field(
    photo: Tensor, rendering: Tensor, mask: Tensor, axis: int, mixed: bool, boundary: str
) -> Tensor:
    """The differences that are wanted between neighbours along the axis (v of Perez et al.)."""
    own, of_photo = rendering.diff(dim=axis), photo.diff(dim=axis)
    if mixed:
        own = stronger_gradient(own, of_photo)
    if boundary == "picture":
        return own
    first, second = shifted_pairs(mask, axis)
    if boundary in PHOTO_SHOWS_BELOW:
        return torch.where(torch.minimum(first, second) < PHOTO_SHOWS_BELOW[boundary], of_photo, own)
    return torch.where((first > 0) ^ (second > 0), of_photo, own)


def stronger_gradient(own: Tensor, of_photo: Tensor) -> Tensor:
    """The larger of two differences in every channel (Perez et al. equation 12)."""
    return torch.where(of_photo.abs() > own.abs(), of_photo, own)


def outer_boundary(region: Tensor) -> Tensor:
    """The pixels outside a region, bool [H,W], that touch it with a side (4-connected)."""
    touching = torch.zeros_like(region)
    for axis in AXES:
        (first, second), (of_first, of_second) = shifted_pairs(region, axis), shifted_pairs(touching, axis)
        of_first |= second
        of_second |= first
    return touching & ~region


def shifted_pairs(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The two pixels of every adjacent pair along the axis: views of all but the last and of all but the first."""
    count = values.shape[axis] - 1
    return values.narrow(axis, 0, count), values.narrow(axis, 1, count)


def check_band(band: int) -> None:
    """Raise InvalidInputError for a band that isn't a whole number of pixels, at least 1."""
    if not isinstance(band, int) or isinstance(band, bool) or band < 1:
        raise InvalidInputError(f"band is {band!r}; expected at least 1 pixel, in whole numbers")


def check_images(photo: Tensor, rendering: Tensor, mask: Tensor, boundary: str) -> None:
    """Raise InvalidInputError for what `poisson_blend` does not take."""
    check_image(rendering, "the picture")
    check_image(photo, "the photo")
    if photo.ndim != 4 or photo.shape[1] != 3 or rendering.shape != photo.shape:
        raise InvalidInputError(
            f"the picture is {pictures(rendering)}, the photo {pictures(photo)}; expected both in one size and number, "
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
    if boundary not in get_args(BoundaryGuidance):
        raise InvalidInputError(
            f"boundary is {boundary!r}; expected one of {', '.join(get_args(BoundaryGuidance))}"
        )
