"""What lies in the folders that nodes list: every node stays, the good files are offered, the log names the rest."""

from __future__ import annotations

import logging
import os
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.pack_on_double import NAME, TINY, Pack

PLACES = {
    "models/stylegan": ".safetensors",
    "models/stylegan_directions": ".safetensors",
    "models/chunkygan/identity": ".safetensors",
    "models/chunkygan/perceptual": ".safetensors",
    "models/chunkygan/faces": ".onnx",
    "models/face_parsing/one": ".json",
    "output": ".safetensors",
    "input": ".safetensors",
}


def a_link_to_what_is_gone(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def an_empty_file(path: Path) -> None:
    path.touch()


def a_huge_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)  # of no bytes on the disk


def a_header_of_gigabytes(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 33) + b"{")


def a_loop(path: Path) -> None:
    path.symlink_to(path.parent, target_is_directory=True)


STRAYS = (
    a_link_to_what_is_gone,
    a_folder,
    a_pipe,
    an_empty_file,
    a_huge_file,
    a_header_of_gigabytes,
    a_loop,
)


@pytest.fixture
def place(pack: Pack, request: pytest.FixtureRequest) -> Iterator[Path]:
    folder = pack.base / request.param
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.mark.skipif(os.name == "nt", reason="links and pipes")
@pytest.mark.parametrize("stray", STRAYS, ids=lambda stray: stray.__name__)
@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_no_file_takes_a_node_away(pack: Pack, place: Path, stray: Callable[[Path], None]) -> None:
    suffix = PLACES[place.relative_to(pack.base).as_posix()]
    stray(place / f"stray{suffix}")
    for node in pack.nodes.values():
        node.define_schema()


def directions(pack: Pack) -> Any:
    return sys.modules[pack.nodes["ChunkyGAN_LatentEdit"].__module__]


@pytest.mark.parametrize("place", ["models/stylegan_directions"], indirect=True)
def test_the_log_names_a_file_once_that_is_left_out(
    pack: Pack,
    place: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (place / "odd.safetensors").write_bytes(b"no tensors")
    save_file({"directions/own": torch.ones(8)}, place / "good.safetensors")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            names = directions(pack).direction_names()
    assert "good.safetensors/own" in names
    assert not [name for name in names if "odd" in name]
    told = [record.getMessage() for record in caplog.records if "odd.safetensors" in record.getMessage()]
    assert len(told) == 1


@pytest.mark.parametrize("place", ["models/stylegan_directions"], indirect=True)
def test_what_the_list_offers_is_found_whatever_slashes_it_has(pack: Pack, place: Path) -> None:
    (place / "sub").mkdir(exist_ok=True)
    files = {
        "mine.safetensors": ("pose/yaw", "pose", "a/b/c"),
        "sub/mine.safetensors": ("pose/yaw", "smile"),
    }
    for number, (file, names) in enumerate(files.items()):
        tensors = {
            f"directions/{name}": torch.full((32,), 10.0 * number + index + 1)
            for index, name in enumerate(names)
        }
        save_file(tensors, place / file)
    (tiny,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    for number, (file, names) in enumerate(files.items()):
        for index, name in enumerate(names):
            choice = f"{file}/{name}"
            assert choice in directions(pack).direction_names()
            found = directions(pack).direction_by_name(choice, tiny.generator)
            assert found.name == name
            assert float(found.tensor[0]) == 10 * number + index + 1
    (place / "sub" / "mine.safetensors").unlink()


@pytest.mark.parametrize("place", ["models/stylegan_directions"], indirect=True)
def test_a_direction_file_that_changes_is_read_again(pack: Pack, place: Path) -> None:
    save_file({"directions/before": torch.ones(8)}, place / "one.safetensors")
    assert "one.safetensors/before" in directions(pack).direction_names()
    save_file(
        {"directions/after": torch.ones(8), "directions/more": torch.ones(8)}, place / "one.safetensors"
    )
    assert "one.safetensors/after" in directions(pack).direction_names()
    assert "one.safetensors/before" not in directions(pack).direction_names()


@pytest.mark.parametrize("name", ["gone.safetensors", "../../outside.safetensors", "sub/gone.pkl"])
def test_a_file_that_is_gone_is_named_with_its_folder(pack: Pack, name: str) -> None:
    with pytest.raises(pack.errors.MissingWeightsError, match="press R and choose it") as caught:
        pack.run("ChunkyGAN_LoadStyleGAN", name=name)
    assert name in str(caught.value)
    assert "stylegan" in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="links")
@pytest.mark.parametrize("place", ["models/stylegan"], indirect=True)
def test_links_to_folders_are_followed_once(pack: Pack, place: Path, tmp_path: Path) -> None:
    for name in ("elsewhere.safetensors", "ELSE.PKL"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "loop").symlink_to(tmp_path)
    (place / "linked").symlink_to(tmp_path)
    listed = sys.modules[f"{NAME}.nodes.model_files"].files_in("stylegan", (".safetensors", ".pkl"))
    assert [name for name in listed if name.startswith("linked")] == [
        str(Path("linked") / "ELSE.PKL"),
        str(Path("linked") / "elsewhere.safetensors"),
    ]


@pytest.mark.parametrize("place", ["models/stylegan_directions"], indirect=True)
def test_a_direction_file_that_cannot_be_read_says_why(pack: Pack, place: Path) -> None:
    (place / "web.safetensors").write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
    said = pack.nodes["ChunkyGAN_LatentEdit"].validate_inputs(direction="web.safetensors/smile")
    assert "web page" in said
    assert "it has" not in said


@pytest.mark.parametrize("letter", ["x", "\u00fc"])
def test_names_that_no_file_can_have_are_refused_before_the_run(pack: Pack, letter: str) -> None:
    for node, widget in (("ChunkyGAN_SaveInversion", "filename_prefix"), ("ChunkyGAN_SaveStyleGAN", "name")):
        said = pack.nodes[node].validate_inputs(**{widget: letter * 300})
        assert "too long for a file" in said
