"""torch.save's two containers, a zip archive and the older sequence of pickles, with storages left where they are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ...errors import UnsupportedCheckpointError
from .archive import Archive
from .machine import Budget, Rules
from .rebuild import Known, Storage, damaged
from .restricted_pickle import read_pickle

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MAX_STORAGE_NAME = 200
MAX_SMALL = 64  # bytes of a member that holds a word
LOAD_FROM_BYTES = "torch.storage _load_from_bytes"


def read_archive(data: memoryview, budget: Budget) -> Any:
    """The value in a zip archive written by torch.save."""
    archive = Archive(data)
    pickles = [name for name in archive.members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise damaged(
            f"its archive has {len(pickles)} members named data.pkl; expected 1, as torch.save writes"
        )
    prefix = pickles[0].removesuffix("data.pkl")
    _refuse_program(archive, prefix)
    _check_byte_order(archive, f"{prefix}byteorder")
    content = archive.checked(pickles[0])
    value, end = read_pickle(content, Rules(budget, _stored_in(archive, prefix), _nested(budget)))
    if end != len(content):
        raise damaged("its data.pkl goes on after its end")
    return value


def _refuse_program(archive: Archive, prefix: str) -> None:
    if any(name.startswith((f"{prefix}constants.pkl", f"{prefix}code/")) for name in archive.members):
        raise UnsupportedCheckpointError(
            "it is a TorchScript program (constants.pkl, code/), which cannot be read without running it; expected "
            "a network's weights"
        )


def _check_byte_order(archive: Archive, name: str) -> None:
    if name not in archive.members:
        return
    found = bytes(archive.checked(name)[:MAX_SMALL])
    if found != b"little":
        raise damaged(f"its numbers are stored {found!r} first; expected b'little'")


def _stored_in(archive: Archive, prefix: str) -> Callable[[Any], Storage]:
    contents: dict[str, memoryview] = {}
    storages: dict[tuple[str, Any, int], Storage] = {}

    def find(key: Any) -> Storage:
        storage, name = _declared(key)
        if name not in contents:
            contents[name] = archive.read(f"{prefix}data/{name}")
        _check_size(storage, len(contents[name]))
        storage.data = contents[name]
        return storages.setdefault((name, storage.dtype, storage.numel), storage)

    return find


def _declared(key: Any) -> tuple[Storage, str]:
    """A storage without its bytes, and its key, from ("storage", type, key, device, numel, ...)."""
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage":
        raise damaged("it refers to an object outside of the file that is not a tensor's storage")
    _, kind, name, _, numel = key[:5]
    if not isinstance(kind, Known) or kind.dtype is None or not isinstance(name, str):
        raise damaged("it has a tensor's storage of an unknown kind")
    if len(name) > MAX_STORAGE_NAME:
        raise damaged(f"it has a tensor's storage with a name of {len(name)} characters")
    if type(numel) is not int or not 0 <= numel < 1 << 48:
        raise damaged("it has a tensor's storage of an impossible size")
    if len(key) > 5 and key[5] is not None:
        raise damaged(
            "it has a storage that is a part of another, as PyTorch before 0.4 wrote; save it again"
        )
    return Storage(kind.dtype, numel), name


def _check_size(storage: Storage, available: int) -> None:
    needed = storage.numel * storage.dtype.itemsize
    if needed > available:
        raise damaged(f"it has a tensor's storage of {needed} bytes, of which {available} are there")


def read_legacy(data: memoryview, budget: Budget, nested: bool = True) -> Any:
    """The value in torch.save's older format: magic number, version, machine, value, keys, then the storages."""
    magic, position = read_pickle(data, Rules(budget))
    if magic != MAGIC:
        raise damaged("it does not start as torch.save's files do")
    version, position = read_pickle(data, Rules(budget), position)
    machine, position = read_pickle(data, Rules(budget), position)
    if version != PROTOCOL or not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise damaged(f"it is of another version than torch.save's {PROTOCOL}, or big-endian")
    storages: dict[str, Storage] = {}
    rules = Rules(budget, lambda key: _legacy_storage(storages, key), _nested(budget) if nested else {})
    value, position = read_pickle(data, rules, position)
    keys, position = read_pickle(data, Rules(budget), position)
    _fill(storages, keys, data, position)
    return value


def _legacy_storage(storages: dict[str, Storage], key: Any) -> Storage:
    storage, name = _declared(key)
    known = storages.setdefault(name, storage)
    if (known.dtype, known.numel) != (storage.dtype, storage.numel):
        raise damaged("it has a storage of two sizes or types")
    return known


def _fill(storages: dict[str, Storage], keys: Any, data: memoryview, position: int) -> None:
    if (
        not isinstance(keys, list)
        or not all(isinstance(key, str) for key in keys)
        or len(keys) != len(storages)
        or set(keys) != set(storages)
    ):
        raise damaged("its list of storages is not that of its tensors")
    for key in keys:
        storage = storages[key]
        if position + 8 > len(data):
            raise damaged("it ends in the middle of its contents")
        (numel,) = struct.unpack("<q", data[position : position + 8])
        if numel != storage.numel:
            raise damaged(f"it has a storage of {storage.numel} elements that says it has {numel}")
        position += 8
        _check_size(storage, len(data) - position)
        end = position + numel * storage.dtype.itemsize
        storage.data, position = data[position:end], end


def _nested(budget: Budget) -> dict[str, Known]:
    """The one function that reads a file inside a file; it may not be used within itself."""

    def load(content: Any) -> Any:
        if not isinstance(content, memoryview | bytes):
            raise damaged("it has a tensor's bytes that are none")
        if isinstance(content, bytes):
            budget.spend(text=len(content))
            content = bytearray(content)  # torch wants memory that could be written
        return read_legacy(memoryview(content), budget, nested=False)

    return {LOAD_FROM_BYTES: Known("torch.storage._load_from_bytes", call=load)}


def read_bare(data: memoryview, budget: Budget) -> Any:
    """The value of a plain pickle, in which tensors are files of their own."""
    value, _ = read_pickle(data, Rules(budget, extra=_nested(budget)))
    return value


def is_legacy(data: memoryview) -> bool:
    """Whether a pickle starts with torch.save's magic number (in pickle protocols 2 and later)."""
    return MAGIC.to_bytes(10, "little") in bytes(data[:32])
