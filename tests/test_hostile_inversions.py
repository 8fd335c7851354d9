"""Damaged and hostile inversion files: one clear error each, whatever is in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.inversion import inversion_files
from chunky_core.inversion.inversion_files import load_inversion, save_inversion
from chunky_core.inversion.original_crop import Alignment
from tests.inversion_tools import TUNED, make_inversion, read_file, rewritten

NAN = float("nan")


@pytest.fixture
def saved(generator: Generator, tmp_path: Path) -> Path:
    path = tmp_path / "saved.safetensors"
    save_inversion(make_inversion(generator), path)
    return path


def refused(path: Path, reason: str = "saved.safetensors") -> None:
    with pytest.raises(InvalidInputError, match=reason) as caught:
        load_inversion(path)
    message = str(caught.value)
    assert "saved.safetensors" in message and "\n" not in message and len(message) < 700


EDIT = {"name": "x", "space": "w", "strength": 1, "segments": ["all"]}
STATE = {"step": 1, "numbers": {}, "tensors": []}
ALIGNMENT = {"quad": [[0, 0], [0, 1], [1, 1], [1, 0]], "original_size": [4, 4]}


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["left_eye", "left_eye", "skin"]},
        {"names": ["one"]},
        {"names": None},
        {"names": [["left_eye"], "right_eye", "skin"]},
        {"spaces": ["w", "w", "w"]},
        {"spaces": ["q", "s", "w+"]},
        {"edits": [{"name": "x"}]},
        {"edits": [EDIT | {"strength": NAN}]},
        {"edits": [EDIT | {"strength": "1"}]},
        {"edits": [EDIT | {"strength": 10**400}]},
        {"edits": [EDIT | {"segments": ["hat"]}]},
        {"edits": [EDIT | {"segments": "all"}]},
        {"edits": [EDIT] * 3},
        {"losses": [1, 2]},
        {"losses": {"skin": "12"}},
        {"losses": {"skin": 3}},
        {"settings": 3},
        {"fingerprint": 3},
        {"stopped": ["why"]},
        {"photo": "no"},
        {"photo": False, "photo_digest": ""},
        {"photo": False, "photo_digest": None},
        {"photo_digest": "0" * 64},
        {"deltas": [[]]},
        {"deltas": [["synthesis.b8.conv0.weight"], [], []]},
        {"deltas": [[TUNED, TUNED], [], []]},
        {"noise": 100},
        {"noise": True},
        {"noise": 10**9},
        {"alignment": ALIGNMENT | {"quad": [[0, 0], [0, 1], [1, 1], [1, NAN]]}},
        {"alignment": ALIGNMENT | {"quad": [[0, 0], [0, 1], [1, 1]]}},
        {"alignment": ALIGNMENT | {"quad": [0, 1, 2, 3]}},
        {"alignment": ALIGNMENT | {"quad": ["ab", "cd", "ef", "gh"]}},
        {"alignment": ALIGNMENT | {"original_size": [4, -1]}},
        {"alignment": ALIGNMENT | {"original_size": [4, 4.5]}},
        {"alignment": [1]},
        {"state": STATE | {"step": -1}},
        {"state": STATE | {"step": 1.5}},
        {"state": STATE | {"tensors": ["../../x"]}},
        {"state": STATE | {"tensors": ["rng", "rng"]}},
        {"state": STATE | {"numbers": 3}},
        {"state": {}},
    ],
    ids=lambda change: json.dumps(change)[:60],
)
def test_a_damaged_document(saved: Path, change: dict[str, object]) -> None:
    refused(rewritten(saved, change))


@pytest.mark.parametrize(
    "text",
    ["", "3", "null", "[]", "{}", "{", '{"names": ["a"], "names": ["b"]}', '{"names": 1e999}', "9" * 9999],
    ids=lambda text: text[:30] or "empty",
)
def test_no_document(saved: Path, text: str) -> None:
    refused(rewritten(saved, text))


@pytest.mark.parametrize("depth", [20, 900, 100_000, 3_000_000])
def test_deep_nesting(saved: Path, depth: int) -> None:
    nested = '{"settings": ' + "[" * depth + "]" * depth + "}"
    refused(rewritten(saved, nested), "nested")


def test_repeated_entries(saved: Path) -> None:
    text = read_file(saved)[0]["inversion"]
    refused(rewritten(saved, text[:-1] + ', "stopped": null}'), "twice")


@pytest.mark.parametrize(
    "version", ["", "1", "1.", "one.two", "\u00b2.0", "1.0.0", "-1.0", "9" * 5000 + ".0"]
)
def test_versions(saved: Path, version: str) -> None:
    refused(rewritten(saved, {}, version=version), "version")


DAMAGE: dict[str, Callable[[Tensor], Tensor]] = {
    "nan": lambda tensor: torch.full_like(tensor, NAN),
    "empty": lambda tensor: tensor[:0],
    "scalar": lambda tensor: tensor.flatten()[0],
    "flat": lambda tensor: tensor.flatten(),
    "integers": lambda tensor: tensor.long(),
    "truth": lambda tensor: tensor > 0,
    "complex": lambda tensor: tensor.to(torch.complex64),
    "8 bits": lambda tensor: tensor.to(torch.float8_e4m3fn),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "name", ["masks", "static_mask", "codes/0", "codes/1", "codes/2", "edits/1", "noise/0"]
)
def test_damaged_tensors(saved: Path, name: str, damage: str) -> None:
    good = read_file(saved)[1][name]
    refused(rewritten(saved, {}, {name: DAMAGE[damage](good).contiguous()}))


def test_tensors_that_do_not_belong_together(saved: Path, generator: Generator) -> None:
    masks = make_inversion(generator).masks.masks
    for tensors in (
        {"masks": masks * 0.5},
        {"masks": masks - 0.5},
        {"masks": masks[..., :-1].contiguous()},
        {"codes/0": torch.zeros(2, generator.w_dim)},
        {"photo": torch.zeros(1, 3, 4, 4)},
        {"photo": torch.zeros(1, 4, 4, 3, dtype=torch.uint8)},
        {"photo": torch.full((1, 3, 64, 64), NAN)},
        {"state/moments/0": torch.full((2,), NAN)},
        {f"deltas/0/{TUNED}": torch.full((2,), NAN)},
    ):
        path = saved.with_name("saved.safetensors.copy")
        path.write_bytes(saved.read_bytes())
        refused(rewritten(path, {}, tensors))


@pytest.mark.parametrize(
    "name", ["masks", "static_mask", "codes", "edits", "noise", "deltas", "state", "photo"]
)
def test_missing_tensors(saved: Path, name: str) -> None:
    document = json.loads(read_file(saved)[0]["inversion"])
    refused(rewritten(saved, json.dumps(document), without=(name,)), "missing")


def test_a_header_that_declares_more_than_there_is(saved: Path) -> None:
    header = {"masks": {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]}}
    text = json.dumps(header).encode()
    saved.write_bytes(len(text).to_bytes(8, "little") + text)
    refused(saved)
    saved.write_bytes((1 << 60).to_bytes(8, "little") + text)
    refused(saved)


def test_a_huge_file_is_refused_before_it_is_read(saved: Path) -> None:
    with saved.open("r+b") as file:
        file.truncate(inversion_files.MAX_BYTES + 1)  # sparse: takes no room
    refused(saved, "GiB")


def test_every_truncation(saved: Path) -> None:
    data = saved.read_bytes()
    for length in [*range(0, 64), *range(64, len(data), len(data) // 40)]:
        saved.write_bytes(data[:length])
        refused(saved)


def test_flipped_bits_of_the_header_never_escape(saved: Path) -> None:
    """Whatever a changed byte does, either the file opens or one clear error tells of it."""
    data, rng = bytearray(saved.read_bytes()), torch.Generator().manual_seed(0)
    end = 8 + int.from_bytes(data[:8], "little")
    for place in torch.randint(8, end, (300,), generator=rng).tolist():
        changed = bytearray(data)
        changed[place] ^= 1 << int(torch.randint(0, 8, (1,), generator=rng))
        saved.write_bytes(changed)
        try:
            load_inversion(saved)
        except InvalidInputError as error:
            assert "saved.safetensors" in str(error)


@pytest.mark.parametrize("quad", [(), ((0.0, 0.0),) * 3, ((0.0, 0.0, 0.0),) * 4, ((0.0, NAN),) * 4])
def test_an_alignment_is_four_finite_points(quad: tuple) -> None:
    with pytest.raises(InvalidInputError, match="four finite points"):
        Alignment(quad, (4, 4))
