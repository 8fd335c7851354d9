"""`inspect` lists directions of every tool, and `edit` takes them, checked before the projection."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from chunky_core.cli import main
from chunky_core.editing import load_directions, save_directions
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.inversion import load_inversion
from tests.cli_tools import edit

ROWS = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(0)))[0][:12]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def listed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[list[str]]:
    """The cells of the table that `inspect` prints."""
    assert main(["inspect", *map(str, arguments)]) == 0
    return [line.split(maxsplit=9) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of several tools, and some of none."""
    place = tmp_path / "directions"
    (place / "sub").mkdir(parents=True)
    np.save(place / "age.npy", np.full((1, 10, 32), 2.0))
    torch.save(
        {"comp": ROWS[:, None], "std": torch.arange(12.0) + 1, "mean": ROWS[:1]}, place / "sub" / "pca.pt"
    )
    save_directions([Direction("yaw", "w", torch.ones(32), layers=(0, 1, 4))], place / "own.safetensors")
    (place / "presets.json").write_text(json.dumps({"gaze": [9, 4]}))
    (place / "notes.txt").write_text("smile is best\n")
    (place / "odd.pt").write_bytes(b"no tensors")
    return place


def test_a_folder_is_listed_with_shape_and_length(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys, folder)
    assert rows[0] == ["file", "direction", "shape", "space", "norm", "unit", "layers"]
    assert ["age.npy", "age", "1", "x", "10", "x", "32", "w+", "35.78", "raw    all"] in rows
    assert ["own.safetensors", "yaw", "32", "w", "5.657", "sigma", "0-1,", "4"] in rows
    assert ["pca.pt", "component_3", "12", "x", "32", "w", "1", "raw", "all"] in rows
    assert [row[1:3] for row in rows if row[0] == "pca.pt"][-1] == ["...", "component_11"]
    assert next(row for row in rows if row[0] == "presets.json")[1:6] == [
        "gaze",
        "1",
        "channel",
        "(9_4)",
        "?",
    ]
    assert any(row[0] == "odd.pt" for row in rows)
    assert not any(row[0] == "notes.txt" for row in rows)


def test_for_a_generator_it_says_what_fits(
    folder: Path, studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(folder / "wide.npy", np.ones((18, 48)))
    rows = listed(capsys, folder, "--for", studio / "tiny.safetensors")
    assert next(row for row in rows if row[0] == "presets.json")[5] == "s"
    wide = " ".join(next(row for row in rows if row[0] == "wide.npy"))
    assert "has 18 x 48 numbers, a code of this generator 32 (W) or 10 x 32 (W+) or" in wide


def test_one_file_is_listed_and_one_of_something_else_refused(
    folder: Path, studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(listed(capsys, folder / "own.safetensors")) == 2
    assert len(listed(capsys, folder / "age.npy")) == 2
    assert main(["inspect", str(studio / "tiny.safetensors")]) == 0
    assert "fingerprint" in capsys.readouterr().out
    for name, words in (("odd.pt", "odd.pt"), ("notes.txt", "is no channel"), ("sub", None)):
        assert main(["inspect", str(folder / name)]) == (2 if words else 0)
        if words:
            assert words in capsys.readouterr().err


def test_components_are_edited_with(folder: Path, studio: Path) -> None:
    given = ["--directions", str(folder / "sub" / "pca.pt"), "--direction-unit", "raw", "--no-global"]
    assert edit(studio, *given, "--edit", "mouth:component_3=0.5") == 0
    (one,) = load_inversion(studio / "out" / "inversion.safetensors").edits
    assert torch.equal(one.direction.tensor, ROWS[3]) and one.direction.unit == "raw"


def test_standard_deviations_are_measured_once(studio: Path, generator: Generator) -> None:
    np.save(studio / "d.npy", ROWS[0].numpy())
    given = ["--directions", str(studio / "d.npy"), "--no-global", "--edit", "mouth:d=0.5"]
    assert edit(studio, *given) == 0
    (one,) = load_inversion(studio / "out" / "inversion.safetensors").edits
    (kept,) = (studio / "cache" / "chunkygan" / "statistics").iterdir()
    again = load_directions(studio / "d.npy", generator=generator, folders=[kept.parent])["d"]
    assert torch.equal(one.direction.tensor, again.tensor) and one.direction.unit == "sigma"


def test_the_arrangement_can_be_chosen(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(studio / "d.npy", torch.randn(10, 32, generator=torch.Generator().manual_seed(5)).numpy())
    given = ["--directions", str(studio / "d.npy"), "--direction-arrangement", "components", "--edit", "d=1"]
    assert edit(studio, *given) == 2
    assert "there are component_0, component_1" in capsys.readouterr().err
    assert not (studio / "out").exists()
