"""Directions of every format: the same vectors come back, and anything else ends in one clear error."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from chunky_core.checkpoints.generators import save_generator
from chunky_core.editing import load_directions
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator

SMILE = torch.linspace(-1, 1, 6)
LAYERS = torch.arange(24.0).reshape(4, 6)
Writer = Callable[[Path], object]


def _saved(value: object, **options: object) -> Writer:
    return lambda path: torch.save(value, path, **options)


def _pickled(value: object) -> Writer:
    return lambda path: path.write_bytes(pickle.dumps(value))


SINGLE: dict[str, Writer] = {
    "d.npy": lambda path: np.save(path, SMILE.numpy()),
    "d.NPY": lambda path: path.write_bytes(_npy(SMILE.double().numpy()[None])),
    "big-endian.npy": lambda path: np.save(path, SMILE.numpy().astype(">f8")),
    "batch.npy": lambda path: np.save(path, SMILE.numpy()[None, None]),
    "one.npz": lambda path: np.savez(path, SMILE.numpy()),
    "packed.npz": lambda path: np.savez_compressed(path, SMILE.numpy()),
    "zip.pt": _saved(SMILE),
    "legacy.pth": _saved(SMILE, _use_new_zipfile_serialization=False),
    "array.pkl": _pickled(SMILE.numpy()),
    "named_otherwise.pt": lambda path: path.write_bytes(_npy(SMILE.numpy())),
}
SEVERAL: dict[str, Writer] = {
    "d.npz": lambda path: np.savez(path, smile=SMILE.numpy(), yaw=LAYERS.numpy()[None]),
    "d.pt": _saved({"smile": SMILE, "yaw": LAYERS.double()}),
    "d.pkl": _pickled({"smile": SMILE.numpy(), "yaw": LAYERS.numpy()}),
    "d.safetensors": lambda path: save_file({"smile": SMILE, "yaw": LAYERS}, str(path)),
    "own.SAFETENSORS": lambda path: save_file(
        {"directions/smile": SMILE, "directions/yaw": LAYERS.half(), "readout/bias": torch.ones(2)}, str(path)
    ),
}


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("name", SINGLE)
def test_one_array_is_a_direction_under_the_files_name(name: str, tmp_path: Path) -> None:
    SINGLE[name](tmp_path / name)
    ((key, direction),) = load_directions(tmp_path / name).items()
    assert (key, direction.name, direction.space) == (Path(name).stem, Path(name).stem, "w")
    assert torch.equal(direction.tensor, SMILE) and direction.tensor.dtype == torch.float32


@pytest.mark.parametrize("name", SEVERAL)
def test_several_arrays_are_directions_by_name(name: str, tmp_path: Path) -> None:
    SEVERAL[name](tmp_path / name)
    found = load_directions(tmp_path / name)
    assert {key: direction.space for key, direction in found.items()} == {"smile": "w", "yaw": "w+"}
    assert torch.equal(found["smile"].tensor, SMILE) and torch.equal(found["yaw"].tensor, LAYERS)


def test_whole_numbers_and_short_floats_are_numbers(tmp_path: Path) -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.int64, torch.uint8):
        save_file({"directions/x": torch.ones(6, dtype=dtype)}, str(tmp_path / "x.safetensors"))
        assert torch.equal(load_directions(tmp_path / "x.safetensors")["x"].tensor, torch.ones(6))


REFUSED: dict[str, tuple[Writer, str]] = {
    "cube.npy": (lambda path: np.save(path, np.ones((2, 3, 4))), r"\(2, 3, 4\); expected \[w_dim\]"),
    "point.npy": (lambda path: np.save(path, np.float32(1)), r"is \(\); expected"),
    "single.npy": (lambda path: np.save(path, np.ones(1)), r"is \(1,\); expected"),
    "empty.npy": (lambda path: np.save(path, np.ones((0, 6))), r"is \(0, 6\)"),
    "complex.npy": (lambda path: np.save(path, np.ones(6, complex)), "complex128; expected real"),
    "bool.npy": (lambda path: np.save(path, np.ones(6, bool)), "bool; expected real"),
    "text.npy": (lambda path: np.save(path, np.array(["1", "2"])), "holds text"),
    "large.npy": (lambda path: np.save(path, np.full(6, 1e300)), "finite numbers of float32"),
    "nan.pt": (_saved({"x": SMILE / 0}), "'x' holds .* finite"),
    "mask.pt": (_saved(SMILE > 0), "torch.bool; expected real"),
    "nested.pt": (_saved({"w": {"x": SMILE}}), "'w' is entries of their own"),
    "numbered.pt": (_saved({0: SMILE}), "entry '0'"),
    "list.pt": (_saved([SMILE, SMILE]), "holds a list"),
    "none.pt": (_saved({}), "no entries"),
    "biases.pt": (_saved({"a.bias": torch.ones(6), "b.bias": torch.ones(8)}), "different widths"),
    "shared.pt": (
        _saved(dict.fromkeys("abcdefghijklmnopq", torch.ones(1 << 20))),
        "more than 16777216 numbers",
    ),
    "page.pt": (lambda path: path.write_text("<!DOCTYPE html><html></html>"), "web page"),
    "notes.md": (lambda path: path.write_text("smile"), "expected one of .safetensors, .npy"),
    "notes.txt": (lambda path: path.write_text("smile"), "line 1, .smile., is no channel"),
    "folder.npy": (lambda path: path.mkdir(), "no file"),
    "link.npy": (lambda path: path.symlink_to(path.parent / "gone"), "no file"),
    "absent.npy": (lambda path: None, "no file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_named(name: str, tmp_path: Path) -> None:
    write, words = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(InvalidInputError, match=words) as caught:
        load_directions(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_generator_is_no_file_of_directions(tmp_path: Path, generator: Generator) -> None:
    save_generator(generator, tmp_path / "generator.safetensors")
    with pytest.raises(InvalidInputError, match=r"no directions from .*generator\.safetensors"):
        load_directions(tmp_path / "generator.safetensors")
