"""NumPy's files: read as NumPy reads them, and anything but plain numbers refused before memory is taken."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from chunky_core.checkpoints.containers.numpy_files import MAX_HEADER, read_npy, read_npz
from chunky_core.errors import MissingWeightsError, UnsupportedCheckpointError

ARRAYS = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "Fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "big-endian": np.arange(6, dtype=">i4"),
    "scalar": np.float32(3.0),
    "empty": np.zeros((0, 4)),
    "complex": np.array([1 + 2j]),
    "bool": np.array([True, False]),
    "strided": np.arange(12.0)[::2],
    "half": np.ones(3, np.float16),
}


def npy(header: str, body: bytes = bytes(64), version: int = 1) -> bytes:
    text = header.encode() + b"\n"
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(text))
        + text
        + body
    )


def header(descr: str = "'<f4'", shape: str = "(16,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_come_back_as_they_were_saved(kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", ARRAYS[kind])
    found = read_npy(tmp_path / "array.npy")
    assert np.array_equal(found, ARRAYS[kind]) and found.shape == ARRAYS[kind].shape
    assert found.dtype == ARRAYS[kind].dtype.newbyteorder("=")
    found[...] = 0  # a copy: neither read-only nor the file
    assert np.array_equal(read_npy(tmp_path / "array.npy"), ARRAYS[kind])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_come_back_by_name(save, tmp_path: Path) -> None:
    arrays = {**ARRAYS, "a=b:c": np.ones(2), "12:30": np.ones(3), "layer:0/kernel:0": np.ones(1)}
    save(tmp_path / "w.npz", **arrays)
    found = read_npz(tmp_path / "w.npz")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_headers_of_other_versions_and_of_python_2() -> None:
    for version in (1, 2, 3):
        assert read_npy(memoryview(npy(header(), version=version))).shape == (16,)
    assert read_npy(memoryview(npy(header(shape="(2L, 8L)")))).shape == (2, 8)
    assert read_npy(memoryview(npy(header(shape="()")))).shape == ()


REFUSED = {
    "cut header": (npy(header()[:-8]), "header"),
    "no end": (npy(header())[:40], "middle of its header"),
    "huge": (npy(header(shape="(100000000000,)")), "needs 400000000000 bytes, 64 are there"),
    "more digits than any size": (npy(header(shape="(" + "9" * 300 + ",)")), "a size that no array has"),
    "17 dimensions": (npy(header(shape="(" + "1," * 17 + ")")), "up to 16"),
    "negative": (npy(header(shape="(-1,)")), "header"),
    "deep": (npy(header(shape="(" * 3000 + "1" + ")" * 3000)), "header"),
    "long header": (npy(header() + " " * (MAX_HEADER + 10), version=2), "header has"),
    "long header with few entries": (npy("{" + "'descr':(),".replace("(", "(1") * 3000), "records|header"),
    "objects": (npy(header("'|O'")), "objects"),
    "text": (npy(header("'<U5'")), "text"),
    "records": (npy(header("[('a', '<f4'), ('b', '<f4')]")), "records"),
    "unknown type": (npy(header("'<f3'")), "<f3"),
    "version": (npy(header(), version=9), "version 9"),
    "page": (b"<!DOCTYPE html>", "no .npy file"),
    "empty": (b"", "empty"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_anything_else_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    content, words = REFUSED[kind]
    (tmp_path / "bad.npy").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedCheckpointError, match=rf"^bad\.npy: .*({words})") as caught:
            read_npy(tmp_path / "bad.npy")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and "allow_pickle" not in str(caught.value)
    assert peak < 4e6


def test_archives_of_something_else_are_refused_by_name(tmp_path: Path) -> None:
    objects, torch_like = io.BytesIO(), io.BytesIO()
    np.savez(objects, fine=np.ones(2), labels=np.array([{}], dtype=object))
    np.savez(torch_like, **{"archive/data.pkl": np.ones(1)})
    for content, words in (
        (objects.getvalue(), r"in 'labels\.npy': its array holds objects"),
        (torch_like.getvalue().replace(b"data.pkl.npy", b"data.pkl.xyz"), r"holds archive/data\.pkl\.xyz"),
        (objects.getvalue()[:-30], "bad.npz"),
        (b"\x93NUMPY", "no .npz archive"),
    ):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(UnsupportedCheckpointError, match=words):
            read_npz(tmp_path / "bad.npz")
    with pytest.raises(MissingWeightsError, match="absent"):
        read_npz(tmp_path / "absent.npz")
