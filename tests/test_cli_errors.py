"""Slips on the command line end in one line before any work, and never in a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from chunky_core.checkpoints.generators import DEMO
from chunky_core.cli import main
from chunky_core.images import color_profile, load_image, to_uint8
from chunky_core.inversion import load_inversion
from tests.cli_tools import edit
from tests.test_images import with_profile

LONG = "a" * 300


def ended_in_one_line(capsys) -> str:
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1, message
    return message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--edit", "mouth:frown=2"], "smile"),
        (["--edit", "moustache:smile=2"], "mouth"),
        (["--edit", "mouth:smile=much"], "much"),
        (["--static", "sky"], "background"),
        (["--masks", "{studio}/photo.png"], "photo.png"),
        (["--masks", "{studio}/nothing.png"], "nothing.png"),
        (["--masks", "{studio}"], "labels.png is nearly black as a mask"),
        (["--generator", "absent.safetensors"], "absent.safetensors"),
        (["--generator", "{studio}"], "is a folder; expected a file of weights"),
        (["--directions", "{studio}"], "no direction file"),
        (["--directions", "{studio}/nothing.npy"], "nothing.npy"),
        (["--device", "gpu"], "--device gpu"),
        (["--device", "cuda:99"], "cpu"),
        (["--device", "meta"], "--device meta"),
        (["--steps", "0"], "steps is 0"),
        (["--grow", "-1"], "grow is -1"),
        (["--feather", "nan"], "nan"),
        (["--out", "{studio}/photo.png"], "another folder"),
        (["--out", "{studio}/tiny.safetensors"], "another folder"),
        (["--out", "{studio}/labels.json"], "another folder"),
        (["--out", "{studio}/masks/skin.png"], "is a file"),
        (["--out", "{studio}/photo.png/out"], "photo.png/out"),
        (["--out", f"{{studio}}/{LONG}"], LONG),
        (["--out", "{studio}/masks", "--masks", "{studio}/masks"], "another folder"),
    ],
)
def test_bad_options_are_one_line_before_any_work(studio: Path, capsys, monkeypatch, arguments, said):
    monkeypatch.setattr("chunky_core.cli.projecting.project", lambda *_, **__: pytest.fail("it has begun"))
    before = sorted(studio.rglob("*"))
    assert edit(studio, *(one.format(studio=studio) for one in arguments)) == 2
    assert said in ended_in_one_line(capsys) and sorted(studio.rglob("*")) == before


def test_an_unknown_static_name_lists_the_masks(studio: Path, capsys):
    assert edit(studio, "--static", "sky", masks="masks") == 2
    assert "skin" in ended_in_one_line(capsys) and not (studio / "out").exists()


def test_a_photo_that_would_be_overwritten_is_refused(studio: Path, capsys):
    photo = studio / "composite.png"
    (studio / "photo.png").rename(photo)
    content = photo.read_bytes()
    arguments = ["edit", str(photo), "--masks", str(studio / "labels.png"), "--out", str(studio)]
    assert main(arguments) == 2
    assert "composite.png" in ended_in_one_line(capsys) and photo.read_bytes() == content


@pytest.mark.parametrize("kind", ["table", "directions", "generator", "linked mask"])
def test_no_input_is_overwritten(studio: Path, capsys, kind: str) -> None:
    out = studio / "out"
    out.mkdir()
    masks, options = "labels.png", []
    if kind == "table":
        for ending in ("png", "json"):
            (studio / f"labels.{ending}").rename(out / f"figures.{ending}")
        masks, target = "out/figures.png", out / "figures.json"
    elif kind == "linked mask":
        masks, target = "masks", out / "composite.png"
        (studio / "masks" / "mouth.png").rename(target)
        (studio / "masks" / "mouth.png").symlink_to(target)
    else:
        source, target = (
            {"directions": "directions", "generator": "tiny"}[kind],
            out / "inversion.safetensors",
        )
        (studio / f"{source}.safetensors").rename(target)
        options = [f"--{kind}", str(target)]
    content = target.read_bytes()
    assert edit(studio, *options, masks=masks) == 2
    said = ended_in_one_line(capsys)
    assert "is an input" in said and "another folder as --out" in said
    assert target.read_bytes() == content and len(list(out.iterdir())) <= 2


def test_the_demo_overwrites_no_input_either(studio: Path, capsys) -> None:
    target = studio / "inversion.safetensors"
    (studio / "directions.safetensors").rename(target)
    assert main(["demo", "--directions", str(target), "--out", str(studio)]) == 2
    assert "is an input" in ended_in_one_line(capsys)


@pytest.mark.parametrize("number", ["seven", "1.5", "", "--"])
def test_a_photo_number_that_is_none_shows_the_usage(number: str, tmp_path: Path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["demo", "--photo", number, "--out", str(tmp_path / "out")])
    assert left.value.code == 2 and "--photo" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "99", "-1"])
def test_a_demo_photo_that_is_not_there_names_those_that_are(number: str, tmp_path: Path, capsys):
    assert main(["demo", "--photo", number, "--out", str(tmp_path / "out")]) == 2
    assert "1 to 6" in ended_in_one_line(capsys) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", [str(2**64), "-1", "x"])
def test_a_seed_out_of_range_shows_the_usage(seed: str, tmp_path: Path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["demo", "--seed", seed, "--out", str(tmp_path / "out")])
    assert left.value.code == 2 and "--seed" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_label_names_in_the_encodings_of_editors(studio: Path, encoding: str):
    sidecar = studio / "labels.json"
    sidecar.write_text(sidecar.read_text().replace('"mouth"', '" m\u00fand "'), encoding=encoding)
    assert edit(studio, "--no-global") == 0
    assert "m\u00fand" in load_inversion(studio / "out" / "inversion.safetensors").names


@pytest.mark.parametrize(
    "content",
    ["[1, 2]", '{"one": "hair"}', '{"0": null}', '{"0": ["hair"]}', '{"0": ""}', "[" * 100_000, "\xff", ""],
)
def test_a_damaged_table_of_label_names_is_named(studio: Path, capsys, content: str):
    (studio / "labels.json").write_text(content, encoding="latin-1")
    assert edit(studio) == 2
    assert "labels.json" in ended_in_one_line(capsys)


def test_a_folder_in_the_place_of_the_label_names_is_named(studio: Path, capsys):
    (studio / "labels.json").unlink()
    (studio / "labels.json").mkdir()
    assert edit(studio) == 2
    assert "labels.json" in ended_in_one_line(capsys)


@pytest.mark.parametrize("masks", ["labels.png", "masks"])
def test_blanks_and_empty_entries_in_lists_do_not_count(studio: Path, masks: str):
    assert edit(studio, "--no-global", "--static", " Background , skin,, ", masks=masks) == 0
    names = load_inversion(studio / "out" / "inversion.safetensors").names
    assert "mouth" in names and not {"background", "skin"} & set(names)


def test_a_static_mask_lies_on_top_of_the_segments(studio: Path):
    hand = np.zeros((64, 64), np.uint8)
    hand[20:50, 20:50] = 255
    cv2.imwrite(str(studio / "masks" / "hand.png"), hand)
    assert edit(studio, "--no-global", "--static", "hand", "--feather", "0", masks="masks") == 0
    photo, picture = (to_uint8(load_image(studio / name)) for name in ("photo.png", "out/composite.png"))
    assert torch.equal(photo[:, 20:50, 20:50], picture[:, 20:50, 20:50])


@pytest.mark.parametrize("suffix", [".PNG", ".jpg", ".webp", ".tif"])
def test_masks_of_every_common_format_are_used(studio: Path, suffix: str):
    old = studio / "masks" / "mouth.png"
    (studio / "masks" / f"mouth{suffix}").write_bytes(
        cv2.imencode(suffix.lower(), cv2.imread(str(old)))[1].tobytes()
    )
    if suffix != ".PNG" or (studio / "masks" / "mouth.PNG").samefile(old) is False:
        old.unlink()
    assert edit(studio, "--no-global", masks="masks") == 0
    assert set(load_inversion(studio / "out" / "inversion.safetensors").names) == {"mouth", "skin"}


def test_two_masks_of_one_name_are_refused(studio: Path, capsys):
    (studio / "masks" / "mouth.jpg").write_bytes(b"")
    assert edit(studio, masks="masks") == 2
    message = ended_in_one_line(capsys)
    assert "mouth.jpg" in message and "mouth.png" in message


def test_the_colour_profile_of_the_photo_is_kept(studio: Path, capsys):
    photo, profile = studio / "photo.png", bytes(16) + b"RGB " + bytes(112)
    before, content = load_image(photo), photo.read_bytes()
    photo.write_bytes(with_profile(content, profile))
    assert edit(studio, "--no-global") == 0
    for name in ("composite", "reconstruction"):
        assert color_profile(studio / "out" / f"{name}.png") == profile
    static = load_inversion(studio / "out" / "inversion.safetensors").static_mask[0, 0] == 1
    picture = load_image(studio / "out" / "composite.png")
    assert torch.equal(to_uint8(picture)[0][static], to_uint8(before)[0][static])
    photo.write_bytes(with_profile(content, bytes(16) + b"GRAY" + bytes(112)))
    capsys.readouterr()
    assert edit(studio, "--no-global") == 0
    assert "GRAY" in capsys.readouterr().err and color_profile(studio / "out" / "composite.png") is None


def test_a_file_error_nobody_foresaw_is_one_line_with_the_path(capsys, monkeypatch, tmp_path: Path):
    def fail(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "locked"))

    monkeypatch.setattr("chunky_core.cli.demo.load_shipped_photo", fail)
    assert main(["demo", "--out", str(tmp_path / "out")]) == 2
    message = ended_in_one_line(capsys)
    assert "locked" in message and "Permission denied" in message


def test_a_folder_that_is_read_only_is_found_before_any_work(studio: Path, capsys, monkeypatch):
    def refuse(**_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("chunky_core.cli.outputs.TemporaryFile", refuse)
    monkeypatch.setattr("chunky_core.cli.projecting.project", lambda *_, **__: pytest.fail("it has begun"))
    assert edit(studio) == 2
    message = ended_in_one_line(capsys)
    assert str(studio / "out") in message and "Permission denied" in message


def test_too_little_memory_is_one_line(capsys, monkeypatch, tmp_path: Path):
    def fail(*_arguments: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("chunky_core.cli.demo.load_shipped_photo", fail)
    assert main(["demo", "--out", str(tmp_path / "out")]) == 2
    assert "CUDA out of memory" in ended_in_one_line(capsys)


@pytest.mark.parametrize("arguments", [["inspect", LONG], ["convert", "demo", f"{LONG}.safetensors"]])
def test_names_that_are_too_long_are_one_line(arguments: list[str], capsys):
    assert main(arguments) == 2
    assert LONG in ended_in_one_line(capsys)


@pytest.mark.skipif(os.name != "posix", reason="pipes that close early are POSIX's")
def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -W ignore -m chunky_core inspect {DEMO} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    assert done.returncode == 141 and done.stderr == ""


def test_a_disk_without_room_is_known_before_the_projection(studio: Path, capsys, monkeypatch):
    usage = shutil.disk_usage(studio)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=100_000))
    assert edit(studio, "--no-global") == 2
    assert "has 0.1 MB left on its disk, the results may need" in capsys.readouterr().err
    assert not list((studio / "out").iterdir())
