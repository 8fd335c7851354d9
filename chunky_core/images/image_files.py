"""Image files: which are read, and what is made sure of before anybody looks at their pixels."""

from __future__ import annotations

import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks import as_path
from ..errors import InvalidInputError
from . import stored
from .formats import SEVERAL_ARE_ONE, SUFFIXES, kind_of, readers

if TYPE_CHECKING:
    from PIL import Image

# 8192x8192: eight times the side of the generators that there are, and 0.8 GB as float32, of which work takes copies
MAX_PIXELS = 1 << 26
MAX_BYTES = 1 << 30  # what so many pixels take at 16 bits, with much room
_ORIENTATION = 0x0112  # EXIF's tag
_PNG_EXIF = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
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


@dataclass(frozen=True)
class ImageFile:
    """A file whose header was read and found fit.

    format: Pillow's name; size: (height, width) as the image is to be seen; orientation: EXIF's, 1 = stored as it is to
    be seen; profile: its ICC profile; max_sample: the largest number that a stored sample can be; signed: whether
    samples may be below 0; lossy: whether its compression changes pixels; planes: whether each channel is stored by
    itself; white_first: whether 0 is white; premultiplied: whether colors are stored multiplied by the alpha channel;
    has_alpha: whether it tells transparency, which may be none anywhere.
    """

    path: Path
    content: bytes
    format: str
    size: tuple[int, int]
    orientation: int
    profile: bytes | None
    max_sample: int
    signed: bool
    lossy: bool
    planes: bool = False
    white_first: bool = False
    premultiplied: bool = False
    has_alpha: bool = False

    def decoded(self) -> Image.Image:
        """The image, turned as its orientation says. Raises InvalidInputError where it is damaged or cut off."""
        from PIL import Image

        try:
            with _without_warnings(), Image.open(BytesIO(self.content), formats=readers()) as image:
                image.load()
                turn = _TURNS.get(_orientation(image, self.content))  # 1 again where the reader has turned it
                return image.copy() if turn is None else image.transpose(Image.Transpose[turn])
        except _DAMAGED as error:
            raise InvalidInputError(
                f"{self.path} is damaged or cut off ({_reason(error)}); copy or export it again"
            ) from error
        except Image.DecompressionBombError as error:
            raise _too_large(self.path, "larger than its header says") from error


def open_image(path: str | os.PathLike[str]) -> ImageFile:
    """The file of a photo, mask or label map, of which only the header was looked at.

    Raises InvalidInputError for what can't be read, is no regular file (a pipe or device could be without end), no
    image of FORMATS, an animation or several pages, and beyond MAX_PIXELS.
    """
    path = as_path(path, "the picture's file")
    return _header(path, regular_content(path, MAX_BYTES))


def is_image_file(path: Path) -> bool:
    """Whether a file is meant as an image: by its name or, under another name, by its content."""
    from PIL import Image

    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        if not path.is_file():
            return False
        with _without_warnings(), Image.open(path, formats=readers()):
            return True
    except Image.DecompressionBombError:
        return True
    except _DAMAGED:
        return False


def regular_content(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file. Raises InvalidInputError for what can't be read and for more than `max_bytes`."""
    try:
        about = path.stat()
        if stat.S_ISDIR(about.st_mode):
            raise InvalidInputError(f"{path} is a folder; expected a file")
        if not stat.S_ISREG(about.st_mode):
            raise InvalidInputError(
                f"{path} is a pipe or a device; expected a regular file, so save it as one"
            )
        if about.st_size > max_bytes:
            raise InvalidInputError(f"{path} has {about.st_size:,} bytes; expected at most {max_bytes:,}")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        if isinstance(error, InvalidInputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"{path} cannot be read ({reason}); check the path") from error


def _header(path: Path, content: bytes) -> ImageFile:
    from PIL import Image

    with _without_warnings():
        try:
            with Image.open(BytesIO(content), formats=readers()) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise _too_large(path, f"{width}x{height}")
                _check_single(path, image)
                orientation = _orientation(image, content)
                return ImageFile(
                    path,
                    content,
                    image.format or "",
                    _size(image, orientation),
                    orientation,
                    _profile(image),
                    stored.max_sample(image, content),
                    stored.is_signed(image),
                    stored.is_lossy(image, content),
                    stored.has_planes(image),
                    stored.is_white_first(image),
                    stored.is_premultiplied(image),
                    stored.has_alpha(image),
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
            raise InvalidInputError(
                f"{path} is not a picture that can be read ({kind_of(content)}); save it as PNG or JPEG"
            ) from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Those of a large size, which is checked here, and of odd metadata, which spoils nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _too_large(path: Path, size: str) -> InvalidInputError:
    return InvalidInputError(
        f"{path} is {size}; expected at most {MAX_PIXELS / 1e6:.0f} megapixels (8192x8192): make it smaller, or cut "
        "out the part that is to be edited"
    )


def _check_single(path: Path, image: Image.Image) -> None:
    count = getattr(image, "n_frames", 1)
    if count < 2 or image.format in SEVERAL_ARE_ONE:
        return
    if image.format == "TIFF":
        count = sum(not _is_preview(image, page) for page in range(count))
        if count < 2:
            return
    raise InvalidInputError(
        f"{path} holds {count} {'pages' if image.format == 'TIFF' else 'frames'}; expected one picture, so save the "
        "one that is meant on its own"
    )


def _is_preview(image: Any, page: int) -> bool:
    """Whether a page of a TIFF is a smaller copy of another one (tag 254, NewSubfileType, bit 0)."""
    image.seek(page)
    preview = bool(image.tag_v2.get(254, 0) & 1)
    image.seek(0)
    return preview


def _size(image: Any, orientation: int) -> tuple[int, int]:
    if image.format == "TIFF":  # Pillow's versions differ in whether its size is that of the turned image
        width, height = image.tag_v2[256], image.tag_v2[257]
    else:
        width, height = image.size
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def _orientation(image: Image.Image, content: bytes) -> int:
    """EXIF's orientation, 1 where none is told or the description is damaged."""
    if image.format == "PNG" and not any(mark in content for mark in _PNG_EXIF):
        return 1  # to find out, Pillow would decode it: the description may follow the pixels
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGED:
        return 1
    return found if found in range(1, 9) else 1


def _profile(image: Image.Image) -> bytes | None:
    found = image.info.get("icc_profile")
    return found if isinstance(found, bytes) and found else None


def _reason(error: Exception) -> str:
    return f"{str(error) or type(error).__name__:.80}"
