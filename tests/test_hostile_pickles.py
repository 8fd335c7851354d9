"""Pickles that call something: refused by name, nothing run, nothing created."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from fickling.fickle import Pickled
from picklescan.scanner import _unsafe_globals, scan_file_path

from tests.hostile_tools import PICKLES, ZIPS, refusal, with_member, written


class Intruder:
    """Creates a file when a plain unpickler opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.path),)


pytestmark = pytest.mark.usefixtures("nothing_created")


@pytest.mark.parametrize("name", ["hostile_os_system.pkl", "hostile_eval.pt"])
def test_recorded_hostile_files(name: str, shared: Path) -> None:
    assert ("system" if name.endswith("pkl") else "eval") in refusal(shared / "checkpoints" / name)


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("run_first", [True, False])
@pytest.mark.parametrize("module, attribute", [("builtins", "eval"), ("os", "system"), ("runpy", "run_path")])
def test_calls_injected_by_fickling(
    kind: str, run_first: bool, module: str, attribute: str, good: Callable[[str], Path]
) -> None:
    path = good(kind)
    pickled = Pickled.load(path.read_bytes())
    pickled.insert_python("open('PWNED','w')", module=module, attr=attribute, run_first=run_first)
    path.write_bytes(pickled.dumps())
    assert f"{module}.{attribute}" in refusal(path)


@pytest.mark.parametrize("kind", ZIPS)
def test_calls_injected_into_zips(kind: str, good: Callable[[str], Path]) -> None:
    def inject(name: str, content: bytes) -> tuple[str, bytes]:
        if name.endswith("data.pkl"):
            pickled = Pickled.load(content)
            pickled.insert_python_exec("open('PWNED','w')")
            content = pickled.dumps()
        return name, content

    assert "builtins.exec" in refusal(with_member(good(kind), inject))


def dangerous_globals() -> list[tuple[str, str]]:
    """Every global that picklescan calls dangerous, with a name of our choice for whole modules."""
    pairs = []
    for module, names in _unsafe_globals.items():
        chosen = [names] if isinstance(names, str) else sorted(names)
        pairs += [(module, "anything" if name == "*" else name) for name in chosen]
    return pairs


def spellings(module: str, name: str) -> Iterator[bytes]:
    """Ways to name a global and call it, as scanners were fooled with."""
    text, long_name = f"{module}\n{name}\n".encode(), name.encode()
    pieces = [bytes((len(part),)) + part for part in (module.encode(), long_name)]
    stack = b"\x8c" + pieces[0] + b"\x8c" + pieces[1]
    yield b"c" + text + b"(S'1'\ntR."
    yield b"(S'1'\ni" + text + b"."
    yield b"(c" + text + b"S'1'\no."
    yield b"\x80\x04" + stack + b"\x93\x8c\x011\x85R."
    yield b"\x80\x04" + stack + b"\x93)\x81."
    yield b"\x80\x04" + stack + b"\x93)}\x92."
    yield b"\x80\x04\x8c" + pieces[1] + b"\x94\x8c" + pieces[0] + b"h\x00\x93\x8c\x011\x85R."
    yield b"\x80\x04X" + struct.pack("<I", len(module)) + module.encode() + b"V" + long_name + b"\n\x93)R."
    yield b"]\x94." + b"c" + text + b"(S'1'\ntR."  # behind a first pickle's end
    yield b"\x80\x04" + stack + b"\x93."  # never called


def test_globals_that_picklescan_knows(tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    for module, name in dangerous_globals():
        for data in spellings(module, name):
            message = refusal(written(path, data))
            assert name in message or data.startswith(b"]"), message


def test_picklescan_calls_our_pickles_clean(good: Callable[[str], Path]) -> None:
    """The files that the other tests damage hold nothing dangerous themselves."""
    assert scan_file_path(str(good("own"))).issues_count == 0


def test_a_call_by_a_plain_pickle(tmp_path: Path) -> None:
    for name in ("direct.pkl", "zip.pt", "legacy.pt"):
        path = tmp_path / name
        content = {"g_ema": {"input.input": Intruder(tmp_path / "PWNED")}}
        if name == "direct.pkl":
            path.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, path, _use_new_zipfile_serialization=name == "zip.pt")
        assert "mkdir" in refusal(path)


def test_a_call_inside_a_nested_storage(tmp_path: Path) -> None:
    """torch.storage._load_from_bytes reads torch's format again, inside a pickle's bytes."""
    inner = io.BytesIO()
    torch.save(Intruder(tmp_path / "PWNED"), inner, _use_new_zipfile_serialization=False)
    data = inner.getvalue()
    outer = b"\x80\x03ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(data)) + data + b"\x85R."
    refusal(written(tmp_path / "nested.pkl", outer))
