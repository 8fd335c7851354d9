"""How an image file stores its samples, which Pillow's pixels no longer tell."""

from __future__ import annotations

import re
from typing import Any

from ..deprecated import old_names

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LOSSY = ("JPEG", "MPO", "AVIF", "HEIF", "JPEG2000")
# TIFF's tags, and those of their values that matter here
_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANES, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 259, 262, 284, 338, 339
_WHITE_IS_ZERO, _SEPARATE, _ASSOCIATED = 0, 2, 1
_LOSSY_TIFF = (6, 7, 34712, 34892, 50001, 50002)  # JPEG of three kinds, JPEG 2000, WebP, JPEG XL
_SIGNED = 2


def max_sample(image: Any, content: bytes) -> int:
    """The largest number that a sample can be: 1 for 1 bit, 15 for 4 bits, a PGM's own maximum."""
    if image.format == "PNG":
        return (1 << content[24]) - 1
    if image.format == "TIFF":
        return (1 << max(image.tag_v2.get(_BITS, (1,)))) - 1
    if image.format == "PPM" and content[1:2] in b"2356":
        return int(re.sub(rb"#[^\r\n]*", b" ", content[:4096]).split()[3])
    return 1 if image.mode == "1" else 255


def is_signed(image: Any) -> bool:
    """Whether samples may be below 0 (TIFF's sample format 2)."""
    return image.format == "TIFF" and _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, (1,))


def has_planes(image: Any) -> bool:
    """Whether the channels of a TIFF are stored one after the other, not pixel by pixel."""
    several = image.format == "TIFF" and len(image.tag_v2.get(_BITS, (1,))) > 1
    return several and image.tag_v2.get(_PLANES, 1) == _SEPARATE


def is_white_first(image: Any) -> bool:
    """Whether 0 is white in a gray TIFF. Pillow turns that round up to 8 bits, not for 16."""
    return image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def is_premultiplied(image: Any) -> bool:
    """Whether the colors of a TIFF were multiplied by its alpha channel (associated alpha)."""
    return image.format == "TIFF" and _ASSOCIATED in image.tag_v2.get(_EXTRA_SAMPLES, ())


def has_alpha(image: Any) -> bool:
    """Whether it has an alpha channel, or transparent colors in its palette."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def is_lossy(image: Any, content: bytes) -> bool:
    """Whether the compression changes pixels. AVIF and JPEG 2000 can be without loss, but don't say so."""
    if image.format == "WEBP":
        return b"VP8 " in _riff_chunks(content)
    if image.format == "TIFF":
        return image.tag_v2.get(_COMPRESSION, 1) in _LOSSY_TIFF
    return image.format in LOSSY


def _riff_chunks(content: bytes) -> set[bytes]:
    """The names of a WebP's chunks: VP8 has loss, VP8L none."""
    names, offset = set(), 12
    while offset + 8 <= len(content):
        names.add(content[offset : offset + 4])
        length = int.from_bytes(content[offset + 4 : offset + 8], "little")
        offset += 8 + length + length % 2
    return names


def without_description(content: bytes) -> bytes:
    """A PNG's header, palette, transparency and pixels alone: a damaged profile or text doesn't spoil these.

    Any other file comes back as it is.
    """
    if not content.startswith(_PNG_SIGNATURE):
        return content
    kept, offset = [_PNG_SIGNATURE], len(_PNG_SIGNATURE)
    while offset + 12 <= len(content):
        end = offset + 12 + int.from_bytes(content[offset : offset + 4], "big")
        if content[offset + 4 : offset + 8] in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL"):
            kept.append(content[offset:end])
        offset = end
    return b"".join(kept)


__getattr__ = old_names(__name__)
