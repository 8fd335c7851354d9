"""The command line from a photo of any size to the photo with an edited face, and what it says where it can't."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from chunky_core.cli import main
from chunky_core.cli.face_options import read_landmarks_file
from chunky_core.demo.landmarks import portrait_landmarks
from chunky_core.demo.photos import demo_photo
from chunky_core.images import load_image, save_image, to_uint8
from chunky_core.inversion import load_inversion
from chunky_core.segments.face_mesh.landmarks import write_face_landmarks
from tests.test_cli_errors import ended_in_one_line

LEFT, TOP = 40, 24  # of the portrait in the photo


@pytest.fixture
def snapshot(studio: Path) -> Path:
    """The studio with a portrait in a larger photo, `snapshot.png`, its landmarks, and the points of them."""
    portrait = demo_photo(7, resolution=192)
    photo = F.pad(portrait.image, (LEFT, 60, TOP, 30), mode="reflect")
    save_image(photo, studio / "snapshot.png")
    mesh = portrait_landmarks(portrait.labels)
    assert mesh is not None
    moved = type(mesh)(mesh.points + torch.tensor([LEFT, TOP]), 1.0)
    template = {"connection_sets": {}}
    data = write_face_landmarks([[moved]], (photo.shape[-2], photo.shape[-1]), template)
    (studio / "landmarks.json").write_text(json.dumps(data, default=lambda array: array.tolist()))
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in moved.alignment_points())
    (studio / "points.txt").write_text(points)
    return studio


def photo(folder: Path, *more: str, source: tuple[str, ...] = ()) -> int:
    """Run `photo` in a furnished folder, three steps, pictures to `out`."""
    given = source or ("--landmarks", str(folder / "landmarks.json"))
    return main(
        ["photo", str(folder / "snapshot.png"), *given, "--generator", str(folder / "tiny.safetensors")]
        + ["--directions", str(folder / "directions.safetensors"), "--steps", "3", "--no-global"]
        + ["--grow", "1", "--feather", "0.7", "--device", "cpu", "--out", str(folder / "out"), *more]
    )


def changed_pixels(folder: Path) -> torch.Tensor:
    before, after = (load_image(folder / name) for name in ("snapshot.png", "out/edited_photo.png"))
    return (to_uint8(before) != to_uint8(after)).any(-1)[0]


def test_the_photo_comes_back_with_an_edited_mouth(snapshot: Path):
    assert photo(snapshot, "--edit", "mouth:smile=3", "--only", "mouth") == 0
    changed = changed_pixels(snapshot)
    figures = json.loads((snapshot / "out/figures.json").read_text())
    assert figures["changed_photo_pixels"] == int(changed.sum()) > 20
    rows, columns = torch.nonzero(changed, as_tuple=True)
    assert rows.min() > TOP + 110 and rows.max() < TOP + 190
    assert columns.min() > LEFT + 40 and columns.max() < LEFT + 152
    assert figures["faces"] == 1 and not figures["average_face"]
    assert load_image(snapshot / "out/crop.png").shape[-1] == 64
    assert load_image(snapshot / "out/outline.png").shape == load_image(snapshot / "snapshot.png").shape


def test_without_an_edit_no_pixel_changes(snapshot: Path):
    assert photo(snapshot) == 0
    assert not changed_pixels(snapshot).any()
    assert json.loads((snapshot / "out/figures.json").read_text())["changed_photo_pixels"] == 0


def test_the_inversion_knows_where_the_face_was(snapshot: Path):
    assert photo(snapshot, "--only", "mouth") == 0
    figures = json.loads((snapshot / "out/figures.json").read_text())
    alignment = load_inversion(snapshot / "out/inversion.safetensors").alignment
    assert alignment is not None and alignment.original_size == (192 + TOP + 30, 192 + LEFT + 60)
    assert torch.allclose(torch.tensor(alignment.quad), torch.tensor(figures["quad"]), atol=0.01)


def test_points_make_do_with_an_average_face(snapshot: Path, capsys):
    points = ("--points", (snapshot / "points.txt").read_text())
    assert photo(snapshot, "--only", "mouth, eyes", source=points) == 0
    assert "the segments are an average face's" in capsys.readouterr().err
    assert json.loads((snapshot / "out/figures.json").read_text())["average_face"]
    by_points = load_inversion(snapshot / "out/inversion.safetensors")
    assert photo(snapshot, "--only", "mouth, eyes") == 0
    by_landmarks = load_inversion(snapshot / "out/inversion.safetensors")  # an average face's, too
    assert set(by_points.masks.names) == set(by_landmarks.masks.names) == {"mouth", "left_eye", "right_eye"}
    assert torch.allclose(by_points.masks.masks, by_landmarks.masks.masks, atol=0.1)


def test_it_goes_on_where_it_stopped(snapshot: Path, capsys):
    """Also with the face from another source, which puts it a fraction of a pixel elsewhere."""
    assert photo(snapshot, "--only", "mouth") == 0
    before = load_inversion(snapshot / "out/inversion.safetensors")
    again = ("--only", "mouth", "--steps", "5", "--resume", "--edit", "mouth:smile=3")
    points = ("--points", (snapshot / "points.txt").read_text())
    capsys.readouterr()
    assert photo(snapshot, *again, source=points) == 0
    assert "goes on with its own crop and segments" in capsys.readouterr().err
    after = load_inversion(snapshot / "out/inversion.safetensors")
    assert len(after.losses["mouth"]) == 5 and after.alignment == before.alignment
    assert torch.equal(after.masks.masks, before.masks.masks)
    assert changed_pixels(snapshot).any() and not changed_pixels(snapshot)[:TOP].any()
    assert photo(snapshot, *again, "--grow", "2") == 2
    assert "was made with segments_grow 1, now it is 2" in capsys.readouterr().err
    far = ("--points", "30,30 50,30 32,50 48,50")
    assert photo(snapshot, *again, source=far) == 2
    assert "another crop of this photo" in capsys.readouterr().err


def test_masks_of_the_whole_photo_are_cut_out_with_the_face(snapshot: Path):
    (snapshot / "whole").mkdir()
    mask = torch.zeros(1, 3, *load_image(snapshot / "snapshot.png").shape[-2:]) - 1
    mask[..., TOP + 10 : TOP + 60, LEFT + 30 : LEFT + 160] = 1
    save_image(mask, snapshot / "whole" / "hair.png")
    assert photo(snapshot, "--masks", str(snapshot / "whole"), "--edit", "hair:smile=3") == 0
    assert load_inversion(snapshot / "out/inversion.safetensors").masks.names == ("hair",)
    rows, columns = torch.nonzero(changed_pixels(snapshot), as_tuple=True)
    assert rows.min() > TOP - 8 and rows.max() < TOP + 80  # a pixel of the crop is 3.5 of the photo
    assert columns.min() > LEFT + 10 and columns.max() < LEFT + 180


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--face", "2"], "--face 2 was asked for"),
        (["--edit", "mouth:frown=2"], "smile"),
        (["--edit", "hair:smile=2"], "mouth"),
        (["--only", "moustache"], "mouth"),
        (["--static", "sky"], "sky"),
        (["--rename", "beard = mouth"], "beard"),
        (["--masks", "{studio}/labels.png", "--rename", "nose = mouth"], "--rename"),
        (["--label-names", "bisenet"], "add --masks"),
        (["--masks-of", "7"], "add --masks"),
        (
            ["--masks", "{studio}/labels.png", "--label-names", "nothing"],
            "no preset of names and no file 'nothing'",
        ),
        (["--masks", "{studio}/masks", "--masks-of", "7"], "none of '7'"),
        (["--generator", "absent.safetensors"], "absent.safetensors"),
        (["--out", "{studio}/landmarks.json"], "another folder"),
    ],
)
def test_slips_end_in_one_line_before_any_work(snapshot: Path, capsys, more: list[str], said: str):
    assert photo(snapshot, *(text.format(studio=snapshot) for text in more)) == 2
    assert said in ended_in_one_line(capsys)
    assert not (snapshot / "out").exists()


def test_without_a_source_it_names_the_detectors_file(snapshot: Path, capsys):
    assert photo(snapshot, source=("--face", "largest")) == 2
    message = ended_in_one_line(capsys)
    for word in ("--landmarks", "--points", "face_detection_yunet_2023mar.onnx", "232589 bytes", "MIT"):
        assert word in message


def test_a_detector_that_is_not_there_is_named(snapshot: Path, capsys):
    assert photo(snapshot, source=("--detector", "absent.onnx")) == 2
    message = ended_in_one_line(capsys)
    assert "there is no file absent.onnx" in message and "232589 bytes" in message
    assert "--landmarks" in message and "--points" in message and "press R" not in message
    assert photo(snapshot, source=("--detector", str(snapshot))) == 2
    assert "is a folder, no file; choose a file inside; expected YuNet" in ended_in_one_line(capsys)


def test_landmarks_of_another_size_are_scaled_and_it_is_said(snapshot: Path, capsys):
    given = json.loads((snapshot / "landmarks.json").read_text())
    height, width = given["image_size"]
    (plain,) = read_landmarks_file(snapshot / "landmarks.json", (height, width))
    assert not capsys.readouterr().err
    (scaled,) = read_landmarks_file(snapshot / "landmarks.json", (2 * height, 2 * width))
    assert torch.allclose(scaled.points, 2 * plain.points)
    said = capsys.readouterr().err
    assert (
        f"found in a picture of {width}x{height}, this one is {2 * width}x{2 * height}: they are scaled"
        in said
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "without frames"),
        ('{"frames": [], "image_size": [246, 292]}', "landmarks of 0 photos"),
        ('{"frames": [[]], "image_size": [246, 292]}', "no face was found"),
        ('{"frames": [[{}]], "image_size": [246, 292]}', "no landmarks_xy"),
        ('{"frames": [[]], "image_size": [100, 292]}', "292x100"),
    ],
)
def test_a_landmark_file_that_is_none(snapshot: Path, capsys, content: str, said: str):
    (snapshot / "landmarks.json").write_text(content)
    assert photo(snapshot) == 2
    assert said in ended_in_one_line(capsys)


def test_an_input_is_not_written_over(snapshot: Path, capsys):
    (snapshot / "snapshot.png").rename(snapshot / "crop.png")
    given = ["--points", (snapshot / "points.txt").read_text(), "--out", str(snapshot)]
    assert main(["photo", str(snapshot / "crop.png"), *given]) == 2
    assert "crop.png is an input" in ended_in_one_line(capsys)


def test_the_astronaut_by_detector_and_landmarks(shared: Path, studio: Path):
    """Tilted by 30 degrees: both ways find the same upright crop, and without an edit no pixel changes."""
    faces = shared / "faces"
    photo_file = faces / "astronaut_turned30.png"
    sources = {
        "landmarks": faces / "face_landmarks_astronaut_turned30.json",
        "detector": faces / "face_detection_yunet_2023mar.onnx",
    }
    quads = []
    for name, path in sources.items():
        out = studio / name
        command = [
            "photo",
            str(photo_file),
            f"--{name}",
            str(path),
            "--generator",
            str(studio / "tiny.safetensors"),
        ]
        assert (
            main(
                [
                    *command,
                    "--only",
                    "mouth",
                    "--steps",
                    "2",
                    "--no-global",
                    "--device",
                    "cpu",
                    "--out",
                    str(out),
                ]
            )
            == 0
        )
        figures = json.loads((out / "figures.json").read_text())
        assert figures["changed_photo_pixels"] == 0
        assert torch.equal(load_image(out / "edited_photo.png"), load_image(photo_file))
        quads.append(torch.tensor(figures["quad"]))
    assert torch.allclose(*quads, atol=12)  # of a side of 173 pixels
    side = quads[0][3] - quads[0][0]
    assert torch.rad2deg(torch.atan2(side[1], side[0])).item() == pytest.approx(30, abs=4)
