"""A face out of a photo, upright and in the generator's size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from ..boxes import AnySize, Box, Size, as_size
from ..checks import check_brightness, check_image, check_tensor, check_type
from ..deprecated import old_names
from ..deprecated.old_calls import accepts_old_calls
from ..errors import InvalidInputError
from ..inversion.original_crop import Alignment
from ..mask_shapes import as_stack
from ..wording import in_pixels
from .faces import Face, quad_from_rectangle
from .perspective import Quad, box_around, quad_to_photo, resample, samples_for, scaling, side_ratios

__getattr__ = old_names(__name__)

LARGEST_CROP = 8192  # pixels


@dataclass(frozen=True, eq=False)
class AlignedCrop:
    """A face as `align` cut it out: image [1,3,h,w] in [-1,1], and where in the photo it lies."""

    image: Tensor = field(repr=False)
    alignment: Alignment


def align(photo: Tensor, face: Face, size: AnySize) -> AlignedCrop:
    """The FFHQ crop of a face; without points the square, or other shape, around its rectangle.

    photo: [1,C,H,W] in [-1,1], C >= 3. size: pixels of the square's side or (height, width), such as the generator's
    `img_size`. `paste_back` brings what was made of the crop back. Raises what `extract_crop` raises, and
    InvalidInputError for a face's points where the sides are unequal: FFHQ's frame is a square.
    """
    alignment = face_alignment(photo, face, size)
    return AlignedCrop(extract_crop(photo, alignment, size), alignment)


def _photo_first(*arguments: Any, **options: Any) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """face_alignment(face, photo) as it was in version 0.1 in today's order; None for today's."""
    return (arguments[::-1], options) if arguments and isinstance(arguments[0], Face) else None


@accepts_old_calls(_photo_first)
def face_alignment(photo: Tensor, face: Face, size: AnySize = 1) -> Alignment:
    """The record of a face's crop out of a photo [1,C,H,W]; size: of the crop, whose shape counts, see `align`.

    Raises InvalidInputError as `align` does.
    """
    wanted = as_size(size)
    check_image(photo, "the photo", batch=1)
    check_type(face, "the face", Face, "choose_face gives one of those that detect_faces finds")
    quad = face.quad if wanted.height == wanted.width else _shaped_quad(face, wanted)
    return Alignment(quad, (photo.shape[-2], photo.shape[-1]))


def _shaped_quad(face: Face, size: Size) -> Quad:
    if face.points is not None:
        raise InvalidInputError(
            f"a picture of {size} (width x height) has no frame for a face; give the box around its whole subject"
        )
    return quad_from_rectangle(face.rectangle, shape=size)


@torch.no_grad()
def extract_crop(photo: Tensor, alignment: Alignment, size: AnySize) -> Tensor:
    """What lies in the quad, as an image of `size`.

    photo: [1,C,H,W] in [-1,1], C >= 3; further channels (transparency) are left out. size: pixels
    of a square's side or (height, width).
    Returns [1,3,h,w] in [-1,1]. Shrunk parts are averaged over each pixel's area, enlarged ones
    interpolated (bicubic). Beyond its border the photo is mirrored. A quad of the photo's own corners and size
    gives the photo itself. Raises InvalidInputError for a photo of another size than the alignment's and for a
    quad that doesn't touch it, and for numbers in 0..255.
    """
    check_aligned(photo, alignment)
    check_brightness(photo, "the photo")
    return resample_quad(photo[:, :3], alignment.quad, crop_size(size))


@torch.no_grad()
def extract_mask(mask: Tensor, alignment: Alignment, size: AnySize) -> Tensor:
    """A mask on the whole photo, as it lies in the quad.

    mask: [H,W] or [1,1,H,W] in [0,1], or bool. Returns float [1,1,h,w] of `size` in [0,1], sampled where `extract_crop`
    samples the photo, so that it lies on the crop as it lay on the photo. Raises what `extract_crop` raises.
    """
    check_tensor(mask, "the mask", "[H,W] or [1,1,H,W]")
    plane = as_stack(mask).float() if not mask.is_floating_point() else as_stack(mask)
    if plane.ndim != 4 or plane.shape[:2] != (1, 1):
        raise InvalidInputError(
            f"the mask is a tensor of shape {list(mask.shape)}; expected [H,W] or [1,1,H,W]"
        )
    _check_place(plane, alignment, "the mask")
    return _resampled(plane, alignment.quad, crop_size(size), smooth=True).clamp(0, 1)


@torch.no_grad()
def extract_labels(labels: Tensor, alignment: Alignment, size: AnySize) -> Tensor:
    """A label map on the whole photo, as it lies in the quad: each pixel has the value of the nearest one.

    labels: [...,H,W] of any type, such as whole numbers [H,W] or the colors of a label picture [3,H,W]. Returns
    [...,h,w] of `size` and that type, without any new value. Beyond its border it is mirrored. Raises what
    `extract_crop` raises.
    """
    check_tensor(labels, "the label map", "[...,H,W]")
    if labels.ndim < 2:
        raise InvalidInputError(
            f"the label map is a tensor of shape {list(labels.shape)}; expected [...,H,W]"
        )
    _check_place(labels, alignment, "the label map")
    crop = crop_size(size)
    height, width = alignment.original_size
    numbers = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width)
    to_photo = quad_to_photo(alignment.quad) @ scaling(1 / crop.width, 1 / crop.height)
    nearest = resample(numbers, to_photo, Box(0, 0, *crop), 1, mode="nearest", padding="reflection")
    return labels.flatten(-2)[..., nearest[0, 0].long().to(labels.device)]


def resample_quad(photo: Tensor, quad: Quad, size: tuple[int, int]) -> Tensor:
    """What lies in a quad of a photo [1,C,H,W], in (height, width) pixels."""
    return _resampled(photo, quad, size, smooth=False).clamp(-1, 1)


def _resampled(plane: Tensor, quad: Quad, size: tuple[int, int], *, smooth: bool) -> Tensor:
    """smooth: without the overshoot of bicubic weights."""
    height, width = size
    samples = samples_for(max(side_ratios(quad, size)))
    to_photo = quad_to_photo(quad) @ scaling(1 / width, 1 / height)
    # averages of many samples need no sharper ones
    mode: Literal["bilinear", "bicubic"] = "bilinear" if smooth or samples > 2 else "bicubic"
    return resample(plane, to_photo, Box(0, 0, height, width), samples, mode=mode, padding="reflection")


def check_aligned(photo: Tensor, alignment: Alignment) -> None:
    """Raise InvalidInputError for a photo of another size than the alignment's, and for a quad outside it."""
    check_image(photo, "the photo", batch=1)
    _check_place(photo, alignment, "the photo")


def crop_size(size: AnySize) -> Size:
    """The size of a crop as height and width. Raises InvalidInputError for one that no crop has."""
    crop = as_size(size)
    if not 1 <= min(crop) <= max(crop) <= LARGEST_CROP:
        raise InvalidInputError(f"the crop's size is {size}; expected 1 to {LARGEST_CROP} pixels")
    return crop


def _check_place(plane: Tensor, alignment: Alignment, what: str) -> None:
    """plane: [...,H,W], what lies on the whole photo."""
    check_type(alignment, "the alignment", Alignment, "align and face_alignment make one")
    if tuple(plane.shape[-2:]) != tuple(alignment.original_size):
        (height, width), (h, w) = alignment.original_size, plane.shape[-2:]
        use = "use the photo it was made from" if what == "the photo" else "make it for the whole photo"
        raise InvalidInputError(f"{what} is {w}x{h}, the alignment was made for {width}x{height}; {use}")
    if not box_around(alignment.quad, alignment.original_size).area:
        corners = ", ".join(f"({x:g}, {y:g})" for x, y in alignment.quad)
        raise InvalidInputError(
            f"the crop's corners {corners} lie outside the photo of {in_pixels(plane)}; "
            "give a face inside it, in pixels of the photo"
        )
