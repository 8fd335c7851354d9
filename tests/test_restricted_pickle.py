"""The reader of pickles: what Python's own pickler writes comes back as data, and nothing else is accepted."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from chunky_core.checkpoints.containers.content import open_content
from chunky_core.checkpoints.pickles.literals import LITERALS
from chunky_core.checkpoints.pickles.rebuild import Record, TensorRef
from chunky_core.checkpoints.pickles.restricted_pickle import OPERATIONS, STOP, read_pickle
from chunky_core.checkpoints.pickles.stack_machine import Rules
from chunky_core.errors import UnsupportedCheckpointError

GOOD = (
    "stylegan2_ada_64.pkl", "stylegan3_t_64.pkl", "pti_tuned_64.pt", "stylegan2_rosinality_64.pt", "e4e_64.pt",
    "stylegan2_tf_64.pkl",
)  # fmt: skip
PARITY = {"stylegan3_t_64.pkl": "sg3_t_64", "stylegan2_rosinality_64.pt": "sg2_rosinality_64"}
PARITY["e4e_64.pt"] = "sg2_rosinality_64"


def read(content: bytes) -> Any:
    return read_pickle(memoryview(bytearray(content)), Rules())[0]


def open_bytes(folder: Path, content: bytes) -> Any:
    """What a file with these bytes holds, with tensors copied so that they outlive it."""
    path = folder / "weights.bin"
    path.write_bytes(content)
    with open_content(path) as opened:
        return plain(opened.value)


def plain(value: Any) -> Any:
    """The data in terms of Python, numpy and torch, to be compared with what was pickled."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, TensorRef):
        return value.tensor().clone()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(entry) for entry in value)
    return value


VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**31, 2**63, -(2**70), 2**500, 0.0, -0.0, 1.5,
    float("inf"), 1e-300, 1 + 2j, "", "text", "Zürich \U0001f600 \n'\"\\", "x" * 300, b"", b"\x00\xff'\n", b"y" * 300,
    bytearray(b"abc"), (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1, [2, [3]]], {}, {"a": {"b": (1, None)}},
    {1: "one", None: 2, 2.5: 3, b"k": 4}, set(), {"a", "b", 3}, frozenset({1, "x"}), OrderedDict(b=1, a=[2]),
    defaultdict(list, a=[1]), Counter("hello"), list(range(1500)), {i: str(i) for i in range(1500)},
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_plain_values_come_back(value: Any, protocol: int):
    found = plain(read(pickle.dumps(value, protocol)))
    assert found == value
    assert repr(found) == repr(value) or not isinstance(value, bool | float | int | list | tuple | str)


ARRAYS = [
    np.arange(6, dtype="f4").reshape(2, 3), np.arange(24, dtype="f8").reshape(2, 3, 4).T, np.array(3.5, "f2"),
    np.zeros((0, 4), "i8"), np.arange(4, dtype=">i2"), np.array([True, False]), np.array(["ab", "c"]),
    np.array([1 + 2j], "c8"), np.asfortranarray(np.arange(6, dtype="u1").reshape(2, 3)), np.arange(8)[::2],
    np.arange(24, dtype="f4").reshape(2, 3, 2, 2).transpose(3, 2, 0, 1),
    np.arange(24.0).reshape(4, 3, 2).swapaxes(0, 1),
    np.zeros((2, 0, 3)).transpose(2, 0, 1), np.arange(16, dtype=">f4").reshape(2, 2, 2, 2).transpose(0, 2, 3, 1),
    np.arange(24.0).reshape(2, 3, 4)[::-1].transpose(1, 0, 2), np.broadcast_to(np.arange(3.0), (2, 3)).T,
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_and_numpy_scalars_come_back(array: np.ndarray, protocol: int):
    twice = read(pickle.dumps([("name", array), array], protocol))
    for found in (twice[0][1], twice[1]):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
    scalar = np.float32(0.1)
    assert read(pickle.dumps(scalar, protocol)) == scalar.item()


@pytest.mark.parametrize(
    "arguments",
    [
        ((2, 3), "K", (0, 0)), ((2, 3), "K", (1,)), ((2, 3), "K", (1, 2)), ((2, 3), "K", (-1, 0)), ((2, 3), "K", None),
        ((2, 3), "K"), ((2, 3), "Q"), ((2, 4), "K", (1, 0)), ((2, 3), "K", "10"), ((2, 3), "K", (True, False)),
    ],
)  # fmt: skip
def test_arrays_whose_axes_make_no_sense_are_refused(arguments: tuple[Any, ...]) -> None:
    array = np.arange(6.0).reshape(2, 3).T
    function, (content, dtype, *_) = array.__reduce_ex__(5)

    class Odd:
        def __reduce__(self) -> Any:
            return function, (bytes(content), dtype, *arguments)

    with pytest.raises(UnsupportedCheckpointError):
        read(pickle.dumps(Odd(), 5))


def test_the_order_of_axes_counts_where_numpy_heeds_it() -> None:
    function, (content, dtype, *_) = np.arange(6.0).reshape(2, 3).T.__reduce_ex__(5)
    for order in ("C", "F", "A"):
        given = (bytes(content), dtype, (3, 2), order, (1, 0))

        class Asked:
            def __reduce__(self, given: Any = given) -> Any:
                return function, given

        np.testing.assert_array_equal(read(pickle.dumps(Asked(), 5)), function(*given))


def test_shared_objects_stay_shared_and_memo_keys_may_be_any():
    inner = [1]
    found = read(pickle.dumps([inner, inner, (inner,)], 2))
    assert found[0] is found[1] is found[2][0]
    assert read(b"\x80\x02]r\xff\xff\xff\xffj\xff\xff\xff\xff.") == []


@pytest.mark.parametrize("writer", ["pickle", "zip", "legacy"])
def test_tensors_come_back_in_every_container(writer: str, tmp_path: Path):
    base = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool)
    tensors = [
        base,
        base.T,
        base[1:3, ::2],
        torch.zeros(0, 3),
        base.sum(),
        *(base.to(kind) for kind in kinds),
    ]
    tensors.append(torch.nn.Parameter(base.clone()).data)
    stream = io.BytesIO()
    if writer == "pickle":
        pickle.dump(tensors, stream, 4)
    else:
        torch.save(tensors, stream, _use_new_zipfile_serialization=writer == "zip")
    for found, expected in zip(open_bytes(tmp_path, stream.getvalue()), tensors, strict=True):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


def test_a_module_is_read_as_a_record(tmp_path: Path):
    stream = io.BytesIO()
    layer = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.PReLU())
    torch.save(layer, stream)
    found = open_bytes(tmp_path, stream.getvalue())
    assert isinstance(found, Record)
    linear = found.state["_modules"]["0"]
    assert (found.name, linear.name) == (
        "torch.nn.modules.container.Sequential",
        "torch.nn.modules.linear.Linear",
    )


def tensors_in(value: Any) -> Iterator[np.ndarray]:
    """All tensors and arrays anywhere in a value."""
    if isinstance(value, TensorRef):
        yield value.tensor().numpy().copy()
    elif isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        yield from (found for entry in value.values() for found in tensors_in(entry))
    elif isinstance(value, list | tuple):
        yield from (found for entry in value for found in tensors_in(entry))
    elif isinstance(value, Record):
        yield from tensors_in([value.args, value.state, value.items])


@pytest.mark.parametrize("name", GOOD)
def test_reference_files_hold_the_reference_weights(name: str, shared: Path):
    expected = load_file(shared / "parity" / f"{PARITY.get(name, 'sg2_ada_64')}.safetensors")
    with open_content(shared / "checkpoints" / name) as content:
        arrays = list(tensors_in(content.value))
    arrays += [array[0] for array in arrays if array.ndim == 2]  # latent_avg repeats the mean of w
    numbers = {np.sort(array, axis=None).tobytes() for array in arrays}
    if name == "stylegan2_tf_64.pkl":  # TensorFlow stores the modulation's bias without its 1
        numbers |= {
            np.sort(array + np.float32(1), axis=None).tobytes() for array in arrays if array.ndim == 1
        }
    for key, tensor in expected.items():
        derived = key.endswith("resample_filter") and name == "stylegan2_tf_64.pkl"
        if key.startswith("state/") and not derived:
            assert np.sort(tensor.numpy(), axis=None).tobytes() in numbers, key


@pytest.mark.parametrize("name", GOOD)
def test_a_file_cut_anywhere_is_refused(name: str, shared: Path, tmp_path: Path):
    content = (shared / "checkpoints" / name).read_bytes()
    for cut in np.linspace(0, len(content) - 1, 50).astype(int):
        with pytest.raises(UnsupportedCheckpointError, match=r"^weights.bin: "):
            open_bytes(tmp_path, content[:cut])


def test_safetensors_come_back_and_their_sizes_are_checked(tmp_path: Path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1, dtype=torch.int64)}
    save_file(tensors, tmp_path / "a.safetensors", {"source": "test"})
    content = (tmp_path / "a.safetensors").read_bytes()
    found = open_bytes(tmp_path, content)
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    for old, new in ((b"[2,3]", b"[9,3]"), (b'"F32"', b'"F64"'), (b"[0,8]", b"[0,9]")):
        assert old in content
        with pytest.raises(UnsupportedCheckpointError):
            open_bytes(tmp_path, content.replace(old, new))


def test_the_opcodes_are_those_of_python():
    known = {ord(op.code): op.name for op in pickletools.opcodes}
    missing = {known[code] for code in known.keys() - LITERALS.keys() - OPERATIONS.keys() - {STOP}}
    assert missing == {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}
    assert not (LITERALS.keys() | OPERATIONS.keys()) - known.keys()
