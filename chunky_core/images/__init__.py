"""Photos, masks and label maps between files, 8-bit arrays and tensors."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..replacing import replacing

Colour = tuple[int, int, int]
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # EXIF's tag
_PNG_BEGIN = 33  # the signature and the chunk IHDR, which has to be the first


def to_uint8(image: Tensor) -> Tensor:
    """The 8-bit pixels of an image, rounded to the nearest level.

    image: [B,3,H,W], -1 is black and 1 is white, values beyond are clipped.
    Returns uint8 [B,H,W,3], RGB. The inverse of `from_uint8` for all 256 values: a photo that goes through
    both keeps every pixel.
    Raises InvalidInputError for another shape and for NaN.
    """
    if image.ndim != 4 or image.shape[1] != 3:
        raise InvalidInputError(f"an image is {_shape(image)}; expected [B,3,H,W]")
    levels = (image.detach().float() * 127.5 + 127.5).round().clamp(0, 255)
    if levels.isnan().any():
        raise InvalidInputError("an image contains NaN; expected numbers in -1..1")
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def from_uint8(pixels: np.ndarray | Tensor) -> Tensor:
    """An image from 8-bit pixels.

    pixels: uint8 [H,W,3] or [B,H,W,3], RGB. Returns float32 [B,3,H,W] in [-1,1].
    Raises InvalidInputError for another shape or type.
    """
    levels = torch.as_tensor(pixels)
    if levels.dtype != torch.uint8 or levels.ndim not in (3, 4) or levels.shape[-1] != 3:
        kind = str(levels.dtype).removeprefix("torch.")
        raise InvalidInputError(f"pixels are {kind} {_shape(levels)}; expected uint8 [H,W,3] or [B,H,W,3]")
    batch = levels if levels.ndim == 4 else levels[None]
    return (batch.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous()


def load_image(path: str | os.PathLike[str]) -> Tensor:
    """A photo: float32 [1,3,H,W] in [-1,1], RGB.

    Any format that OpenCV reads. The EXIF orientation is applied, transparency is ignored (the colours stored
    under it are used), grey pictures get three equal channels, 16-bit pictures keep their precision. Raises
    InvalidInputError if the file cannot be read or is no picture.
    """
    import cv2

    pixels = _decode(Path(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)[:, :, ::-1].copy()
    if pixels.dtype == np.uint8:
        return from_uint8(pixels)
    return (torch.from_numpy(_unit_range(pixels, path)).permute(2, 0, 1)[None] * 2 - 1).contiguous()


def colour_profile(path: str | os.PathLike[str]) -> bytes | None:
    """The ICC profile that tells how a photo's colours are meant; None where it has none, or a damaged one.

    Raises InvalidInputError if the file cannot be read.
    """
    return _description(_content(Path(path))).profile


def profile_space(profile: bytes) -> str:
    """What an ICC profile's numbers are: "RGB", "GRAY", "CMYK", ... (ICC.1 7.2.6)."""
    return profile[16:20].decode("ascii", "replace").strip()


def save_image(path: str | os.PathLike[str], image: Tensor, profile: bytes | None = None) -> None:
    """Writes an image as an 8-bit PNG, which loses nothing that 8 bits can hold.

    image: [1,3,H,W] in [-1,1]. profile: an ICC profile of RGB, see `colour_profile`. An existing file is replaced
    only once the new one is complete. Raises InvalidInputError for a batch and for another suffix than .png,
    OSError if the file cannot be written.
    """
    import cv2

    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InvalidInputError(f"{path.name} does not end in .png; only PNG keeps the pixels as they are")
    pixels = to_uint8(image)
    if len(pixels) != 1:
        raise InvalidInputError(f"a batch of {len(pixels)} images; expected one image per file")
    content = cv2.imencode(".png", pixels[0].cpu().numpy()[:, :, ::-1])[1].tobytes()
    if profile:
        content = content[:_PNG_BEGIN] + _profile_chunk(profile) + content[_PNG_BEGIN:]
    _write(path, content)


def save_label_map(path: str | os.PathLike[str], labels: Tensor) -> None:
    """Writes a label map as a grey 8-bit PNG whose levels are the labels; `read_label_map` reads it back.

    labels: whole numbers [H,W] in 0..255. Raises InvalidInputError for others, OSError if the file cannot be
    written.
    """
    import cv2

    if labels.ndim != 2 or labels.is_floating_point() or labels.min() < 0 or labels.max() > 255:
        raise InvalidInputError(
            f"a label map is {labels.dtype} {_shape(labels)}; expected whole numbers 0..255, [H,W]"
        )
    _write(Path(path), cv2.imencode(".png", labels.to(torch.uint8).cpu().numpy())[1].tobytes())


def read_mask(path: str | os.PathLike[str]) -> Tensor:
    """A mask: float32 [H,W] in [0,1], 1 where the picture is white or, if it has transparency, opaque.

    An alpha channel that is opaque everywhere says nothing and is ignored. The EXIF orientation is applied.
    Raises InvalidInputError if the file cannot be read, is no picture, or is coloured without transparency.
    """
    import cv2

    pixels = _unit_range(_decode(Path(path), cv2.IMREAD_UNCHANGED), path)
    if pixels.ndim == 2:
        return torch.from_numpy(pixels)
    if pixels.shape[2] == 4 and pixels[..., 3].min() < 1:
        return torch.from_numpy(pixels[..., 3].copy())
    colours = pixels[..., :3]
    if np.ptp(colours, axis=2).max() > 16 / 255:  # JPEG moves the channels of a grey picture a little apart
        raise InvalidInputError(
            f"{path} is a colour picture; expected a grey or transparent one as a mask (one colour "
            "per segment makes a label map)"
        )
    return torch.from_numpy(colours.mean(axis=2, dtype=np.float32))


def read_label_map(path: str | os.PathLike[str], palette: Mapping[Colour, int] | None = None) -> Tensor:
    """A label map: int64 [H,W], one whole number per pixel.

    Grey pictures hold the labels themselves, indexed PNGs hold them as palette indices, colour pictures need
    `palette`: (red, green, blue) in 0..255 -> label. Transparency is ignored, the EXIF orientation applied.
    Raises InvalidInputError if the file cannot be read, is no picture, or has a colour that is not in the
    palette.
    """
    import cv2

    path = Path(path)
    pixels = _decode(path, cv2.IMREAD_UNCHANGED)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InvalidInputError(f"{path} has {pixels.dtype} pixels; expected 8 or 16 bits as a label map")
    if pixels.ndim == 2:
        return torch.from_numpy(pixels.astype(np.int64))
    colours = pixels[:, :, 2::-1].astype(np.int64)
    palette = palette or _indexed_png_palette(path.read_bytes())
    if palette is not None:
        return _labels_of_colours(colours, palette, path)
    if np.ptp(colours, axis=2).any():
        raise InvalidInputError(f"{path} is a colour picture; give its palette or save grey levels")
    return torch.from_numpy(colours[:, :, 0].copy())


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as new:
        new.write_bytes(content)


def _profile_chunk(profile: bytes) -> bytes:
    """PNG's chunk iCCP: a name, 0, the method 0 = zlib, the compressed profile."""
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


@dataclass(frozen=True)
class _Description:
    """What a file says about its picture, which OpenCV drops: ICC profile, EXIF orientation (1 = upright)."""

    profile: bytes | None = None
    orientation: int = 1


def _description(content: bytes) -> _Description:
    """Nothing is known of a file that Pillow can't open, or whose description is damaged."""
    from PIL import Image

    # What its readers are known to raise for damaged files.
    damaged = (OSError, RuntimeError, ValueError, TypeError, LookupError, SyntaxError, struct.error)
    try:
        with Image.open(BytesIO(content)) as picture:
            # OpenCV itself turns TIFF, and nothing else where the alpha channel is asked for.
            turned = 1 if picture.format == "TIFF" else picture.getexif().get(_ORIENTATION, 1)
            return _Description(picture.info.get("icc_profile") or None, turned)
    except (*damaged, Image.DecompressionBombError):
        return _Description()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read ({error.strerror}); check the path") from error


def _decode(path: Path, flags: int) -> np.ndarray:
    """The stored array as it is to be seen, channels in OpenCV's order (BGR)."""
    import cv2

    content = _content(path)
    try:  # not imread, which cannot open every path
        pixels = None
        if content:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InvalidInputError(f"{path} is not a picture that OpenCV can read; save it as PNG or JPEG")
    return _upright(pixels, _description(content).orientation)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels [H,W,...] turned and mirrored as EXIF says: 5 to 8 lie on their side."""
    axes = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    standing = pixels.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else pixels
    return np.ascontiguousarray(np.flip(standing, axes))


def _unit_range(pixels: np.ndarray, path: str | os.PathLike[str]) -> np.ndarray:
    """8- or 16-bit pixels as float32 in [0,1]."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InvalidInputError(f"{path} has {pixels.dtype} pixels; expected 8 or 16 bits per channel")
    return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max


def _indexed_png_palette(content: bytes) -> dict[Colour, int] | None:
    """Colour -> index of an indexed PNG, None for any other file.

    OpenCV hands out an indexed picture's colours only. Where the palette repeats a colour the lowest index
    counts, because the rest is padding as a rule.
    """
    if content[:8] != _PNG_SIGNATURE or content[25:26] != b"\x03":
        return None
    offset = 8
    while offset + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[offset : offset + 8])
        if kind == b"PLTE":
            entries = np.frombuffer(content, np.uint8, length, offset + 8).reshape(-1, 3).tolist()
            return {(red, green, blue): i for i, (red, green, blue) in reversed(list(enumerate(entries)))}
        offset += length + 12
    return None


def _labels_of_colours(colours: np.ndarray, palette: Mapping[Colour, int], path: Path) -> Tensor:
    packed = colours @ np.array([65536, 256, 1])
    found, positions = np.unique(packed, return_inverse=True)
    lookup = {red * 65536 + green * 256 + blue: label for (red, green, blue), label in palette.items()}
    unknown = [colour for colour in found.tolist() if colour not in lookup]
    if unknown:
        first = (unknown[0] >> 16, unknown[0] >> 8 & 255, unknown[0] & 255)
        raise InvalidInputError(
            f"{path} has {len(unknown)} colours that are not in the palette, the first is {first}; add them "
            "or save the picture without smoothing or JPEG compression"
        )
    labels = np.array([lookup[colour] for colour in found.tolist()], np.int64)
    return torch.from_numpy(labels[positions.reshape(packed.shape)])


def _shape(tensor: Tensor) -> str:
    return "[" + ",".join(map(str, tensor.shape)) + "]"
