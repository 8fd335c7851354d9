"""Hostile pickles and archives, made by hand: refused by name, in little memory, without a trace."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chunky_core.checkpoints.containers.content import open_content
from chunky_core.checkpoints.pickles.rebuild import TensorRef
from chunky_core.checkpoints.pickles.restricted_pickle import read_pickle
from chunky_core.checkpoints.pickles.stack_machine import Budget, Rules
from chunky_core.errors import UnsupportedCheckpointError


def read(content: bytes) -> Any:
    return read_pickle(memoryview(bytearray(content)), Rules())[0]


def open_bytes(folder: Path, content: bytes) -> dict[str, torch.Tensor]:
    """The tensors of a file with these bytes that holds a dict of them."""
    path = folder / "weights.bin"
    path.write_bytes(content)
    with open_content(path) as opened:
        entries = opened.value.items()
        return {name: ref.tensor().clone() for name, ref in entries if isinstance(ref, TensorRef)}


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _stack_global(module: str, name: str) -> bytes:
    """A STACK_GLOBAL whose names come from the memo, which scanners that read backwards miss."""
    short = b"".join(
        b"\x8c" + bytes([len(text)]) + text.encode() + b"q" + bytes([i]) + b"0"
        for i, text in enumerate((module, name))
    )
    return b"\x80\x04" + short + b"h\x00h\x01\x93"


PWN = b"X\x0b\x00\x00\x00touch PWNED"
TRICKS: dict[str, tuple[bytes, str]] = {
    "GLOBAL": (b"\x80\x02" + _global("os", "system") + PWN + b"\x85R.", "os.system"),
    "STACK_GLOBAL": (_stack_global("posix", "system") + PWN + b"\x85R.", "posix.system"),
    "INST": (b"(" + PWN + b"ios\nsystem\n.", "os.system"),
    "OBJ": (b"\x80\x02(" + _global("os", "system") + PWN + b"o.", "os.system"),
    "getattr": (b"\x80\x02" + _global("builtins", "getattr") + PWN + b"\x85R.", "builtins.getattr"),
    "attrgetter": (_stack_global("operator", "attrgetter") + PWN + b"\x85R.", "operator.attrgetter"),
    "import": (_global("__builtin__", "__import__") + PWN + b"\x85R.", "__builtin__.__import__"),
    "dotted": (_stack_global("torch.storage", "os.system") + PWN + b"\x85R.", "torch.storage.os.system"),
    "dotted Size": (_stack_global("torch", "Size.__class__") + PWN + b"\x85R.", "torch.Size.__class__"),
    "numpy": (_global("numpy.testing._private.utils", "runstring") + b".", "numpy.testing._private.utils.runstring"),
    "torch.load": (_stack_global("torch.serialization", "load") + PWN + b"\x85R.", "torch.serialization.load"),
    "layer": (_global("torch.nn.modules.linear", "Linear.forward") + b".", "torch.nn.modules.linear.Linear.forward"),
    "hub": (_global("torch.hub", "load_state_dict_from_url") + b".", "torch.hub.load_state_dict_from_url"),
    "calling a type": (_global("builtins", "int") + PWN + b"\x85R.", "builtins.int"),
    "before the end": (_global("os", "system") + PWN + b"\x85R0N.", "os.system"),
    "no STOP": (b"\x80\x02" + _global("os", "system") + PWN + b"\x85R", "os.system"),
}  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_a_function_that_is_not_on_the_list_is_named(
    trick: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    content, name = TRICKS[trick]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedCheckpointError, match=name.replace(".", r"\.") + "'"):
        read(content)
    assert not (tmp_path / "PWNED").exists()


def _expansion(numel: int, stride: int, offset: int = 0) -> bytes:
    """A legacy-style tensor of one stored number that claims to have many."""
    stream = io.BytesIO()
    torch.save(torch.zeros(1), stream, _use_new_zipfile_serialization=False)
    old = b"K\x00K\x01\x85q\x06K\x01\x85q\x07"
    assert old in stream.getvalue()
    new = (
        b"J"
        + struct.pack("<i", offset)
        + b"J"
        + struct.pack("<i", numel)
        + b"\x85K"
        + bytes([stride])
        + b"\x85"
    )
    return stream.getvalue().replace(old, new)


BOMBS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"This is no network.\n",
    "web page": lambda: b"<!DOCTYPE html><html></html>",
    "opcode": lambda: b"\x80\x04\xff.",
    "EXT1": lambda: b"\x80\x02\x82\x01.",
    "EXT4": lambda: b"\x80\x02\x84\x01\x00\x00\x00.",
    "protocol": lambda: b"\x80\x06N.",
    "bytes of 2**60": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.",
    "text of 2**60": lambda: b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"x.",
    "negative text": lambda: b"\x80\x02T" + struct.pack("<i", -5) + b"x.",
    "integer of 1 MB": lambda: b"\x80\x02\x8b" + struct.pack("<i", 10**6) + bytes(10**6) + b".",
    "memo": lambda: b"\x80\x02j" + struct.pack("<I", 2**31) + b".",
    "empty stack": lambda: b"\x80\x020.",
    "out of band": lambda: b"\x80\x05\x97.",
    "persistent": lambda: b"\x80\x02X\x01\x00\x00\x00aQ.",
    "deep tuples": lambda: b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "deep marks": lambda: b"\x80\x02" + b"(" * 1000 + b"l" * 1000 + b".",
    "shared without end": lambda: b"\x80\x02N" + b"2\x86" * 60 + b".",
    "cycle": lambda: b"\x80\x02]q\x00h\x00a.",
    "tuple key": lambda: b"\x80\x02}N" + b"2\x86" * 60 + b"Ns.",
    "colliding keys": lambda: b"\x80\x02}\x8a\x09" + (2**61 - 1).to_bytes(9, "little") + b"Ns.",
    "expanded tensor": lambda: _expansion(2**31 - 1, 0),
    "tensor beyond its storage": lambda: _expansion(2, 1),
    "offset beyond its storage": lambda: _expansion(1, 1, 1),
    "negative offset": lambda: _expansion(1, 1, -1),
    "endless work": lambda: b"\x80\x02" + b"N0" * 1_500_000 + b".",
    "object array": lambda: pickle.dumps(np.array([None, {}], dtype=object)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_damage_and_bombs_are_refused_in_little_memory(bomb: str, tmp_path: Path):
    content = BOMBS[bomb]()
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedCheckpointError, match=r"^weights.bin: "):
            open_bytes(tmp_path, content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32e6 + 8 * len(content)


def test_a_sparse_file_is_refused_at_once(tmp_path: Path):
    path = tmp_path / "sparse.pkl"
    for start in (b"", b"\x80\x04", b"PK\x03\x04"):
        with path.open("wb") as file:
            file.write(start)
            file.truncate(2 << 30)
        with pytest.raises(UnsupportedCheckpointError), open_content(path):
            pass


def _archive(change: Callable[[zipfile.ZipFile, str, bytes], None]) -> bytes:
    """torch.save's archive of a tensor with every member passed through `change`."""
    source, target = io.BytesIO(), io.BytesIO()
    torch.save({"w": torch.ones(1000)}, source)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            change(new, name, old.read(name))
    return target.getvalue()


def _extra(name: str) -> bytes:
    def change(archive: zipfile.ZipFile, member: str, content: bytes) -> None:
        archive.writestr(member, content)
        if member.endswith("data.pkl"):
            archive.writestr(name, content)

    return _archive(change)


def _replaced(end: str, new: bytes) -> bytes:
    return _archive(lambda archive, name, old: archive.writestr(name, new if name.endswith(end) else old))


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "path outside": lambda: _extra("archive/../../PWNED"),
    "absolute path": lambda: _extra("/tmp/PWNED"),
    "backslash": lambda: _extra("archive\\PWNED"),
    "two data.pkl": lambda: _extra("other/data.pkl"),
    "TorchScript": lambda: _extra("archive/constants.pkl"),
    "short storage": lambda: _replaced("data/0", b"1234"),
    "big-endian": lambda: _replaced("byteorder", b"big"),
    "hostile": lambda: _replaced("data.pkl", TRICKS["GLOBAL"][0]),
    "wrong checksum": lambda: _replaced("data.pkl", b"\x80\x02K\x01.").replace(b"\x80\x02K\x01.", b"\x80\x02K\x02."),
    "no data.pkl": lambda: _archive(lambda archive, name, old: archive.writestr(name + "x", old)),
}  # fmt: skip


@pytest.mark.parametrize("kind", ARCHIVES)
def test_hostile_archives_are_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedCheckpointError, match=r"^weights.bin: "):
        open_bytes(tmp_path, ARCHIVES[kind]())
    assert [path.name for path in tmp_path.iterdir()] == ["weights.bin"]


def test_a_compressed_archive_is_read_unless_it_is_a_bomb(tmp_path: Path):
    def squeeze(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        archive.writestr(name, content, zipfile.ZIP_DEFLATED)

    assert torch.equal(open_bytes(tmp_path, _archive(squeeze))["w"], torch.ones(1000))

    def bomb(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        squeeze(archive, name, content if "data/" not in name else bytes(50_000_000))

    with pytest.raises(UnsupportedCheckpointError, match="unpacks to far more"):
        open_bytes(tmp_path, _archive(bomb))


def test_the_budget_is_shared_by_the_pickles_of_a_file():
    rules = Rules(Budget(operations=10))
    read_pickle(memoryview(b"\x80\x02N."), rules)
    with pytest.raises(UnsupportedCheckpointError, match="more work"):
        read_pickle(memoryview(b"\x80\x02" + b"N0" * 5 + b"N."), rules)
