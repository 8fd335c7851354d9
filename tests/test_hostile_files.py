"""Files that are broken, absurd or written to harm: one clear error each, nothing run, nothing created."""

from __future__ import annotations

import pickle
import struct
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from chunky_core.checkpoints.generators import load_generator
from chunky_core.errors import ChunkyError, UnsupportedCheckpointError
from chunky_core.generator.generator import Generator
from tests.checkpoint_writers import WRITERS, Network, foreign_names, rosinality_state, state_of
from tests.fuzz.mutate import WEIGHT
from tests.fuzz.run import peak_memory
from tests.fuzz.seeds import seed_generator
from tests.hostile_tools import ZIPS, refusal, with_member, written

LARGEST = 9223372036854775807


pytestmark = pytest.mark.usefixtures("nothing_created")


@pytest.mark.parametrize("kind", WRITERS)
def test_every_writer_gives_the_same_generator(kind: str, good: Callable[[str], Path]) -> None:
    expected = seed_generator(kind)
    loaded = load_generator(good(kind))
    state, missing = loaded.module.state_dict(), ["mapping.w_avg"] if kind == "paddle" else []
    originals = {n: t for n, t in expected.module.state_dict().items() if n not in missing}
    assert all(torch.allclose(state[n], t, atol=1e-6) for n, t in originals.items())


def test_recorded_truncated_file(shared: Path) -> None:
    refusal(shared / "checkpoints" / "truncated.pkl")


@pytest.mark.parametrize("kind", WRITERS)
def test_truncated_anywhere(kind: str, good: Callable[[str], Path]) -> None:
    path = good(kind)
    data = path.read_bytes()
    for part in range(0, 40):
        refusal(written(path, data[: len(data) * part // 40]))
    refusal(written(path, data[:-1]))


@pytest.mark.parametrize("nested", [b"]" * 200_000, b"(" * 200_000, b"N" + b"\x85" * 200_000], ids=range(3))
def test_nesting_deeper_than_any_real_file(nested: bytes, tmp_path: Path) -> None:
    start = time.perf_counter()
    for tail in (b".", b"a" * 199_999 + b".", b"t" * 199_999 + b"."):
        refusal(written(tmp_path / "deep.pkl", b"\x80\x04" + nested + tail))
    assert time.perf_counter() - start < 30
    assert sys.getrecursionlimit() < 5000


def test_files_that_grow_without_end(tmp_path: Path) -> None:
    """A list that doubles at every step, tiny on disk."""
    doubling = b"\x80\x04]\x94" + b"".join(b"(h\x00h\x00l\x94" for _ in range(40)) + b"."
    text = b"\x80\x04\x8c\xff" + b"x" * 255 + b"\x94" + b"(" + b"h\x00" * 1_000_000 + b"t."
    before = peak_memory()
    for data in (doubling, text, b"\x80\x04\x8a\x04\xff\xff\xff\x7f."):
        refusal(written(tmp_path / "growing.pkl", data))
    assert peak_memory() - before < 300 << 20


@pytest.mark.parametrize("kind", ZIPS)
@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "C:\\outside", "..\\outside"])
def test_a_zip_with_a_path_outside(kind: str, name: str, good: Callable[[str], Path], tmp_path: Path) -> None:
    path = good(kind)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    refusal(path)
    assert not (tmp_path / "outside").exists()


def test_a_zip_bomb(good: Callable[[str], Path]) -> None:
    path = good("plain")
    before = peak_memory()
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(500):
            member.write(bytes(1 << 20))
    refusal(path)
    assert peak_memory() - before < 200 << 20


@pytest.mark.parametrize("size", [LARGEST, 2**40, 2**31])
def test_absurd_tensor_sizes(size: int, tmp_path: Path) -> None:
    """A shape far larger than the bytes behind it, with the strides of a view that repeats one number."""
    tensor = torch.zeros(1).as_strided((1,), (0,))
    before = peak_memory()
    path = tmp_path / "absurd.pt"
    torch.save({"g_ema": {"input.input": tensor, "style.1.weight": tensor}}, path)
    number = b"\x8a\x08" + struct.pack("<q", size)

    def enlarge(name: str, content: bytes) -> tuple[str, bytes]:
        return name, content.replace(b"K\x01\x85", number + b"\x85") if name.endswith("data.pkl") else content

    assert "K\x01\x85".encode("latin1") in zipfile.ZipFile(path).read("absurd/data.pkl")
    refusal(with_member(path, enlarge))
    assert peak_memory() - before < 100 << 20


def test_an_absurd_array(tmp_path: Path) -> None:
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I%d\nt"
    state = b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'abcd'\ntb."
    for size in (LARGEST, 2**40, 10**6):
        refusal(written(tmp_path / "array.pkl", array % size + state))


def test_an_array_of_objects(tmp_path: Path) -> None:
    import numpy as np

    refusal(written(tmp_path / "objects.pkl", pickle.dumps(np.array([None, {}], dtype=object))))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named_in_a_warning(value: float, tmp_path: Path) -> None:
    state = state_of(seed_generator("plain"))
    state["synthesis.b8.conv1.weight"][0, 0, 0, 0] = value
    torch.save(state, tmp_path / "nan.pt")
    with pytest.warns(UserWarning, match=r"synthesis\.b8\.conv1\.weight"):
        assert isinstance(load_generator(tmp_path / "nan.pt"), Generator)


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    state = state_of(seed_generator("plain"))
    torch.save({**state, "synthesis.b8.conv1.weight": torch.zeros(8, 8, 5, 3)}, tmp_path / "official.pt")
    assert "synthesis.b8.conv1.weight" in refusal(tmp_path / "official.pt")
    weights = {**rosinality_state(state), "convs.1.activate.bias": torch.zeros(5)}
    torch.save({"g_ema": weights, "latent_avg": torch.zeros(8)}, tmp_path / "rosinality.pt")
    refusal(tmp_path / "rosinality.pt")
    del weights["convs.0.conv.weight"], weights["convs.1.activate.bias"]
    torch.save({"g_ema": weights}, tmp_path / "incomplete.pt")
    refusal(tmp_path / "incomplete.pt")


def test_a_discriminator_alone(tmp_path: Path) -> None:
    weights = {"convs.0.0.weight": torch.zeros(8, 3, 1, 1), "final_linear.1.weight": torch.zeros(1, 8)}
    official = {"b8.fromrgb.weight": torch.zeros(8, 3, 1, 1), "b4.conv.weight": torch.zeros(8, 9, 3, 3)}
    for name, content in (("d.pt", {"d": weights}), ("plain.pt", weights), ("official.pt", official)):
        torch.save(content, tmp_path / name)
        refusal(tmp_path / name)


def test_a_stylegan1_file(tmp_path: Path) -> None:
    networks = tuple(
        Network({"version": 2, "name": name, "build_func_name": name, "components": {}, "variables": []})
        for name in ("G_style", "D_basic", "G_style")
    )
    with foreign_names():
        data = pickle.dumps(networks)
    refusal(written(tmp_path / "sg1.pkl", data))


@pytest.mark.parametrize("name", ["x.pkl", "x.pt", "x.pth", "x.safetensors", "x"])
def test_files_of_another_kind(name: str, tmp_path: Path) -> None:
    for data in (
        b"",
        b"\0",
        b"# Notes\nNot a network.\n",
        b"\x89PNG\r\n\x1a\n" + bytes(99),
        b"PK\x05\x06" + bytes(18),
    ):
        refusal(written(tmp_path / name, data))
    with pytest.raises(ChunkyError):
        load_generator(tmp_path)


def test_sparse_files_of_two_gigabytes(tmp_path: Path) -> None:
    before, start = peak_memory(), time.perf_counter()
    for head in (b"", b"\x80\x04", b"PK\x03\x04", struct.pack("<Q", 1 << 30) + b"{", b"]" * 10):
        with (tmp_path / "sparse").open("wb") as file:
            file.write(head)
            file.truncate(2 << 30)
        refusal(tmp_path / "sparse")
    assert peak_memory() - before < 200 << 20
    assert time.perf_counter() - start < 30


HEADERS = ('{"a":' * 100_000, "[" * 100_000, '{"a":1e999}', '{"__metadata__":5}', "{}" + " " * 99)


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_safetensors_headers(header: str, tmp_path: Path) -> None:
    data = struct.pack("<Q", len(header)) + header.encode()
    refusal(written(tmp_path / "x.safetensors", data))


def test_a_header_that_lies(good: Callable[[str], Path]) -> None:
    path = good("own")
    data = path.read_bytes()
    with_shape = data.replace(b'"shape":[8,8]', b'"shape":[9,9]', 1)
    assert with_shape != data
    refusal(written(path, with_shape))
    lies = (
        {"architecture": "stylegan9"},
        {"img_resolution": "1000000000"},
        {"conv_clamp": "x"},
        {"version": "99"},
    )
    for metadata in lies:
        path.write_bytes(data)
        state = load_file(path)
        save_file(state, path, {"format": "chunkygan-generator", "version": "1", **metadata})
        with pytest.raises(UnsupportedCheckpointError):
            load_generator(path)


def test_the_fuzzers_weights_are_found_in_its_files(good: Callable[[str], Path]) -> None:
    """What the fuzzer takes for a tensor's bytes: mutations would fall into tensors only, were this wrong."""
    data = good("plain").read_bytes()
    assert data.count(struct.pack("<f", WEIGHT)) > 100
