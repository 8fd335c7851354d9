"""What a file is that holds no weights, by its first bytes: archives, pictures, other tools' formats."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from . import unsupported_text
from .unsupported_text import LOOKED_AT

NETWORK = "a StyleGAN network as .safetensors, .pkl or .pt"
EXPECTED = f"expected {NETWORK}"
WEIGHTS = re.compile(r".+\.(pt|pth|pkl|ckpt|safetensors|bin|pdparams|onnx|h5|tar|zip|gz)", re.IGNORECASE)
_LAYER = re.compile(
    r"(^|[./])(g_)?(synthesis|mapping|convs|to_rgbs?|styles?|generator|discriminator|encoder|decoder|layers?|blocks?)[./]"
    r"|[./](weight|bias|kernel)$",
    re.IGNORECASE,
)
_UNPACK = "unpack it and choose the file inside"
_OTHER_TOOL = f"choose {NETWORK}"
_MAGIC = (
    (0, b"\xfd7zXZ\0", "xz-compressed", _UNPACK),
    (0, b"BZh", "bzip2-compressed", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "compressed with Zstandard", _UNPACK),
    (0, b"\x04\x22\x4d\x18", "compressed with LZ4", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", _OTHER_TOOL),
    (4, b"TFL3", "a TensorFlow Lite network", _OTHER_TOOL),
    (0, b"GGUF", "a GGUF file, a language or diffusion model", _OTHER_TOOL),
    (0, b"\x89PNG", "a PNG picture", _OTHER_TOOL),
    (0, b"\xff\xd8\xff", "a JPEG picture", _OTHER_TOOL),
    (0, b"GIF8", "a GIF picture", _OTHER_TOOL),
    (8, b"WEBP", "a WebP picture", _OTHER_TOOL),
    (8, b"AVI ", "a video", _OTHER_TOOL),
    (4, b"ftypavif", "an AVIF picture", _OTHER_TOOL),
    (4, b"ftyp", "a video or picture", _OTHER_TOOL),
    (0, b"\x1a\x45\xdf\xa3", "a video", _OTHER_TOOL),
    (0, b"II*\0", "a TIFF picture", _OTHER_TOOL),
    (0, b"MM\0*", "a TIFF picture", _OTHER_TOOL),
    (0, b"%PDF", "a PDF document", _OTHER_TOOL),
    (0, b"8BPS", "a Photoshop picture", _OTHER_TOOL),
    (0, b"\x7fELF", "a program", _OTHER_TOOL),
    (0, b"SQLite format 3", "a database", _OTHER_TOOL),
)
_TABLE_END = bytes.fromhex("57fb808b247547db")  # of TensorFlow's .index files
_ONNX_FIELDS = 32  # of a ModelProto's 1 to 26
_MAX_FIELDS = 1000
_OLD_TORCH = {"sys_info", "pickle", "storages", "tensors"}


def described(data: memoryview, name: str) -> str:
    """What a file is whose first bytes start none of the containers that are read, and what to do about it.

    name: the file's name, looked at where bytes don't tell.
    """
    start = bytes(data[:LOOKED_AT])
    for offset, magic, what, advice in _MAGIC:
        if start[offset : offset + len(magic)] == magic:
            return f"it is {what}; {advice}"
    archive = _archive(start, data)
    if archive:
        return archive
    if not start.strip(b"\0"):
        return "it holds nothing but zeros at its start, as a download that never finished; download it again"
    text = unsupported_text.described(start)
    if text:
        return f"{text}; {EXPECTED}"
    network = _network(start, data, name)
    if network:
        return network
    return f"it is of an unknown format; {EXPECTED}"


def held_in(members: Sequence[str], kind: str) -> str:
    """An archive and what to take out of it."""
    inside = [member for member in members if WEIGHTS.fullmatch(member)]
    if inside:
        more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
        return f"it is a {kind} with {inside[0][-80:]}{more} inside; unpack it and choose that file"
    listed = ", ".join(member[-40:] for member in members[:3]) + (", ..." if len(members) > 3 else "")
    return f"it is a {kind} of {len(members)} files ({listed or 'none'}), none of them weights; {EXPECTED}"


def of_arrays(arrays: dict[str, bytes], kind: str, names: Sequence[str] = ()) -> str:
    """NumPy's arrays; arrays: the first bytes of each, by name ("" for one without), of the first few where `names`
    has them all.
    """
    shown = ", ".join(f"{name} {_array_shape(start)}".strip() for name, start in list(arrays.items())[:4])
    more = ", ..." if len(arrays) > 4 else ""
    if any(map(_LAYER.search, names or arrays)):
        return (
            f"it is {kind} with a network's arrays ({shown}{more}); save them as .safetensors: "
            "safetensors.numpy.save_file(dict(numpy.load('weights.npz')), 'weights.safetensors')"
        )
    return (
        f"it is {kind} ({shown}{more}), perhaps latent codes, not a network; choose it where a code is asked for; "
        f"{EXPECTED}"
    )


def _array_shape(start: bytes) -> str:
    shape = re.search(rb"'shape':\s*\(([\d, ]*)\)", start[:1024])
    return f"[{shape[1].decode().replace(' ', '').rstrip(',')}]" if shape else ""


def _archive(start: bytes, data: memoryview) -> str | None:
    if start[257:262] == b"ustar":
        return _tar(data)
    if start[:2] == b"\x1f\x8b":
        return _gzip(data)
    if start[:6] == b"\x93NUMPY":
        return of_arrays({"": start}, "a NumPy array")
    if start[:4] == b"PK\x05\x06":
        return f"it is an empty zip archive; {EXPECTED}"
    return None


def _tar(data: memoryview, whole: bool = True) -> str:
    names = _tar_members(data)
    if set(names) >= _OLD_TORCH:
        return "it is a tar archive, as PyTorch before 0.1.10 wrote; load it there or with torch.load and save it again"
    return held_in(names, "tar archive" if whole else "tar archive compressed with gzip")


def _tar_members(data: memoryview) -> list[str]:
    """The names of up to 100 members."""
    names: list[str] = []
    position = 0
    while len(names) < 100 and position + 512 <= len(data):
        header = bytes(data[position : position + 512])
        size = header[124:136].strip(b"\0 ")
        if header[257:262] != b"ustar" or not re.fullmatch(rb"[0-7]{1,12}", size):
            break
        if header[156:157] in (b"0", b"\0"):
            names.append(header[:100].rstrip(b"\0").decode("utf-8", "replace"))
        position += 512 + (int(size, 8) + 511) // 512 * 512
    return names


def _gzip(data: memoryview) -> str:
    """By the start of what is inside."""
    try:
        inside = zlib.decompressobj(31).decompress(bytes(data[: 1 << 16]), 1 << 16)
    except zlib.error:
        inside = b""
    if inside[257:262] == b"ustar":
        return _tar(memoryview(inside), whole=False)
    text = unsupported_text.described(inside[:LOOKED_AT]) if inside else None
    if text:
        return f"{text} (compressed with gzip)"
    return f"it is compressed with gzip; {_UNPACK} (gunzip)"


def _network(start: bytes, data: memoryview, name: str) -> str | None:
    """Formats of other networks, some of which only the name tells."""
    lower = name.lower()
    if bytes(data[-8:]) == _TABLE_END or re.search(
        r"\.data-\d{5}-of-\d{5}$|\.ckpt-\d+\.(meta|index)$", lower
    ):
        return "it is a part of a TensorFlow checkpoint; of TensorFlow only NVlabs' .pkl files are read"
    if (
        lower.endswith(".onnx")
        or is_onnx(data)
        or re.match(rb"\x08[\x01-\x14](\x12|\x1a|:)", start)
        and _looks_like_onnx(start)
    ):
        return "it is an ONNX network, which can't be inverted through; choose the StyleGAN file it was exported from"
    if lower.endswith(".pb"):
        return "it is a TensorFlow graph; of TensorFlow only NVlabs' .pkl files are read"
    return None


def is_onnx(data: memoryview) -> bool:
    """Whether bytes are an ONNX model as a whole: protobuf fields up to their end, of which one is the graph."""
    position = 0
    fields: set[tuple[int, int]] = set()
    for _ in range(_MAX_FIELDS):
        if position >= len(data):
            break
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if not 1 <= number <= _ONNX_FIELDS or wire not in (0, 2) or not fields and number != 1:
            return False
        length, position = _varint(data, position)
        position += length if wire == 2 else 0
        fields.add((number, wire))
    return position == len(data) and {(1, 0), (7, 2)} <= fields


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """A number of protobuf and where it ends; beyond the data where it has no end."""
    value = 0
    for index, byte in enumerate(bytes(data[position : position + 10])):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, position + index + 1
    return 0, len(data) + 1


def _looks_like_onnx(start: bytes) -> bool:
    return any(word in start[:4096] for word in (b"pytorch", b"onnx", b"Conv", b"Gemm", b"tf2onnx", b"keras"))
