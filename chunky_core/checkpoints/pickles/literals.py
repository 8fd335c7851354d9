"""The opcodes of a pickle that stand for one number, text, bytes or empty container."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Protocol

from .rebuild import cut_off, damaged

MAX_LINE = 1 << 28
MAX_INTEGER_BYTES = 1024


class ByteReader(Protocol):
    """Where literals are read from; `data` is the whole file, `position` the next byte."""

    data: memoryview
    position: int

    def take(self, count: int) -> memoryview: ...

    def number(self, form: str) -> int: ...

    def spend_text(self, count: int) -> None: ...


def line(source: ByteReader) -> bytes:
    """The bytes up to the next line feed, which is skipped."""
    length = 128
    while True:
        chunk = bytes(source.data[source.position : source.position + length])
        end = chunk.find(b"\n")
        source.spend_text(len(chunk) if end < 0 else end)
        if end >= 0:
            source.position += end + 1
            return chunk[:end]
        if len(chunk) < length or length > MAX_LINE:
            raise cut_off()
        length *= 4


def text_line(source: ByteReader) -> str:
    """A line of UTF-8 text."""
    return line(source).decode()


def _bytes(form: str) -> Callable[[ByteReader], memoryview]:
    return lambda source: source.take(source.number(form))


def _text(form: str, encoding: str = "utf-8") -> Callable[[ByteReader], str]:
    def read(source: ByteReader) -> str:
        view = source.take(source.number(form))
        source.spend_text(len(view))
        return str(view, encoding, "surrogatepass" if encoding == "utf-8" else "strict")

    return read


def _integer(form: str) -> Callable[[ByteReader], int]:
    def read(source: ByteReader) -> int:
        count = source.number(form)
        if count > MAX_INTEGER_BYTES:
            raise damaged(f"it has an integer of {count} bytes")
        return int.from_bytes(source.take(count), "little", signed=True)

    return read


def _number(form: str) -> Callable[[ByteReader], int]:
    return lambda source: source.number(form)


def _float(source: ByteReader) -> float:
    return float(struct.unpack(">d", source.take(8))[0])


def _integer_line(source: ByteReader) -> int | bool:
    digits = line(source)
    if digits in (b"00", b"01"):
        return digits == b"01"
    return int(digits.removesuffix(b"L"))


def _quoted_line(source: ByteReader) -> str:
    """Python 2's bytes, as text of the same code points."""
    quoted = line(source)
    if len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in (b"'", b'"'):
        raise damaged("it has text without quotes")
    return quoted[1:-1].decode("unicode_escape")


def _constant(value: Any) -> Callable[[ByteReader], Any]:
    return lambda source: value


LITERALS: dict[int, Callable[[ByteReader], Any]] = {
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("I"): _integer_line,
    ord("L"): _integer_line,
    ord("F"): lambda source: float(line(source)),
    ord("G"): _float,
    ord("J"): _number("<i"),
    ord("K"): _number("<B"),
    ord("M"): _number("<H"),
    0x8A: _integer("<B"),
    0x8B: _integer("<i"),
    ord("S"): _quoted_line,
    ord("T"): _text("<i", "latin-1"),
    ord("U"): _text("<B", "latin-1"),
    ord("V"): lambda source: line(source).decode("raw-unicode-escape"),
    ord("X"): _text("<I"),
    0x8C: _text("<B"),
    0x8D: _text("<Q"),
    ord("B"): _bytes("<I"),
    ord("C"): _bytes("<B"),
    0x8E: _bytes("<Q"),
    0x96: _bytes("<Q"),
    ord(")"): _constant(()),
    ord("]"): lambda source: [],
    ord("}"): lambda source: {},
    0x8F: lambda source: set(),
}
