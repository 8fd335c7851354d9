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


def tiff(
    samples: np.ndarray, photometric: int, *, planar: bool = False, extra: int | None = None, order: str = "<"
) -> bytes:
    """An uncompressed TIFF of samples [H,W] or [H,W,C], uint8 or uint16, which are stored as they are.

    photometric: 0 = grey, white is 0; 1 = grey, black is 0; 2 = RGB. planar: one channel after the other. extra: what
    a fourth channel is, 0 = unsaid, 1 = alpha that colours were multiplied by, 2 = other alpha. order: of the bytes.
    """
    height, width = samples.shape[:2]
    channels = samples[..., None] if samples.ndim == 2 else samples
    count, bits = channels.shape[2], channels.dtype.itemsize * 8
    planes = [channels[..., index] for index in range(count)] if planar else [channels]
    strips = [plane.astype(plane.dtype.newbyteorder(order)).tobytes() for plane in planes]
    offsets = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    entries = [
        (256, "I", [width]), (257, "I", [height]), (258, "H", [bits] * count), (259, "H", [1]),
        (262, "H", [photometric]), (273, "I", offsets), (277, "H", [count]), (278, "I", [height]),
        (279, "I", list(map(len, strips))), (284, "H", [2 if planar else 1]),
    ]  # fmt: skip
    entries += [] if extra is None else [(338, "H", [extra])]
    start = 8 + sum(map(len, strips))
    later = start + 2 + 12 * len(entries) + 4
    table, beyond = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, values in entries:
        content = struct.pack(f"{order}{len(values)}{kind}", *values)
        place = content.ljust(4, b"\0")
        if len(content) > 4:
            place = struct.pack(f"{order}I", later + len(beyond))
            beyond += content
        table += struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + place
    header = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", start)
    return header + b"".join(strips) + table + bytes(4) + beyond


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
