"""Masks from image files."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor

from ..errors import InvalidInputError
from .image_files import ImageFile, open_image
from .photos import check_levels, deep_gray, deep_pixels, is_deep

_GRAY_TOLERANCE = 16 / 255  # JPEG moves the channels of a gray image a little apart
_OPAQUE = 250 / 255  # an export with rounding errors; whoever cuts something out goes lower
DARKEST = 32  # of 255, at any depth; a brightest pixel below it selects nothing that can be seen


def read_mask(path: str | os.PathLike[str]) -> Tensor:
    """A mask: float32 [H,W] in [0,1], 1 where the image is white or, if it has transparency, opaque.

    The one place where masks are read; what is an image file is in `open_image`. The EXIF orientation is applied.
    An alpha channel that is (nearly) opaque everywhere says nothing and is ignored; else it is the mask, unless the
    image is black and white under it as well: then nobody knows which of the two is meant. Levels that are 0 and 1
    only are off and on, and 16-bit levels up to 255 are 8-bit ones. JPEG and other lossy files are as good as any.
    Raises InvalidInputError if the file cannot be read, is no image (see `load_image`), is colored without
    transparency, says two things, or is nearly black: a label map, as a rule.
    """
    file = open_image(path)
    gray, alpha = _gray_and_alpha(file)
    if alpha is None or alpha.min() >= _OPAQUE * _full_scale(alpha):
        if gray is None:
            raise InvalidInputError(
                f"{path} is a colour picture; expected a grey or transparent one as a mask (one colour "
                "per segment makes a label map)"
            )
        return torch.from_numpy(_shares(file, gray))
    mask = _shares(file, alpha)
    if gray is not None:
        _check_one_meaning(file, gray[mask > 0.5] / _full_scale(gray))
    return torch.from_numpy(mask)


def _gray_and_alpha(file: ImageFile) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Gray levels, None for a color image; and alpha, None where there is none; uint8 or uint16 [H,W]."""
    image = file.decoded()
    check_levels(file, image)
    if is_deep(file, image):
        pixels = deep_pixels(file, image)
        return _gray(pixels[..., :3]), pixels[..., 3] if pixels.shape[2] == 4 else None
    if image.mode.startswith("I"):
        return deep_gray(file, image), None
    if image.mode in ("1", "L") and "transparency" not in image.info:
        levels = np.array(image.convert("L"))
        barely_on = (
            file.max_sample < 255 and int(levels.max()) * file.max_sample <= 255
        )  # 0 and 1 of the 15 levels of 4 bits
        return (levels > 0) * np.uint8(255) if barely_on else levels, None
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    see_through = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    pixels = np.array(image.convert("RGBA" if see_through else "RGB"))
    return _gray(pixels[..., :3]), pixels[..., 3] if see_through else None


def _gray(colors: np.ndarray) -> np.ndarray | None:
    """The mean of the channels [H,W,3], None if they differ."""
    if np.ptp(colors, axis=2).max() > _GRAY_TOLERANCE * _full_scale(colors):
        return None
    return colors.mean(axis=2, dtype=np.float32).round().astype(colors.dtype)


def _full_scale(levels: np.ndarray) -> int:
    return int(np.iinfo(levels.dtype).max)


def _shares(file: ImageFile, levels: np.ndarray) -> np.ndarray:
    """8- or 16-bit levels as float32 in [0,1]."""
    brightest = int(levels.max())
    if brightest == 0 or (brightest == 1 and not levels.min()):
        return levels.astype(np.float32)
    most = 255 if brightest <= 255 else _full_scale(levels)
    if brightest * 255 < DARKEST * most:
        raise InvalidInputError(
            f"{file.path} is nearly black as a mask: its brightest level is {brightest} of {most}; expected white "
            "where the segment is (a label map is given by itself as the masks, with its names beside it)"
        )
    return levels.astype(np.float32) / most


def _check_one_meaning(file: ImageFile, shown: np.ndarray) -> None:
    """shown: gray shares of the pixels that the alpha channel selects."""
    dark, bright = (shown < 0.25).sum(), (shown > 0.75).sum()
    if min(dark, bright) > 0.01 * shown.size:
        raise InvalidInputError(
            f"{file.path} is black and white and has transparency, too, so it means two masks; expected one: save it "
            "without its alpha channel, or save the alpha channel as a grey picture"
        )
