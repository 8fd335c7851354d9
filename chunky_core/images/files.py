"""Picture files: which are read, and what is made sure of before anybody looks at their pixels."""

from __future__ import annotations

import os
import re
import stat
import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInputError
from . import stored

if TYPE_CHECKING:
    from PIL import Image

# 8192x8192: no camera for portraits makes more, no generator needs it, and as float32 it takes 0.8 GB a copy.
MOST_PIXELS = 1 << 26
MOST_BYTES = 1 << 30  # what so many pixels take at 16 bits, with much room
# Not those that Pillow hands to other programs, nor those that hold drawings or scientific data.
FORMATS = (
    "AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "QOI", "SUN", "TIFF", "WEBP",
)  # fmt: skip
SEVERAL_ARE_ONE = ("MPO", "HEIF")  # what follows the photo is its depth, its brightness or a preview
SUFFIXES = (
    ".avif", ".bmp", ".dib", ".exr", ".gif", ".hdr", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".jxl", ".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".ras", ".sr", ".svg", ".tga", ".tif",
    ".tiff", ".webp",
)  # fmt: skip
_ORIENTATION = 0x0112  # EXIF's tag
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# What Pillow's readers are known to raise for damaged files; OSError where they are cut off.
_DAMAGED: tuple[type[Exception], ...] = (
    OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, SyntaxError, AttributeError, ArithmeticError,
    struct.error, zlib.error,
)  # fmt: skip
_KNOWN = {  # where in a file, what is there -> what it is
    (4, b"ftyphei"): "a HEIC picture",
    (4, b"ftyphev"): "a HEIC picture",
    (4, b"ftypmif1"): "a HEIC picture",
    (4, b"ftypmsf1"): "a HEIC picture",
    (4, b"ftypavi"): "an AVIF picture, damaged or beyond this Pillow",
    (0, b"v/1\x01"): "an OpenEXR picture of floats",
    (0, b"#?R"): "a Radiance HDR picture of floats",
    (0, b"PF"): "a PFM picture of floats",
    (0, b"8BPS"): "a Photoshop document",
    (0, b"%PDF"): "a PDF",
    (0, b"%!PS"): "a PostScript drawing",
    (0, b"<"): "text such as SVG or a web page",
    (0, b"{"): "text such as JSON",
    (0, b"\xff\x0a"): "a JPEG XL picture",
    (4, b"JXL "): "a JPEG XL picture",
    (0, b"PK"): "an archive",
    (0, b"II*\0"): "a TIFF whose kind of pixels can't be read (floats, or a rare layout)",
    (0, b"MM\0*"): "a TIFF whose kind of pixels can't be read (floats, or a rare layout)",
}


@dataclass(frozen=True)
class PictureFile:
    """A file whose header was read and found fit.

    format: Pillow's name; size: (height, width) as the picture is to be seen; orientation: EXIF's, 1 = stored as it is
    to be seen; profile: its ICC profile; most: the largest number that a stored sample can be; signed: whether samples
    may be below 0; lossy: whether its compression changes pixels.
    """

    path: Path
    content: bytes
    format: str
    size: tuple[int, int]
    orientation: int
    profile: bytes | None
    most: int
    signed: bool
    lossy: bool

    def decoded(self) -> Image.Image:
        """The picture, turned as its orientation says. Raises InvalidInputError where it is damaged or cut off."""
        from PIL import Image

        try:
            with Image.open(BytesIO(self.content), formats=_readers()) as picture:
                picture.load()
                turn = _TURNS.get(_orientation(picture))  # 1 again where the reader has turned it
                return picture.copy() if turn is None else picture.transpose(Image.Transpose[turn])
        except _DAMAGED as error:
            raise InvalidInputError(
                f"{self.path} is damaged or cut off ({_reason(error)}); copy or export it again"
            ) from error


def open_picture(path: str | os.PathLike[str]) -> PictureFile:
    """The file of a photo, mask or label map, of which only the header was looked at.

    Raises InvalidInputError for what can't be read, is no regular file (a pipe or device could be without end), no
    picture of FORMATS, an animation or several pages, and beyond MOST_PIXELS.
    """
    path = Path(path)
    header = _header(path, regular_content(path, MOST_BYTES))
    height, width = header.size
    if height * width > MOST_PIXELS:
        raise _too_large(path, f"{width}x{height}")
    return header


def is_picture(path: Path) -> bool:
    """Whether a file is meant as a picture: by its name or, under another name, by its content."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        open_picture(path)
    except InvalidInputError:
        return False
    return True


def regular_content(path: Path, most: int) -> bytes:
    """The bytes of a regular file. Raises InvalidInputError for what can't be read and for more than `most` bytes."""
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise InvalidInputError(f"{path} is a folder; expected a file")
        if not stat.S_ISREG(about.st_mode):
            raise InvalidInputError(
                f"{path} is a pipe or a device; expected a regular file, so save it as one"
            )
        if about.st_size > most:
            raise InvalidInputError(f"{path} has {about.st_size:,} bytes; expected at most {most:,}")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        if isinstance(error, InvalidInputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"{path} cannot be read ({reason}); check the path") from error


def _header(path: Path, content: bytes) -> PictureFile:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a large size, which is checked here, and of odd metadata
        try:
            with Image.open(BytesIO(content), formats=_readers()) as picture:
                _check_single(path, picture)
                return PictureFile(
                    path,
                    content,
                    picture.format or "",
                    _size(picture),
                    _orientation(picture),
                    _profile(picture),
                    stored.most(picture, content),
                    stored.is_signed(picture),
                    stored.is_lossy(picture, content),
                )
        except Image.DecompressionBombError as error:
            found = re.search(r"\d+", str(error))
            raise _too_large(path, f"of {int(found[0]):,} pixels" if found else "larger") from error
        except InvalidInputError:
            raise
        except _DAMAGED as error:
            pixels_alone = stored.without_description(content)
            if len(pixels_alone) < len(content):
                return _header(path, pixels_alone)
            raise InvalidInputError(_no_picture(path, content)) from error


def _no_picture(path: Path, content: bytes) -> str:
    kinds = (kind for (start, magic), kind in _KNOWN.items() if content[start:].startswith(magic))
    found = next(kinds, "it is damaged or of an unknown kind") if content else "it is empty"
    return f"{path} is not a picture that can be read ({found}); save it as PNG or JPEG"


def _too_large(path: Path, size: str) -> InvalidInputError:
    return InvalidInputError(
        f"{path} is {size}; expected at most {MOST_PIXELS / 1e6:.0f} megapixels (8192x8192): make it smaller, or cut "
        "out the part that is to be edited"
    )


def _readers() -> list[str]:
    """Those of FORMATS that this Pillow has."""
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _check_single(path: Path, picture: Image.Image) -> None:
    count = getattr(picture, "n_frames", 1)
    if count < 2 or picture.format in SEVERAL_ARE_ONE:
        return
    if picture.format == "TIFF":
        count = sum(not _is_preview(picture, page) for page in range(count))
        if count < 2:
            return
    raise InvalidInputError(
        f"{path} holds {count} {'pages' if picture.format == 'TIFF' else 'frames'}; expected one picture, so save the "
        "one that is meant on its own"
    )


def _is_preview(picture: Any, page: int) -> bool:
    """Whether a page of a TIFF is a smaller copy of another one (tag 254, NewSubfileType, bit 0)."""
    picture.seek(page)
    preview = bool(picture.tag_v2.get(254, 0) & 1)
    picture.seek(0)
    return preview


def _size(picture: Any) -> tuple[int, int]:
    if picture.format == "TIFF":  # Pillow's versions differ in whether its size is that of the turned picture
        width, height = picture.tag_v2[256], picture.tag_v2[257]
    else:
        width, height = picture.size
    return (width, height) if _orientation(picture) in (5, 6, 7, 8) else (height, width)


def _orientation(picture: Image.Image) -> int:
    """EXIF's orientation, 1 where none is told or the description is damaged."""
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except _DAMAGED:
        return 1
    return found if found in range(1, 9) else 1


def _profile(picture: Image.Image) -> bytes | None:
    found = picture.info.get("icc_profile")
    return found if isinstance(found, bytes) and found else None


def _reason(error: Exception) -> str:
    return f"{str(error) or type(error).__name__:.80}"
