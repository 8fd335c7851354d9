"""Files that are no mask generator, no encoder and no training: the error says what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chunky_core as cg
from chunky_core.encoders.masked_encoder import load_masked_encoder
from chunky_core.encoders.training import load_training
from chunky_core.errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError

LOADERS: dict[str, tuple[Callable[[Any], object], str]] = {
    "mask generator": (cg.load_mask_generator, "a mask generator"),
    "encoder": (cg.load_encoder, "masked encoder.*e4e, pSp or ReStyle"),
    "masked encoder": (load_masked_encoder, "masked encoder"),
    "training": (load_training, "encoder's training"),
}
CONTENTS = {
    "JSON": b'{"names": ["a", "b"]}', "text": b"hello there\n", "empty": b"", "page": b"<html><title>x</title></html>",
    "zip": b"PK\x03\x04junk", "PNG": b"\x89PNG\r\n\x1a\n00000000", "noise": bytes(range(7, 250)),
}  # fmt: skip


@pytest.mark.parametrize("ending", [".safetensors", ".json", ".pt"])
@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("loader", LOADERS)
def test_files_of_another_kind(tmp_path: Path, loader: str, kind: str, ending: str) -> None:
    load, expected = LOADERS[loader]
    file = tmp_path / f"file{ending}"
    file.write_bytes(CONTENTS[kind])
    with pytest.raises(UnsupportedCheckpointError, match=expected) as found:
        load(file)
    assert "StyleGAN network" not in str(found.value) and file.name in str(found.value)


@pytest.mark.parametrize("loader", LOADERS)
def test_no_file(tmp_path: Path, loader: str) -> None:
    load, expected = LOADERS[loader]
    for path in (tmp_path, tmp_path / "absent.safetensors", tmp_path / ("x" * 300), str(tmp_path)):
        with pytest.raises(MissingWeightsError, match=expected):
            load(path)
    for odd in ("", None, 3, b"x", ["x"]):
        with pytest.raises(InvalidInputError, match="expected a path"):
            load(odd)


def test_another_companion_s_file() -> None:
    assets = Path(cg.__file__).parent / "demo" / "assets"
    files = {
        "encoder": "mask_generator",
        "masked encoder": "mask_generator",
        "mask generator": "encoder",
        "training": "encoder",
    }
    for loader, other in files.items():
        with pytest.raises(UnsupportedCheckpointError, match="encoder|mask generator"):
            LOADERS[loader][0](assets / f"{other}.safetensors")
