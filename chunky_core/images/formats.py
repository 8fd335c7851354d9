"""Kinds of files: which are read as images, and what the others are."""

from __future__ import annotations

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


def readers() -> list[str]:
    """Those of FORMATS that this Pillow has."""
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def kind_of(content: bytes) -> str:
    """What a file that can't be opened as an image is, in the words of an error."""
    kinds = (kind for (start, magic), kind in _KNOWN.items() if content[start:].startswith(magic))
    return next(kinds, "it is damaged or of an unknown kind") if content else "it is empty"
