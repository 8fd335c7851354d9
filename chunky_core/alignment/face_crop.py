"""A face out of a photo, upright and in the generator's size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from ..boxes import Box
from ..checks import check_image
from ..deprecated import old_names
from ..deprecated.old_calls import accepts_old_calls
from ..errors import InvalidInputError
from ..inversion.original_crop import Alignment
from ..wording import in_pixels
from .faces import Face
from .perspective import Quad, box_around, quad_to_photo, resample, samples_for, scaling, side_lengths

__getattr__ = old_names(__name__)

LARGEST_CROP = 8192  # pixels


@dataclass(frozen=True, eq=False)
class AlignedCrop:
    """A face as `align` cut it out: image [1,3,size,size] in [-1,1], and where in the photo it lies."""

    image: Tensor = field(repr=False)
    alignment: Alignment


def align(photo: Tensor, face: Face, size: int) -> AlignedCrop:
    """The FFHQ crop of a face; without points the square around its rectangle.

    photo: [1,C,H,W] in [-1,1], C >= 3. size: pixels, such as the generator's `img_resolution`. `paste_back` brings
    what was made of the crop back. Raises what `extract_crop` raises.
    """
    alignment = face_alignment(photo, face)
    return AlignedCrop(extract_crop(photo, alignment, size), alignment)


def _photo_first(*arguments: Any, **options: Any) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """face_alignment(face, photo) as it was in version 0.1 in today's order; None for today's."""
    return (arguments[::-1], options) if arguments and isinstance(arguments[0], Face) else None


@accepts_old_calls(_photo_first)
def face_alignment(photo: Tensor, face: Face) -> Alignment:
    """The record of a face's crop out of a photo [1,C,H,W]."""
    return Alignment(face.quad, (photo.shape[-2], photo.shape[-1]))


@torch.no_grad()
def extract_crop(photo: Tensor, alignment: Alignment, size: int) -> Tensor:
    """What lies in the quad, as a square image.

    photo: [1,C,H,W] in [-1,1], C >= 3; further channels (transparency) are left out. size: pixels.
    Returns [1,3,size,size] in [-1,1]. Shrunk parts are averaged over each pixel's area, enlarged ones
    interpolated (bicubic). Beyond its border the photo is mirrored. A quad of the photo's own corners and size
    gives the photo itself. Raises InvalidInputError for a photo of another size than the alignment's and for a
    quad that doesn't touch it.
    """
    check_aligned(photo, alignment)
    if not 1 <= size <= LARGEST_CROP:
        raise InvalidInputError(f"the crop's size is {size}; expected 1 to {LARGEST_CROP} pixels")
    return resample_quad(photo[:, :3], alignment.quad, (size, size))


def resample_quad(photo: Tensor, quad: Quad, size: tuple[int, int]) -> Tensor:
    """What lies in a quad of a photo [1,C,H,W], in (height, width) pixels."""
    height, width = size
    samples = samples_for(max(side_lengths(quad)) / min(size))
    to_photo = quad_to_photo(quad) @ scaling(1 / width, 1 / height)
    # averages of many samples need no sharper ones
    mode: Literal["bilinear", "bicubic"] = "bicubic" if samples <= 2 else "bilinear"
    crop = resample(photo, to_photo, Box(0, 0, height, width), samples, mode=mode, padding="reflection")
    return crop.clamp(-1, 1)


def check_aligned(photo: Tensor, alignment: Alignment) -> None:
    """Raise InvalidInputError for a photo of another size than the alignment's, and for a quad outside it."""
    check_image(photo, "the photo", batch=1)
    if tuple(photo.shape[-2:]) != tuple(alignment.original_size):
        (height, width), (h, w) = alignment.original_size, photo.shape[-2:]
        raise InvalidInputError(
            f"the photo is {w}x{h}, the alignment was made for {width}x{height}; use the photo it was made from"
        )
    if not box_around(alignment.quad, alignment.original_size).area:
        corners = ", ".join(f"({x:g}, {y:g})" for x, y in alignment.quad)
        raise InvalidInputError(
            f"the crop's corners {corners} lie outside the photo of {in_pixels(photo)}; "
            "give a face inside it, in pixels of the photo"
        )
