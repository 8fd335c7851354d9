"""The command line's `directions`: into a file and onto a sheet, and its answers to bad input."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import chunky_core as cg
from chunky_core.cli import main
from chunky_core.cli.examples import read_scores
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator


@pytest.fixture
def folder(studio: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(studio / "cache"))
    return studio


def directions(folder: Path, *more: str) -> int:
    found = ["directions", str(folder / "tiny.safetensors"), "--out", str(folder / "found.safetensors")]
    return main([*found, "--samples", "40", "--device", "cpu", *more])


def test_components_are_written_and_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], generator: Generator
) -> None:
    assert directions(folder, "--method", "sefa-whitened", "--layers", "4-7", "--components", "3") == 0
    found = cg.load_directions(folder / "found.safetensors")
    assert list(found) == [f"sefa_whitened_4-7_{index}" for index in range(3)]
    one = found["sefa_whitened_4-7_2"]
    assert (one.layers, one.unit, one.source) == (
        (4, 5, 6, 7),
        "sigma",
        "SeFa whitened, layers 4-7, component 2",
    )
    assert one.fingerprint == generator.fingerprint and one.license == "CC0-1.0"
    assert cg.load_image(folder / "found.png").shape == (1, 3, 3 * (64 + 22), 7 * 64)
    said = capsys.readouterr().out
    assert "sefa_whitened_4-7_2: SeFa whitened, layers 4-7, component 2" in said and "found.png" in said


def write_pictures(folder: Path, generator: Generator) -> torch.Tensor:
    images, codes = cg.sample(generator, 3, 6)
    for name, part in (("with", images[:3]), ("without", images[3:])):
        (folder / name).mkdir()
        for index, one in enumerate(part):
            cg.save_image(one[None], folder / name / f"{index}.png")
    return codes.tensor


def test_groups_of_pictures_and_of_codes(folder: Path, generator: Generator) -> None:
    codes = write_pictures(folder, generator)
    groups = ["--method", "groups", "--with", str(folder / "with")]
    assert directions(folder, *groups, "--without", str(folder / "without"), "--name", "mine") == 0
    assert cg.load_directions(folder / "found.safetensors")["mine"].source == "3 against 3 pictures, in W"
    torch.save(codes[3:5], folder / "codes.pt")
    assert directions(folder, *groups, "--without", str(folder / "codes.pt"), "--space", "w") == 0
    assert cg.load_directions(folder / "found.safetensors")["groups"].source == "3 against 2 pictures, in W"


def test_groups_of_saved_inversions(folder: Path, generator: Generator) -> None:
    _, codes = cg.sample(generator, 3, 4)
    for index, one in enumerate(codes.tensor.split(1)):
        place = folder / ("with" if index < 2 else "without")
        place.mkdir(exist_ok=True)
        record = cg.inversion_from_code(generator, cg.LatentCode("w", one))
        cg.save_inversion(record, place / f"{index}.safetensors")
    shown = ["--shown-on", str(folder / "with" / "0.safetensors")]
    groups = ["--method", "groups", "--with", str(folder / "with"), "--without", str(folder / "without")]
    assert directions(folder, *groups, *shown, "--sheet", str(folder / "sheet.png")) == 0
    assert (folder / "sheet.png").is_file()
    assert cg.load_directions(folder / "found.safetensors")["groups"].source == "2 against 2 pictures, in W"


def test_scores_of_seeds_and_of_codes(folder: Path, generator: Generator) -> None:
    table = folder / "scores.csv"
    table.write_text("seed,score\n4,0.5\n\n9, .25\n17;0.75\n")
    assert directions(folder, "--method", "scores", "--scores", str(table)) == 0
    by_seeds = cg.load_directions(folder / "found.safetensors")["scores"]
    assert by_seeds.source == "scores of 3 pictures, in W"
    codes = [cg.sample(generator, seed, truncation_psi=1.0)[1].tensor for seed in (4, 9, 17)]
    torch.save(torch.cat(codes), folder / "codes.pt")
    table.write_text(".5\n.25\n.75\n")
    assert (
        directions(
            folder,
            "--method",
            "scores",
            "--scores",
            str(table),
            "--codes",
            str(folder / "codes.pt"),
            "--space",
            "w",
        )
        == 0
    )
    by_codes = cg.load_directions(folder / "found.safetensors")["scores"]
    torch.testing.assert_close(by_codes.tensor, by_seeds.tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--layers", "4-99"], "there are 0 to 9"),
        (["--components", "40"], "there are 1 to 32"),
        (["--method", "groups"], "--with and --without"),
        (["--method", "groups", "--with", "{}/absent", "--without", "{}/masks"], "absent"),
        (["--method", "groups", "--with", "{}/masks", "--without", "{}/labels.json"], "labels.json"),
        (["--method", "scores", "--scores", "{}/labels.json"], "has 0 scores"),
        (["--out", "{}/found.npy"], "ends in .safetensors"),
        (["--out", "{}/absent/found.safetensors"], "make it first"),
        (["--seed", "-1"], "expected 0 or more"),
    ],
)
def test_bad_input_is_explained(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert directions(folder, *(option.replace("{}", str(folder)) for option in options)) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "found.safetensors").exists()


@pytest.mark.parametrize("text", ["4,.5\nx,.5\n", "4,.5,6\n", ".5\n3,.5\n", "", "a\n", "4294967296,1\n"])
def test_tables_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(InvalidInputError, match=r"scores\.csv"):
        read_scores(tmp_path / "scores.csv")
