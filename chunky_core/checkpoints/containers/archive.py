"""A zip archive as views into memory: nothing is unpacked that is stored as it is, and every size is checked."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib

from ...errors import UnsupportedCheckpointError
from ..pickles.rebuild import cut_off, damaged

MAX_END = (1 << 16) + 22  # bytes in which an archive's directory is pointed to
MAX_MEMBERS = 100_000
MAX_DIRECTORY = 64 << 20
_OUTSIDE = re.compile(r"/|[A-Za-z]:")  # starts of absolute paths
MAX_INFLATION = 8  # times the size of the file, for archives that another tool has compressed


class _Directory:
    """A file for `zipfile`, which reads the archive's directory at its end; refuses to read more than one."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._position, len(self._data))[whence]
        self._position = base + offset
        if self._position < 0:
            raise damaged("its archive directory lies before its start")
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = len(self._data) if size < 0 else min(self._position + size, len(self._data))
        if end - self._position > MAX_DIRECTORY:
            raise damaged("its archive directory is larger than any real one")
        content = bytes(self._data[self._position : end])
        self._position = max(end, self._position)
        return content


class Archive:
    """The members of a zip archive, as views where they are stored as they are."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._room = MAX_INFLATION * len(data) + (1 << 20)
        self.members: dict[str, zipfile.ZipInfo] = {}
        if b"PK\x05\x06" not in bytes(data[-MAX_END:]):
            raise UnsupportedCheckpointError(
                "it is a zip archive or PyTorch file whose end is missing, an unfinished download; download it again"
            )
        with zipfile.ZipFile(_Directory(data)) as archive:
            entries = archive.infolist()
        for entry in entries[: MAX_MEMBERS + 1]:
            self._add(entry)

    def _add(self, entry: zipfile.ZipInfo) -> None:
        name = entry.orig_filename
        if _OUTSIDE.match(name) or "\\" in name or "\0" in name or ".." in name.split("/"):
            raise damaged(f"its archive has the member {name[:80]!r}, a path outside of itself")
        if name in self.members or len(self.members) >= MAX_MEMBERS:
            raise damaged(f"its archive has the member {name[:80]!r} twice, or too many members")
        self.members[name] = entry

    def read(self, name: str) -> memoryview:
        """A member's bytes; checks sizes before anything is allocated, but not checksums (see `checked`)."""
        entry = self.members.get(name)
        if entry is None:
            raise damaged(f"its archive lacks the member {name[:80]!r}")
        if entry.flag_bits & 1:
            raise UnsupportedCheckpointError(
                f"its member {name[:80]!r} is encrypted; unpack it with its password first"
            )
        packed = self._packed(entry)
        if entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size:
            return packed
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            return self._inflated(entry, packed)
        raise damaged(f"its member {name[:80]!r} is packed in an unusual way")

    def checked(self, name: str) -> memoryview:
        """A member's bytes, whose checksum must be right.

        Storages are not checked so: torch.save may be told to leave their checksums out, and it takes time.
        """
        content = self.read(name)
        if zlib.crc32(content) != self.members[name].CRC:
            raise damaged(f"its member {name[:80]!r} has a wrong checksum")
        return content

    def _packed(self, entry: zipfile.ZipInfo) -> memoryview:
        start = entry.header_offset
        header = bytes(self._data[start : start + 30]) if start >= 0 else b""
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise damaged(f"its archive has no member {entry.filename[:80]!r} where it should be")
        name, extra = struct.unpack("<HH", header[26:])
        begin = start + 30 + name + extra
        if bytes(self._data[start + 30 : start + 30 + name]) != entry.orig_filename.encode():
            raise damaged(f"its member {entry.filename[:80]!r} has two names")
        if begin + entry.compress_size > len(self._data):
            raise cut_off()
        return self._data[begin : begin + entry.compress_size]

    def _inflated(self, entry: zipfile.ZipInfo, packed: memoryview) -> memoryview:
        self._room -= entry.file_size
        if self._room < 0:
            raise damaged("its archive unpacks to far more than a file of its size could hold")
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.file_size + 1)
        if len(content) != entry.file_size:
            raise damaged(f"its member {entry.filename[:80]!r} has not the size that its directory says")
        return memoryview(bytearray(content))
