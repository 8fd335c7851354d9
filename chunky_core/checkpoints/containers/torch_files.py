"""torch.save's two containers, a zip archive and the older sequence of pickles, with storages left where they are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ...errors import UnsupportedCheckpointError
from ..pickles.rebuild import Known, Storage, cut_off, damaged
from ..pickles.restricted_pickle import read_pickle
from ..pickles.stack_machine import Budget, Rules
from . import unsupported_files
from .archive import Archive

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
MAX_STORAGE_NAME = 200
MAX_SMALL = 64  # bytes of a member that holds a word
LOAD_FROM_BYTES = "torch.storage _load_from_bytes"


def read_archive(data: memoryview, budget: Budget, unknown: bool = False) -> Any:
    """The value in a zip archive written by torch.save; unknown: see `Rules`."""
    archive = Archive(data)
    pickles = [name for name in archive.members if name.rpartition("/")[2] == "data.pkl"]
    if not pickles:
        raise UnsupportedCheckpointError(_other_archive(archive))
    if len(pickles) > 1:
        raise UnsupportedCheckpointError(
            f"it is a zip archive of {len(pickles)} PyTorch files that were unpacked ({pickles[0][:80]} and others); "
            "expected one; choose the .pt files themselves"
        )
    prefix = pickles[0].removesuffix("data.pkl")
    _refuse_program(archive, prefix)
    _check_byte_order(archive, f"{prefix}byteorder")
    content = archive.checked(pickles[0])
    value, end = read_pickle(content, Rules(budget, _stored_in(archive, prefix), _nested(budget), unknown))
    if end != len(content):
        raise damaged("its data.pkl goes on after its end")
    return value


def _other_archive(archive: Archive) -> str:
    """What a zip archive is that torch.save didn't write."""
    names = list(archive.members)
    if names and all(name.endswith(".npy") for name in names):
        starts = {name.removesuffix(".npy"): bytes(archive.read(name)[:1024]) for name in names[:5]}
        return unsupported_files.of_arrays(
            starts, "a NumPy archive", [name.removesuffix(".npy") for name in names]
        )
    if {"config.json", "model.weights.h5"} <= set(names):
        return f"it is a Keras model; {unsupported_files.EXPECTED}"
    if any(
        name.rpartition("/")[2] in ("archive_format", "serialized_exported_program.json") for name in names
    ):
        return f"it is a program of torch.export; {_WEIGHTS_OF_PROGRAM}"
    if any(name.endswith((".data/extern_modules", ".data/version")) for name in names):
        return f"it is a program of torch.package; {_WEIGHTS_OF_PROGRAM}"
    return unsupported_files.held_in(names, "zip archive")


_WEIGHTS_OF_PROGRAM = (
    "expected a network's weights; where you trust it, load it in PyTorch and save them: "
    "torch.save(network.state_dict(), 'weights.pt')"
)


def _refuse_program(archive: Archive, prefix: str) -> None:
    if any(name.startswith((f"{prefix}constants.pkl", f"{prefix}code/")) for name in archive.members):
        raise UnsupportedCheckpointError(
            "it is a TorchScript program (constants.pkl, code/), which cannot be read without running it; "
            f"{_WEIGHTS_OF_PROGRAM}"
        )


def _check_byte_order(archive: Archive, name: str) -> None:
    if name not in archive.members:
        return
    found = bytes(archive.checked(name)[:MAX_SMALL])
    if found == b"big":
        raise UnsupportedCheckpointError(_BIG_ENDIAN)
    if found != b"little":
        raise damaged(f"its numbers are stored {found!r} first; expected b'little'")


_BIG_ENDIAN = (
    "its numbers are stored big-endian, as on some servers; expected little-endian; load it with PyTorch where it was "
    "saved and save it again on an ordinary computer, or as .safetensors"
)


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


def read_legacy(data: memoryview, budget: Budget, unknown: bool = False, nested: bool = True) -> Any:
    """The value in torch.save's older format: magic number, version, machine, value, keys, then the storages.

    unknown: see `Rules`; nested: whether it may hold the same format again.
    """
    magic, position = read_pickle(data, Rules(budget))
    if magic != MAGIC:
        raise damaged("it does not start as torch.save's files do")
    version, position = read_pickle(data, Rules(budget), position)
    machine, position = read_pickle(data, Rules(budget), position)
    if version != PROTOCOL or not isinstance(machine, dict):
        raise damaged(f"it is of another version than torch.save's {PROTOCOL}")
    if machine.get("little_endian") is not True:
        raise UnsupportedCheckpointError(_BIG_ENDIAN)
    storages: dict[str, Storage] = {}
    rules = Rules(
        budget, lambda key: _legacy_storage(storages, key), _nested(budget) if nested else {}, unknown
    )
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
            raise cut_off()
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


def read_bare(data: memoryview, budget: Budget, unknown: bool = False) -> Any:
    """The value of a plain pickle, in which tensors are files of their own; unknown: see `Rules`."""
    value, _ = read_pickle(data, Rules(budget, _refuse_storage, _nested(budget), unknown))
    return value


def _refuse_storage(key: Any) -> Storage:
    if not isinstance(key, tuple) or key[:1] != ("storage",):
        raise damaged("it refers to objects outside of the file")
    raise UnsupportedCheckpointError(
        "it is the list of contents (data.pkl) of an unpacked PyTorch file, whose numbers lie in other files; choose "
        "the original .pt as a whole, which is not to be unpacked, or zip the whole unpacked folder again"
    )


def is_legacy(data: memoryview) -> bool:
    """Whether a pickle starts with torch.save's magic number (in pickle protocols 2 and later)."""
    return MAGIC.to_bytes(10, "little") in bytes(data[:32])
