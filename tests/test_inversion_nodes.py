"""Save, Load and Render Inversion on the double of the host, with and without the photo."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.pack_on_double import NAME, SIZE, TINY, Pack


def core(name: str) -> Any:
    return importlib.import_module(f"{NAME}.chunky_core.{name}")


@pytest.fixture(scope="module")
def generator(pack: Pack) -> Any:
    (hosted,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    return hosted


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    levels = torch.randint(0, 256, (1, SIZE, SIZE, 3), generator=torch.Generator().manual_seed(3))
    return levels / 255


@pytest.fixture(scope="module")
def inversion(pack: Pack, generator: Any, photo: torch.Tensor) -> tuple[Any, ...]:
    """Two segments and a static row, at the mean code."""
    records = core("inversion")
    masks = torch.zeros(2, 1, SIZE, SIZE)
    masks[0, :, :20], masks[1, :, 20:-4] = 1, 1
    networks = generator.generator
    code = core("generator.spaces").LatentCode("w", networks.w_avg[None].clone())
    segments = tuple(
        records.SegmentCode(name, mask[None], code) for name, mask in zip("ab", masks, strict=True)
    )
    static = 1 - masks.sum(dim=0, keepdim=True)
    core_photo = pack.host.to_core(photo)
    return (records.Inversion(core_photo, segments, static, networks.fingerprint),)


def saved(pack: Pack, inversion: tuple[Any, ...], prefix: str, with_photo: bool) -> str:
    """The file in the host's notation."""
    (files,) = pack.run(
        "ChunkyGAN_SaveInversion", inversion=inversion, filename_prefix=prefix, with_photo=with_photo
    )
    return f"{Path(files).relative_to(pack.base / 'output').as_posix()} [output]"


def test_with_its_photo(pack: Pack, generator: Any, inversion: tuple[Any, ...], photo: torch.Tensor) -> None:
    file = saved(pack, inversion, "record/with", True)
    opened, shown, _ = pack.run("ChunkyGAN_LoadInversion", file=file)
    assert torch.equal(shown, photo)
    (before,) = pack.run("ChunkyGAN_RenderInversion", generator=generator, inversion=inversion)
    (after,) = pack.run("ChunkyGAN_RenderInversion", generator=generator, inversion=opened)
    (given,) = pack.run("ChunkyGAN_RenderInversion", generator=generator, inversion=opened, photo=photo)
    assert torch.equal(before, after) and torch.equal(before, given)


def test_without_its_photo(
    pack: Pack,
    generator: Any,
    inversion: tuple[Any, ...],
    photo: torch.Tensor,
) -> None:
    file = saved(pack, inversion, "record/without", False)
    opened, blocked, _ = pack.run("ChunkyGAN_LoadInversion", file=file)
    assert "connect the photo" in blocked.message
    draw = {"generator": generator, "inversion": opened}
    for node in ("ChunkyGAN_RenderInversion", "ChunkyGAN_PoissonComposite"):
        with pytest.raises(pack.errors.InvalidInputError, match="saved without its photo"):
            pack.run(node, **draw)
    (expected,) = pack.run("ChunkyGAN_RenderInversion", generator=generator, inversion=inversion)
    (picture,) = pack.run("ChunkyGAN_RenderInversion", **draw, photo=photo)
    assert torch.equal(picture, expected)
    _, shown = pack.run("ChunkyGAN_PoissonComposite", **draw, photo=photo)
    assert torch.equal(shown, photo)
    again, shown, _ = pack.run("ChunkyGAN_LoadInversion", file=file, photo=photo)
    assert torch.equal(shown, photo) and torch.equal(again[0].photo, inversion[0].photo)


def test_another_photo_is_refused(pack: Pack, inversion: tuple[Any, ...], photo: torch.Tensor) -> None:
    file = saved(pack, inversion, "record/other", False)
    for other, message in (
        (1 - photo, "is not the one that was inverted"),
        (photo[:, 1:], "the photo is 64x63, its masks are 64x64"),
        (photo.expand(2, -1, -1, -1), "2 photos"),
    ):
        with pytest.raises(pack.errors.InvalidInputError, match=message):
            pack.run("ChunkyGAN_LoadInversion", file=file, photo=other)


def test_the_list_is_refreshed_when_a_file_changes(pack: Pack, inversion: tuple[Any, ...]) -> None:
    load = pack.nodes["ChunkyGAN_LoadInversion"]
    file = saved(pack, inversion, "record/fresh", True)
    assert load.validate_inputs(file) is True
    assert "no inversion file" in load.validate_inputs("absent.safetensors")
    assert load.fingerprint_inputs(file, photo=None) == load.fingerprint_inputs(file)


def test_a_fresh_install_has_no_file_and_says_how_to_get_one(
    pack: Pack,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folders = importlib.import_module("folder_paths")
    load = pack.nodes["ChunkyGAN_LoadInversion"]
    for folder in ("output", "input"):
        monkeypatch.setattr(folders, f"_{folder}", str(tmp_path / folder))
        (tmp_path / folder / "folder.safetensors").mkdir(parents=True)
        (tmp_path / folder / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    (file, _) = load.define_schema().inputs
    (choice,) = file.widget["options"]
    assert choice == "no saved inversion yet"
    for given in (choice, "other.safetensors", "", "folder.safetensors", "gone.safetensors", "../log"):
        assert "Save Inversion writes one" in load.validate_inputs(given)
        assert load.fingerprint_inputs(given) == given
        with pytest.raises(pack.errors.InvalidInputError, match="press R and choose it"):
            pack.run("ChunkyGAN_LoadInversion", file=given)
    assert load.validate_inputs() is load.validate_inputs(None) is True  # linked: known when the node runs


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        ("../out", "leads out of the output folder"),
        ("kept/../../out", "leads out of the output folder"),
        ("/elsewhere/out", "leads out of the output folder"),
        ("link/out", "leads out of the output folder"),
        ("a/..", "the filename_prefix is 'a/..'"),
        (" ", "the filename_prefix is ' '"),
        ("", "the filename_prefix is ''"),
        ("nul\0", "the filename_prefix is"),
        ("file/deeper/out", "'file' is no folder"),
    ],
)
def test_a_prefix_that_cannot_be_written_is_refused_before_the_run(
    pack: Pack,
    inversion: tuple[Any, ...],
    prefix: str,
    problem: str,
) -> None:
    output = pack.base / "output"
    (output / "file").touch()
    if not (output / "link").is_symlink():
        (output / "link").symlink_to(pack.base / "models")
    save = pack.nodes["ChunkyGAN_SaveInversion"]
    assert problem in save.validate_inputs(prefix)
    with pytest.raises(pack.errors.InvalidInputError, match="write a folder and|is no folder"):
        pack.run("ChunkyGAN_SaveInversion", inversion=inversion, filename_prefix=prefix)
    for good in ("one", "deep/er/one", "dots..in/na.me", "a/../b", "%year%/one"):
        assert save.validate_inputs(good) is True
    assert save.validate_inputs() is save.validate_inputs(None) is True
