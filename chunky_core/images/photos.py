"""Photos between files and tensors."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..checks import as_path
from ..deprecated import old_names
from ..deprecated.argument_order import content_then_path
from ..errors import InvalidInputError
from ..saving import save_bytes
from .image_files import ImageFile, open_image
from .levels import from_uint8, to_uint8

if TYPE_CHECKING:
    from PIL import Image

_PNG_BEGIN = 33  # the signature and the chunk IHDR, which has to be the first
_COLOR_MODES = (
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
)  # Pillow's modes


def load_image(path: str | os.PathLike[str]) -> Tensor:
    """A photo: float32 [1,3,H,W] in [-1,1], RGB.

    The one place where photos are read; what is an image file is in `open_image`. The EXIF orientation is applied.
    Transparency is ignored: the colors stored under it are used, and premultiplied ones are divided by it first.
    Gray images get three equal channels, palettes their colors. 16 bits per channel keep their precision in PNG
    and TIFF, in other formats 8 bits of it. CMYK and YCCK are converted by formula, without their profile.
    Raises InvalidInputError if the file cannot be read, is no image, has more than 64 megapixels or several frames,
    is damaged or cut off, and for floats, Lab and 32-bit numbers, whose black and white nobody knows.
    """
    pixels = rgb_pixels(open_image(path))
    if pixels.dtype == np.uint8:
        return from_uint8(pixels)
    levels = torch.from_numpy(pixels.astype(np.float32) / 65535)
    return (levels.permute(2, 0, 1)[None] * 2 - 1).contiguous()


def rgb_pixels(file: ImageFile) -> np.ndarray:
    """uint8 or uint16 [H,W,3], red, green, blue, as they are to be seen. Errors as for `load_image`."""
    image = file.decoded()
    check_levels(file, image)
    if is_deep(file, image):
        return deep_pixels(file, image)[..., :3]
    if image.mode.startswith("I"):
        return np.repeat(deep_gray(file, image)[..., None], 3, axis=2)
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    return np.array(image.convert("RGB"))


def check_levels(file: ImageFile, image: Image.Image) -> None:
    """Raise InvalidInputError for samples that are neither 8 nor 16 bits between black and white."""
    whole = image.mode.startswith("I;16") or (image.mode == "I" and file.format in ("PNG", "PPM"))
    if (image.mode in _COLOR_MODES or whole) and not file.signed:
        return
    kinds = {"F": "floats", "LAB": "Lab colours", "HSV": "HSV colours"}
    kind = "signed numbers" if file.signed else kinds.get(image.mode, f"pixels of the kind {image.mode}")
    raise InvalidInputError(
        f"{file.path} holds {kind}; expected grey or RGB of 8 or 16 bits per channel, so export it as PNG"
    )


def is_deep(file: ImageFile, image: Image.Image) -> bool:
    """Whether the file has several channels of 16 bits, of which Pillow keeps 8."""
    several = image.mode in ("RGB", "RGBA", "LA")
    return several and file.format in ("PNG", "TIFF") and file.max_sample == 65535


def deep_pixels(file: ImageFile, image: Image.Image) -> np.ndarray:
    """uint16 [H,W,C] as it is to be seen: RGB, or RGB and alpha if the `image` that Pillow decoded has it.

    Raises InvalidInputError for what OpenCV can't read, or would read wrong.
    """
    import cv2

    if file.planes:
        raise InvalidInputError(
            f"{file.path} stores each of its channels of 16 bits by itself (planar); expected them pixel by pixel, so "
            "export it as PNG, or as TIFF with interleaved channels"
        )
    with _silent_opencv():
        stored = cv2.imdecode(
            np.frombuffer(file.content, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
        )
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3:
        raise InvalidInputError(f"{file.path} is damaged or of a rare kind; export it as PNG of 8 bits")
    has_alpha = file.format != "TIFF" or image.mode == "RGBA"  # else a fourth channel is something else
    pixels = np.concatenate([stored[..., 2::-1], stored[..., 3 : 3 + has_alpha]], axis=2)
    if file.premultiplied and has_alpha:
        pixels[..., :3] = _divided(pixels[..., :3], pixels[..., 3:])
    return pixels if file.format == "TIFF" else _upright(pixels, file.orientation)  # OpenCV turns TIFF itself


def deep_gray(file: ImageFile, image: Image.Image) -> np.ndarray:
    """uint16 [H,W] of a gray image of 16 bits, black = 0."""
    levels = np.array(image).clip(0, 65535).astype(np.uint16)
    return 65535 - levels if file.white_first else levels


def color_profile(path: str | os.PathLike[str]) -> bytes | None:
    """The ICC profile that tells how a photo's colors are meant; None where it has none, or a damaged one.

    Raises InvalidInputError if the file cannot be read.
    """
    return open_image(path).profile


def profile_space(profile: bytes) -> str:
    """What an ICC profile's numbers are: "RGB", "GRAY", "CMYK", ... (ICC.1 7.2.6)."""
    return profile[16:20].decode("ascii", "replace").strip()


def save_image(image: Tensor, path: str | os.PathLike[str], profile: bytes | None = None) -> None:
    """Writes an image as an 8-bit PNG, which loses nothing that 8 bits can hold.

    image: [1,3,H,W] in [-1,1]. profile: an ICC profile of RGB, see `color_profile`. An existing file is replaced
    only once the new one is complete. The order path, image goes with version 0.3.
    Raises InvalidInputError for a batch and for another suffix than .png, SaveError if the file cannot be written.
    """
    image, path = content_then_path(image, path, "save_image")
    path = as_path(path, "the picture's file")
    if path.suffix.lower() != ".png":
        raise InvalidInputError(f"{path.name} does not end in .png; only PNG keeps the pixels as they are")
    pixels = to_uint8(image)
    if len(pixels) != 1:
        raise InvalidInputError(f"a batch of {len(pixels)} images; expected one image per file")
    write_png(pixels[0].cpu().numpy()[:, :, ::-1], path, profile)


def write_png(pixels: np.ndarray, path: str | os.PathLike[str], profile: bytes | None = None) -> None:
    """Replaces a file by a PNG. pixels: uint8 [H,W] or [H,W,3], blue, green, red."""
    import cv2

    pixels, path = content_then_path(pixels, path, "write_png")
    path = as_path(path, "the picture's file")
    content = cv2.imencode(".png", pixels)[1].tobytes()
    if profile:
        content = content[:_PNG_BEGIN] + _profile_chunk(profile) + content[_PNG_BEGIN:]
    save_bytes(content, path)


@contextmanager
def _silent_opencv() -> Iterator[None]:
    """Without OpenCV's own lines on stderr about files that it can't read, which are errors of ours."""
    from cv2.utils import logging

    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


def _divided(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """uint16 colors [H,W,3] without the alpha [H,W,1] that they were multiplied by; as they are where it is 0."""
    share = np.where(alpha > 0, alpha, 65535).astype(np.float64) / 65535
    return (colors / share).round().clip(0, 65535).astype(np.uint16)


def _profile_chunk(profile: bytes) -> bytes:
    """PNG's chunk iCCP: a name, 0, the method 0 = zlib, the compressed profile."""
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels [H,W,...] turned and mirrored as EXIF says: 5 to 8 lie on their side."""
    axes = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    standing = pixels.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else pixels
    return np.ascontiguousarray(np.flip(standing, axes))


__getattr__ = old_names(__name__)
