"""Masks from picture files."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor

from ..errors import InvalidInputError
from .image_files import PictureFile, open_picture
from .photos import check_levels, deep_grey, deep_pixels, is_deep

_NO_COLOUR = 16 / 255  # JPEG moves the channels of a grey picture a little apart
_OPAQUE = 250 / 255  # an export with rounding errors; whoever cuts something out goes lower
DARKEST = 32  # of 255, at any depth; a brightest pixel below it selects nothing that can be seen


def read_mask(path: str | os.PathLike[str]) -> Tensor:
    """A mask: float32 [H,W] in [0,1], 1 where the picture is white or, if it has transparency, opaque.

    The one place where masks are read; what is a picture file is in `open_picture`. The EXIF orientation is applied.
    An alpha channel that is (nearly) opaque everywhere says nothing and is ignored; else it is the mask, unless the
    picture is black and white under it as well: then nobody knows which of the two is meant. Levels that are 0 and 1
    only are off and on, and 16-bit levels up to 255 are 8-bit ones. JPEG and other lossy files are as good as any.
    Raises InvalidInputError if the file cannot be read, is no picture (see `load_image`), is coloured without
    transparency, says two things, or is nearly black: a label map, as a rule.
    """
    file = open_picture(path)
    grey, alpha = _grey_and_alpha(file)
    if alpha is None or alpha.min() >= _OPAQUE * _most(alpha):
        if grey is None:
            raise InvalidInputError(
                f"{path} is a colour picture; expected a grey or transparent one as a mask (one colour "
                "per segment makes a label map)"
            )
        return torch.from_numpy(_shares(file, grey))
    mask = _shares(file, alpha)
    if grey is not None:
        _check_one_meaning(file, grey[mask > 0.5] / _most(grey))
    return torch.from_numpy(mask)


def _grey_and_alpha(file: PictureFile) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Grey levels, None for a colour picture; and alpha, None where there is none; uint8 or uint16 [H,W]."""
    picture = file.decoded()
    check_levels(file, picture)
    if is_deep(file, picture):
        pixels = deep_pixels(file, picture)
        return _grey(pixels[..., :3]), pixels[..., 3] if pixels.shape[2] == 4 else None
    if picture.mode.startswith("I"):
        return deep_grey(file, picture), None
    if picture.mode in ("1", "L") and "transparency" not in picture.info:
        levels = np.array(picture.convert("L"))
        barely_on = (
            file.most < 255 and int(levels.max()) * file.most <= 255
        )  # 0 and 1 of the 15 levels of 4 bits
        return (levels > 0) * np.uint8(255) if barely_on else levels, None
    if picture.mode in ("RGBa", "La"):
        picture = picture.convert(picture.mode.upper())
    see_through = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    pixels = np.array(picture.convert("RGBA" if see_through else "RGB"))
    return _grey(pixels[..., :3]), pixels[..., 3] if see_through else None


def _grey(colours: np.ndarray) -> np.ndarray | None:
    """The mean of the channels [H,W,3], None if they differ."""
    if np.ptp(colours, axis=2).max() > _NO_COLOUR * _most(colours):
        return None
    return colours.mean(axis=2, dtype=np.float32).round().astype(colours.dtype)


def _most(levels: np.ndarray) -> int:
    return int(np.iinfo(levels.dtype).max)


def _shares(file: PictureFile, levels: np.ndarray) -> np.ndarray:
    """8- or 16-bit levels as float32 in [0,1]."""
    brightest = int(levels.max())
    if brightest == 0 or (brightest == 1 and not levels.min()):
        return levels.astype(np.float32)
    most = 255 if brightest <= 255 else _most(levels)
    if brightest * 255 < DARKEST * most:
        raise InvalidInputError(
            f"{file.path} is nearly black as a mask: its brightest level is {brightest} of {most}; expected white "
            "where the segment is (a label map is given by itself as the masks, with its names beside it)"
        )
    return levels.astype(np.float32) / most


def _check_one_meaning(file: PictureFile, shown: np.ndarray) -> None:
    """shown: grey shares of the pixels that the alpha channel selects."""
    dark, bright = (shown < 0.25).sum(), (shown > 0.75).sum()
    if min(dark, bright) > 0.01 * shown.size:
        raise InvalidInputError(
            f"{file.path} is black and white and has transparency, too, so it means two masks; expected one: save it "
            "without its alpha channel, or save the alpha channel as a grey picture"
        )
