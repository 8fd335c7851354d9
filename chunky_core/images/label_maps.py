"""Label maps from image files."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..deprecated import old_names
from ..deprecated.argument_order import content_then_path
from ..errors import InvalidInputError
from .image_files import ImageFile, open_image
from .levels import in_brackets
from .mixtures import mixture_problem
from .photos import check_levels, deep_gray, deep_pixels, is_deep, rgb_pixels, write_png

if TYPE_CHECKING:
    from PIL import Image

Color = tuple[int, int, int]
_GRAY_TOLERANCE = 16  # of 255; lossy files move the channels of a gray image a little apart
_SURE = 4  # a level belongs to the legal one that is nearer than this part of their smallest distance
_NO_GRAY = ("GIF", "BMP", "DIB")  # formats that store gray images with a palette of grays
_SHOWN = 6  # colors in an error
# Of 255; grays that go so far and lie so far apart may have been chosen to be looked at
_BRIGHT, _APART = 128, 8


def read_label_map(
    path: str | os.PathLike[str],
    palette: Mapping[Color, int] | None = None,
    *,
    legal: Collection[int] | None = None,
) -> Tensor:
    """A label map: int64 [H,W], one whole number per pixel.

    The one place where label maps are read; what is an image file is in `open_image`. Labels are the numbers that
    the file stores: palette indices (PNG, GIF, BMP, TIFF), also where colors repeat, and gray levels of 1, 2, 4, 8 or
    16 bits: the levels of 4 bits are 0 to 15. A palette of grays in GIF and BMP, which have no other gray, means its
    levels. Where only the other reading has `legal` labels alone, it is taken: the grays of any palette, their indices,
    the levels 0 to 255 that fewer bits are shown as, or the numbers of a TIFF whose 0 is white. Where the indices and
    the grays of a palette are different `legal` labels, the grays are taken, as nobody draws labels in such grays; so
    are they without `legal` where they are the indices in another order. Color images need `palette`: (red, green,
    blue) in 0..255 -> label. Transparency is ignored, the EXIF orientation applied.
    Where a lossy file, an interpolating resize or a blur has mixed labels with one another, they are read only if
    `legal`, the labels that there can be, leaves no doubt: they are at least 8 apart, and every pixel is nearer to
    one of them than a quarter of their smallest distance.
    Raises InvalidInputError if the file cannot be read, is no image (see `load_image`), has a color that is not in
    the palette, if labels were mixed, or if both the indices and the grays of a palette that can be told apart by
    eye are legal.
    """
    file = open_image(path)
    labels = _stored_labels(file, legal or ())
    if labels is None and palette is None:
        raise InvalidInputError(
            f"{path} is a colour picture with {_colors_found(rgb_pixels(file))}; give its palette, such as "
            '{"#ff0000": "mouth"}, or save grey levels or palette indices'
        )
    if labels is None and palette is not None:
        return _labels_from_colors(rgb_pixels(file), palette, file.path)
    assert labels is not None
    problem = (
        f"it is {_kind(file)}, which mixes labels with one another" if file.lossy else mixture_problem(labels)
    )
    if problem is None:
        return labels
    snapped = _snapped(labels, legal or ())
    if snapped is None:
        raise InvalidInputError(
            f"{path} is no clean label map: {problem}; save it anew as PNG, from before the loss, and resize label "
            "maps with 'nearest neighbour'"
        )
    return snapped


def read_label_colors(path: str | os.PathLike[str]) -> Tensor:
    """The colors of a label map as they are to be seen: uint8 [H,W,3], RGB. Errors as for `load_image`."""
    file = open_image(path)
    pixels = rgb_pixels(file)
    if pixels.dtype != np.uint8:
        if (pixels % 257).any():
            raise InvalidInputError(
                f"{path} has colours of 16 bits; expected 8 bits per channel for named colours"
            )
        pixels = (pixels // 257).astype(np.uint8)
    return torch.from_numpy(pixels)


def save_label_map(labels: Tensor, path: str | os.PathLike[str]) -> None:
    """Writes a label map as a gray 8-bit PNG whose levels are the labels; `read_label_map` reads it back.

    labels: whole numbers [H,W] in 0..255. The order path, labels goes with version 0.3.
    Raises InvalidInputError for other labels, SaveError if the file cannot be written.
    """
    labels, path = content_then_path(labels, path, "save_label_map")
    if labels.ndim != 2 or labels.is_floating_point() or labels.min() < 0 or labels.max() > 255:
        raise InvalidInputError(
            f"a label map is {labels.dtype} {in_brackets(labels)}; expected whole numbers 0..255, [H,W]"
        )
    write_png(labels.to(torch.uint8).cpu().numpy(), path)


def _stored_labels(file: ImageFile, legal: Collection[int]) -> Tensor | None:
    """int64 [H,W], the numbers that the file stores; None for a color image."""
    image = file.decoded()
    if image.mode == "I":  # 32 bits, as tools for segmentation write them
        numbers = np.array(image)
        if numbers.min() < 0 or numbers.max() > 65535:
            raise InvalidInputError(
                f"{file.path} has labels {numbers.min()} to {numbers.max()}; expected 0 to 65535; number them anew"
            )
    else:
        check_levels(file, image)
        numbers = np.array(image)
    if image.mode in ("P", "PA"):
        numbers = _palette_labels(file, image, legal)
    elif file.white_first:
        seen = _seen_where_white_is_first(file, image)
        numbers = _fitting(seen, file.max_sample - seen, legal)
    elif image.mode in ("1", "L") and file.max_sample < 255:
        shown = np.array(image.convert("L"))
        numbers = _fitting(_unscaled(shown, file.max_sample, 255), shown, legal)
    elif image.mode == "I" and file.format == "PPM":
        numbers = _unscaled(numbers, file.max_sample, 65535)
    elif image.mode == "LA":
        numbers = numbers[..., 0]
    if is_deep(file, image) or numbers.ndim == 3 or image.mode == "La":
        return _gray_labels(
            deep_pixels(file, image) if is_deep(file, image) else rgb_pixels(file), file.lossy
        )
    return torch.from_numpy(numbers.astype(np.int64))


def _seen_where_white_is_first(file: ImageFile, image: Image.Image) -> np.ndarray:
    """Levels of a TIFF whose 0 is white as they are to be seen, 0 = black."""
    if file.max_sample > 255:
        return deep_gray(file, image).astype(np.int64)
    return _unscaled(np.array(image.convert("L")), file.max_sample, 255)


def _palette_labels(file: ImageFile, image: Image.Image, legal: Collection[int]) -> np.ndarray:
    """Palette indices, or the levels of a palette of grays, by which programs store gray images in fewer bits."""
    indices = np.array(image)
    indices = indices[..., 0] if image.mode == "PA" else indices
    colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    used = np.unique(indices)
    if (
        used[-1] >= len(colors)
        or np.ptp(colors[used], axis=1).any()
        or len(np.unique(colors[used, 0])) < len(used)
    ):
        return indices
    grays = colors[used, 0].astype(np.int64)
    levels = colors[indices, 0]
    if file.format in _NO_GRAY:
        return _fitting(levels, indices, legal)
    either = set(used.tolist()) | set(grays.tolist()) <= set(legal or used.tolist())
    if either and (grays != used).any():
        _check_not_drawn(file, used, grays)
        return levels
    return _fitting(indices, levels, legal)


def _check_not_drawn(file: ImageFile, used: np.ndarray, grays: np.ndarray) -> None:
    """Raise InvalidInputError where grays were perhaps chosen to tell the labels apart by eye."""
    if grays.max() >= _BRIGHT and np.diff(np.sort(grays)).min(initial=255) >= _APART:
        raise InvalidInputError(
            f"{file.path} has a palette of greys, and both its indices ({used.min()} to {used.max()}) and its greys "
            f"({grays.min()} to {grays.max()}) can be labels; expected one meaning: save it as a grey picture whose "
            "levels are the labels, or name only the labels that occur"
        )


def _fitting(first: np.ndarray, second: np.ndarray, legal: Collection[int]) -> np.ndarray:
    """The second reading of a map where its labels are legal and those of the first are not."""
    fits = [set(np.unique(labels).tolist()) <= set(legal) for labels in (first, second)]
    return second if fits == [False, True] else first


def _unscaled(levels: np.ndarray, max_sample: int, scale: int) -> np.ndarray:
    """Samples 0..max_sample, which Pillow stretches to 0..scale."""
    return (levels.astype(np.int64) * max_sample + scale // 2) // scale


def _gray_labels(pixels: np.ndarray, lossy: bool) -> Tensor | None:
    """Labels of RGB pixels that are gray everywhere, None where they are colored."""
    colors = pixels[..., :3].astype(np.int64)
    if np.ptp(colors, axis=2).max() > (_GRAY_TOLERANCE if lossy else 0):
        return None
    return torch.from_numpy(colors.sum(axis=2) // 3)


def _snapped(labels: Tensor, legal: Collection[int]) -> Tensor | None:
    """Every label's nearest legal one; None where that could be another than was meant."""
    levels = torch.tensor(sorted(set(legal)), dtype=torch.int64)
    if len(levels) < 2 or (apart := int(levels.diff().min())) < 2 * _SURE:
        return None
    nearest = levels[torch.bucketize(labels, (levels[1:] + levels[:-1]).div(2, rounding_mode="floor"))]
    sure = bool(((labels - nearest).abs() < apart / _SURE).all())
    return nearest if sure and mixture_problem(nearest) is None else None


def _kind(file: ImageFile) -> str:
    return (
        "an AVIF" if file.format == "AVIF" else f"a lossy {'JPEG' if file.format == 'MPO' else file.format}"
    )


def _colors_found(pixels: np.ndarray) -> str:
    colors, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    shown = [
        f"#{bytes(colors[i] >> 8 if pixels.dtype == np.uint16 else colors[i]).hex()}"
        for i in counts.argsort()
    ]
    most = ", ".join(shown[: -_SHOWN - 1 : -1])
    return f"{len(shown)} colours: {most}{' and others' if len(shown) > _SHOWN else ''}"


def _labels_from_colors(pixels: np.ndarray, palette: Mapping[Color, int], path: Path) -> Tensor:
    packed = pixels.astype(np.int64) @ np.array([65536, 256, 1])
    found, positions = np.unique(packed, return_inverse=True)
    lookup = {red * 65536 + green * 256 + blue: label for (red, green, blue), label in palette.items()}
    unknown = [color for color in found.tolist() if color not in lookup]
    if unknown:
        first = (unknown[0] >> 16, unknown[0] >> 8 & 255, unknown[0] & 255)
        raise InvalidInputError(
            f"{path} has {len(unknown)} colours that are not in the palette, the first is {first}; add them "
            "or save the picture without smoothing or JPEG compression"
        )
    labels = np.array([lookup[color] for color in found.tolist()], np.int64)
    return torch.from_numpy(labels[positions.reshape(packed.shape)])


__getattr__ = old_names(__name__)
