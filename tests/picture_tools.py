"""Picture files of kinds that no library writes at will."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

GREY, COLOUR, INDEXED, GREY_ALPHA = 0, 2, 3, 4  # PNG's colour types
CHANNELS = {GREY: 1, COLOUR: 3, INDEXED: 1, GREY_ALPHA: 2}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    samples: np.ndarray, depth: int, kind: int = GREY, palette: bytes = b"", size: tuple[int, int] = (0, 0)
) -> bytes:
    """A PNG of samples [H,W] or [H,W,C] at 1, 2, 4, 8 or 16 bits. size: (width, height) that the header claims."""
    height, width = samples.shape[:2]
    flat = samples.reshape(height, -1)
    if depth == 16:
        lines = [row.tobytes() for row in flat.astype(">u2")]
    else:
        bits = np.unpackbits(flat.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :].reshape(height, -1)
        lines = [np.packbits(row).tobytes() for row in bits]
    claimed = size if any(size) else (width, height)
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", *claimed, depth, kind, 0, 0, 0))
    body += chunk(b"PLTE", palette) if palette else b""
    body += chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def encoded(pixels: np.ndarray | Image.Image, kind: str, mode: str | None = None, **options: object) -> bytes:
    """A picture in a format of Pillow's."""
    picture = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    buffer = BytesIO()
    (picture.convert(mode) if mode else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def animated(kind: str, mode: str = "RGB") -> bytes:
    frames = [Image.new(mode, (16, 16), colour) for colour in ("white", "black")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def with_palette(indices: np.ndarray, colours: list[tuple[int, int, int]]) -> Image.Image:
    picture = Image.fromarray(indices.astype(np.uint8), "L")
    picture.putpalette(bytes(np.array(colours, np.uint8)) + bytes(768 - 3 * len(colours)))
    return picture


def file_of(folder: Path, content: bytes, name: str = "picture.png") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def blocks(labels: np.ndarray, size: int = 16) -> np.ndarray:
    """Every label as a square of that many pixels."""
    return np.kron(labels, np.ones((size, size), labels.dtype))
