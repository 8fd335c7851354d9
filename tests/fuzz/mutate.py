"""Damage to a file that knows its structure: pickle opcodes, zip directories, headers, lengths.

Most of it falls outside the tensors' bytes, where it changes what the file says and not only what it weighs.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from random import Random

# All weights of the fuzzer's seeds have this value, so that their bytes are found again.
WEIGHT = 0.1
_TENSOR = re.compile(rb"(?:\xcd\xcc\xcc\x3d){3,}")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    127,
    128,
    255,
    256,
    65535,
    2**16,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**63 - 1,
)
_TEXT_NUMBERS = (
    b"0",
    b"1",
    b"-1",
    b"7",
    b"65536",
    b"4294967296",
    b"9223372036854775807",
    b"9" * 30,
    b"1e400",
)
_CODES = bytes(ord(opcode.code) for opcode in pickletools.opcodes)
_ZIP_FIELDS = {  # signature: offsets and sizes of its fields
    b"PK\x03\x04": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x01\x02": (
        (4, 2),
        (8, 2),
        (10, 2),
        (16, 4),
        (20, 4),
        (24, 4),
        (28, 2),
        (30, 2),
        (32, 2),
        (34, 2),
        (42, 4),
    ),
    b"PK\x05\x06": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    b"PK\x06\x06": ((4, 8), (24, 8), (32, 8), (40, 8), (48, 8)),
}
_INJECTED = (
    b"cposix\nsystem\n",
    b"cbuiltins\neval\n(S'1'\ntR",
    b"\x8c\x02os\x8c\x06system\x93",
    b"\x8c\x08builtins\x8c\x04exec\x93\x8c\x011\x85R",
    b"(" * 3000,
    b"]" * 3000,
    b"]" + b"]a" * 2000,
    b"}" + b"K\x00}s" * 500,
    b"(" * 1200 + b"t" * 1200,
    b"2" * 3000,
    b"N\x85" * 2000,
    b"]q\x00h\x00a",
    b"}q\x00K\x01h\x00s",
    b"r\xff\xff\xff\xff",
    b"h\xff",
    b"j\xff\xff\xff\xff",
    b"\x8b\xff\xff\xff\x7f",
    b"\x8a\xff" + b"\xff" * 255,
    b"L" + b"9" * 5000 + b"L\n",
    b"I" + b"7" * 5000 + b"\n",
    b"F1e999\n",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x96\xff\xff\xff\xff\xff\xff\xff\x00",
    b"T\xff\xff\xff\x7f",
    b"\x82\x01",
    b"P0\n",
    b"0",
    b"1",
    b".",
    b"R",
    b"b",
    b"Q",
    b"\x81",
    b"\x92",
    b"\x97\x98",
)


@dataclass(frozen=True)
class Layout:
    """Where a file can be hit: `structure` spans lie outside tensors, `operations` are spans of pickle opcodes."""

    structure: tuple[tuple[int, int], ...]
    operations: tuple[tuple[int, int], ...]

    def position(self, rng: Random, size: int) -> int:
        """A byte, with nine in ten chances one of the structure."""
        if self.structure and rng.random() < 0.9:
            start, end = rng.choice(self.structure)
            return rng.randrange(start, end)
        return rng.randrange(size)

    def operation(self, rng: Random, size: int) -> tuple[int, int]:
        """The span of one opcode with its argument."""
        if self.operations and rng.random() < 0.95:
            return rng.choice(self.operations)
        start = self.position(rng, size)
        return start, min(start + rng.randint(1, 8), size)


@lru_cache(maxsize=8)
def layout_of(data: bytes) -> Layout:
    """The layout of a good file."""
    edges = [0, *(edge for match in _TENSOR.finditer(data) for edge in match.span()), len(data)]
    spans = [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start]
    weighted = [span for span in spans for _ in range(min(1 + (span[1] - span[0]) // 32, 64))]
    return Layout(tuple(weighted), tuple(_operations(data)))


def _operations(data: bytes) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for match in _PICKLE.finditer(data):
        positions = [match.start()]
        try:
            positions += [
                position + match.start() for _, _, position in pickletools.genops(data[match.start() :])
            ]
        except (ValueError, UnicodeDecodeError, struct.error):
            continue  # no pickle starts here
        found += zip(positions[1:], [*positions[2:], positions[-1] + 1], strict=True)
    return [(start, end) for start, end in found if 0 < end - start <= 4096]


def flip(data: bytearray, layout: Layout, rng: Random) -> None:
    for _ in range(rng.randint(1, 6)):
        data[layout.position(rng, len(data))] ^= 1 << rng.randrange(8)


def number(data: bytearray, layout: Layout, rng: Random) -> None:
    """An integer of 1 to 8 bytes becomes another one."""
    size, at = rng.choice((1, 2, 4, 8)), layout.position(rng, len(data))
    value = int.from_bytes(data[at : at + size], "little") + rng.choice((-1, 1))
    if rng.random() < 0.7:
        value = rng.choice(_NUMBERS) * rng.choice((1, -1))
    data[at : at + size] = (value % 256**size).to_bytes(size, "little")


def opcode(data: bytearray, layout: Layout, rng: Random) -> None:
    """One opcode becomes another one that exists."""
    data[layout.operation(rng, len(data))[0]] = rng.choice(_CODES)


def length(data: bytearray, layout: Layout, rng: Random) -> None:
    """The bytes behind an opcode, often a length or an index."""
    start, end = layout.operation(rng, len(data))
    size = min(rng.choice((1, 2, 4, 8)), max(end - start - 1, 0))
    data[start + 1 : start + 1 + size] = (rng.choice(_NUMBERS) % 256**size).to_bytes(size, "little")


def truncate(data: bytearray, layout: Layout, rng: Random) -> None:
    del data[layout.position(rng, len(data)) :]


def exchange(data: bytearray, layout: Layout, rng: Random) -> None:
    """Two operations change places, or one replaces the other."""
    first, second = sorted((layout.operation(rng, len(data)), layout.operation(rng, len(data))))
    if first[1] > second[0]:
        return
    one, other = bytes(data[slice(*first)]), bytes(data[slice(*second)])
    data[slice(*second)] = one
    if rng.random() < 0.5:
        data[slice(*first)] = other


def splice(data: bytearray, layout: Layout, rng: Random) -> None:
    """A piece of the file, copied over or into another place."""
    source, target = layout.position(rng, len(data)), layout.position(rng, len(data))
    piece = bytes(data[source : source + rng.choice((4, 16, 64, 1024))])
    data[target : target + (len(piece) if rng.random() < 0.6 else 0)] = piece


def repeat(data: bytearray, layout: Layout, rng: Random) -> None:
    """A run of operations, once more or gone."""
    start, end = _run(data, layout, rng)
    data[start:end] = bytes(data[start:end]) * rng.choice((0, 0, 2, 2, 30))


def _run(data: bytearray, layout: Layout, rng: Random) -> tuple[int, int]:
    start, end = layout.operation(rng, len(data))
    index = bisect_right(layout.operations, (start, end))
    last = layout.operations[index : index + rng.choice((1, 3, 20))]
    return start, last[-1][1] if last and 0 < last[-1][1] - start < 4096 else end


def inject(data: bytearray, layout: Layout, rng: Random) -> None:
    at = layout.operation(rng, len(data))[0]
    data[at:at] = rng.choice(_INJECTED)


def digits(data: bytearray, layout: Layout, rng: Random) -> None:
    """A number written as text: a shape in a header, a key of a storage."""
    start = layout.position(rng, len(data))
    match = re.compile(rb"\d+").search(data, start, start + 200)
    if match:
        data[slice(*match.span())] = rng.choice(_TEXT_NUMBERS)


def words(data: bytearray, layout: Layout, rng: Random) -> None:
    """One word of the file in place of another: names, types, JSON keys."""
    start, source = layout.position(rng, len(data)), layout.position(rng, len(data))
    word = re.compile(rb"[A-Za-z_]\w{2,}")
    one, other = word.search(data, start, start + 200), word.search(data, source, source + 200)
    if one and other:
        replacement = rng.choice((other[0], other[0], b"I64", b"F8_E4M3", b"null", b"NaN", b"\xff\xfe"))
        data[slice(*one.span())] = replacement


def directory(data: bytearray, layout: Layout, rng: Random) -> None:
    """A field of a zip's records."""
    signature = rng.choice(list(_ZIP_FIELDS))
    records = [match.start() for match in re.finditer(re.escape(signature), data)]
    if records:
        offset, size = rng.choice(_ZIP_FIELDS[signature])
        at = rng.choice(records) + offset
        data[at : at + size] = (rng.choice((*_NUMBERS, len(data))) % 256**size).to_bytes(size, "little")


def prefix(data: bytearray, layout: Layout, rng: Random) -> None:
    """The first bytes: a magic number, the length of a header."""
    size = struct.pack("<Q", rng.choice(_NUMBERS))
    data[: rng.choice((1, 2, 8))] = rng.choice((b"", b"PK\x03\x04", b"\x80\x02", size))


Mutation = Callable[[bytearray, Layout, Random], None]
_MUTATIONS: tuple[Mutation, ...] = (
    *(flip, number, opcode, opcode, length, length, truncate, exchange, exchange, splice),
    *(repeat, repeat, inject, inject, digits, digits, words, words, directory, prefix),
)


def mutated(data: bytes, rng: Random) -> bytes:
    """A damaged copy of `data`, which is a good file made of weights `WEIGHT`; deterministic for a given rng."""
    if data[:2] == b"PK" and rng.random() < 0.6:
        return _in_zip(data, rng)
    if data[8:9] == b"{" and rng.random() < 0.6:
        return _in_header(data, rng)
    if data[:6] == b"\x93NUMPY" and rng.random() < 0.8:
        return _in_array_header(data, rng)
    return _mutated(data, rng)


def _mutated(data: bytes, rng: Random, choices: tuple[Mutation, ...] = _MUTATIONS) -> bytes:
    layout, copy = layout_of(data), bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        if len(copy) < 16:
            break
        try:
            rng.choice(choices)(copy, layout, rng)
        except IndexError:
            break  # an earlier mutation cut off the place that the layout points at
    return bytes(copy)


@lru_cache(maxsize=2)
def _members(data: bytes) -> tuple[tuple[str, bytes], ...]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return tuple((name, archive.read(name)) for name in archive.namelist())


def _in_zip(data: bytes, rng: Random) -> bytes:
    """Damage inside a member, in a directory that is right again."""
    members = list(_members(data))
    pickled = next((index for index, (name, _) in enumerate(members) if name.endswith("data.pkl")), 0)
    at = pickled if rng.random() < 0.8 else rng.randrange(len(members))
    name, content = members[at]
    members[at] = (name, mutated(content, rng))
    if rng.random() < 0.1:
        members[at] = (rng.choice(("../outside", "/outside", "a\\..\\b", name + "x", members[0][0])), content)
    if rng.random() < 0.1:
        members.insert(at, rng.choice(members))
    written = io.BytesIO()
    with zipfile.ZipFile(
        written, "w", rng.choice((zipfile.ZIP_STORED,) * 4 + (zipfile.ZIP_DEFLATED,))
    ) as archive:
        for member in members:
            _write_member(archive, *member)
    return written.getvalue()


def _write_member(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    if name not in archive.NameToInfo:
        archive.writestr(name, content)
        return
    archive.NameToInfo.pop(name)  # a second member of a name is wanted here, without zipfile's warning
    archive.writestr(name, content)


def _in_header(data: bytes, rng: Random) -> bytes:
    """Damage inside a safetensors header whose length is right again."""
    size = int.from_bytes(data[:8], "little")
    header = _mutated(data[8 : 8 + size], rng, _IN_TEXT)
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def _in_array_header(data: bytes, rng: Random) -> bytes:
    """Damage inside the header of a .npy file, mostly with a length that is right again."""
    size = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + size]
    for _ in range(rng.randint(1, 3)):
        header = _exchanged(header, rng) if rng.random() < 0.6 else _mutated(header, rng, _IN_TEXT)
    header = header[:60_000]
    length = len(header) if rng.random() < 0.9 else rng.choice(_NUMBERS)
    version = rng.choice((1, 1, 1, 1, 0, 2, 3, 255))
    return data[:6] + struct.pack("<BBH", version, 0, length % 65536) + header + data[10 + size :]


def _exchanged(header: bytes, rng: Random) -> bytes:
    """One value of a .npy header in place of another."""
    values = list(_ARRAY_VALUE.finditer(header))
    if not values:
        return header
    match = rng.choice(values)
    return header[: match.start()] + rng.choice(_ARRAY_VALUES) + header[match.end() :]


_ARRAY_VALUE = re.compile(rb"'[^']*'|\([^)]*\)|True|False|[:,{}]")
_ARRAY_VALUES = (
    *(b"'<f4'", b"'>f8'", b"'|O'", b"'<U9'", b"'|V16'", b"'<f3'", b"'|b1'", b"'<i8'", b"'<c16'", b"'<M8[s]'", b"'O'"),
    *(b"[('a', '<f4'), ('b', '|O')]", b"('<f4', (2,))", b"'descr'", b"'shape'", b"'fortran_order'", b"'x'"),
    *(b"()", b"(0,)", b"(24,)", b"(6, 4)", b"(1, 1, 24)", b"(-1,)", b"(24L,)", b"(9223372036854775807,)", b"(1e3,)"),
    *(b"(100000000000, 0)", b"(" + b"9" * 5000 + b",)", b"(" + b"1," * 40 + b")", b"(" * 3000, b"-" * 3000 + b"1"),
    *(b"True", b"False", b"None", b"0", b"", b"{", b"}" * 3, b":", b",", b"'a':" * 500, b" " * 50_000),
)  # fmt: skip
_IN_TEXT: tuple[Mutation, ...] = (flip, splice, digits, digits, digits, words, words, truncate)
