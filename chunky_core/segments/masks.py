"""Operations on masks: float tensors in [0,1], 1 = selected."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from ..boxes import Box
from ..deprecated import old_names
from ..errors import InvalidInputError

# A weight below this changes no 8-bit pixel by half a gray level, and would only widen the box of its mask.
SMALLEST_WEIGHT = 1 / 512
# Up to here a mask from outside means black: video, lossy files and segmenters leave up to two of 255 levels there.
BLACK = 2.5 / 255
# Where the Gaussian of a feather is cut, in sigma; pixels farther from a boundary keep their exact 0 or 1.
FEATHER_SIGMAS = 3.0
_SMALLEST_LIMIT = 4  # pixels
_SOFT_EDGE = 24  # pixels; a soft edge that is farther from what is selected is fainter than 8 bits show
_NOISE_SHARE, _NOISE_OF_BLACK = 0.05, 0.25  # of the image, and of all that is black


def without_noise(mask: Tensor, black: float = BLACK, margin: int = _SOFT_EDGE) -> Tensor:
    """A mask [...,H,W] in [0,1] with a true 0 where its black is noisy; any other mask, also a bool one, as it is.

    Of the weights up to `black` the faint ends of soft edges stay: those that hang together with what is more, unless
    they reach `margin` pixels beyond the box of all that is more, or fill a twentieth of the image and a quarter of
    its black, as noise does.
    """
    chosen = mask > black
    weak = (mask > 0) & ~chosen
    count = int(weak.sum())
    if not count:
        return mask
    if not chosen.any():
        return torch.zeros_like(mask)
    top, left, bottom, right = mask_box(chosen, margin)
    near = (..., slice(top, bottom), slice(left, right))
    reaches_far = int(weak[near].sum()) < count
    is_common = count > _NOISE_SHARE * mask.numel() and count > _NOISE_OF_BLACK * int((~chosen).sum())
    if reaches_far or is_common:
        return torch.where(chosen, mask, 0)
    loose = weak[near] & ~_connected(weak[near], chosen[near])
    if not loose.any():
        return mask
    clean = mask.clone()
    clean[near] = torch.where(loose, 0, clean[near])
    return clean


def _connected(weak: Tensor, chosen: Tensor) -> Tensor:
    """Where a connected part of the weak and the chosen pixels, corners included, holds a chosen one."""
    from scipy.ndimage import label

    flat = (weak | chosen).reshape(-1, *weak.shape[-2:]).cpu().numpy()
    planes = np.ones((3, 3))[None] * np.array([0, 1, 0])[:, None, None]  # not from mask to mask
    parts, count = label(flat, structure=planes)
    holds = np.zeros(count + 1, dtype=bool)
    holds[parts[chosen.reshape(flat.shape).cpu().numpy()]] = True
    return torch.from_numpy(holds[parts]).reshape(weak.shape).to(weak.device)


def mask_box(mask: Tensor, margin: int = 0, multiple: int = 1) -> Box:
    """The smallest box around the pixels > 0 of a mask, plus a margin.

    mask: [...,H,W]; one from outside is best rid of its noise first (see `without_noise`). margin: pixels added on
    every side; multiple: the edges are moved outward to multiples of it. The box is clipped to the image.
    Raises InvalidInputError for an empty mask.
    """
    height, width = mask.shape[-2:]
    chosen = (mask.detach() > 0).reshape(-1, height, width).any(dim=0)
    rows = chosen.any(dim=1).nonzero().flatten().tolist()
    columns = chosen.any(dim=0).nonzero().flatten().tolist()
    if not rows:
        raise InvalidInputError(f"a mask of {width}x{height} is empty; expected at least one pixel above 0")
    top, bottom = _span(rows[0] - margin, rows[-1] + 1 + margin, height, multiple)
    left, right = _span(columns[0] - margin, columns[-1] + 1 + margin, width, multiple)
    return Box(top, left, bottom, right)


def check_extent(pixels: float, size: tuple[int, int], what: str) -> None:
    """Raise InvalidInputError for the extent of a mask operation, the sigma of a feather or the radius of a dilation in
    pixels, that is under 0 or over half the shorter side of an image of (height, width), or over 4 in one of less than
    8 pixels. what: its name in the error.
    """
    most = max(min(size) / 2, _SMALLEST_LIMIT)
    if not isinstance(pixels, Real) or not 0 <= pixels <= most:
        found = f"{pixels:g}" if isinstance(pixels, Real) else f"{pixels!r:.40}"
        raise InvalidInputError(
            f"{what} is {found} in a picture of {size[1]}x{size[0]}; expected pixels, 0 to {most:g} (half its "
            "shorter side)"
        )


def _span(first: int, end: int, size: int, multiple: int) -> tuple[int, int]:
    return max(first // multiple * multiple, 0), min(-(-end // multiple) * multiple, size)


def grow(mask: Tensor, radius: int) -> Tensor:
    """Gray-scale dilation with a disc: every pixel becomes the maximum within `radius` pixels of it.

    mask: [...,H,W]; the same shape is returned.
    """
    result = mask.clone()
    radius = min(radius, sum(mask.shape[-2:]))  # which reaches everything
    if radius > 0 and mask.any():
        top, left, bottom, right = mask_box(mask, radius)  # beyond it the result is 0
        part = result[..., top:bottom, left:right]
        part.copy_(_dilated(part.clone(), radius))
    return result


def _dilated(mask: Tensor, radius: int) -> Tensor:
    height, width = mask.shape[-2:]
    rows, result, reached = mask, torch.zeros_like(mask), 0
    for dy in range(radius, -1, -1):  # the disc's rows widen toward its center, so their maxima are built up
        half_width = min(math.isqrt(radius * radius - dy * dy), width - 1)
        while reached < half_width:
            reached += 1
            rows = rows.clone()
            rows[..., reached:] = torch.maximum(rows[..., reached:], mask[..., :-reached])
            rows[..., :-reached] = torch.maximum(rows[..., :-reached], mask[..., reached:])
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
    top, left, bottom, right = mask_box(mask, math.ceil(FEATHER_SIGMAS * sigma) + 1)
    result = torch.zeros_like(mask)
    blurred = gaussian_filter(
        mask[top:bottom, left:right].numpy(), sigma, mode="nearest", truncate=FEATHER_SIGMAS
    )
    result[top:bottom, left:right] = torch.from_numpy(blurred)
    return result


__getattr__ = old_names(__name__)
