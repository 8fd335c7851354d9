"""Faces by detectors (their results stand in here), by hand, and from OpenPose's JSON."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from chunky_core.alignment.face_crop import face_alignment
from chunky_core.alignment.face_detection import detect_faces, draw_quads
from chunky_core.alignment.face_points import (
    BOX_EXAMPLE,
    BOX_MEANING,
    POINTS_EXAMPLE,
    FacePoints,
    parse_points,
    parse_rectangles,
    points_from_landmarks,
    points_from_openpose,
)
from chunky_core.alignment.faces import Face, choose_face, quad_from_rectangle
from chunky_core.errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from chunky_core.images import load_image

PHOTO = torch.zeros(1, 3, 600, 1280)
EYES_AND_MOUTH = FacePoints(((10, 20), (30, 20)), ((12, 40), (28, 40)))
IBUG = [(float(i), 0.0) for i in range(68)]
for index, place in {48: (12, 40), 54: (28, 40)}.items():
    IBUG[index] = place
for i in range(6):
    IBUG[36 + i], IBUG[42 + i] = (10 + (i - 2.5), 20), (30 + (i - 2.5), 20)


def test_cascade_boxes_become_upright_faces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class FakeCascade:
        def __init__(self, path: str) -> None:
            assert Path(path).is_file()

        def detectMultiScale(self, grey: np.ndarray, *numbers: float, **options: Any) -> np.ndarray:  # noqa: N802
            assert grey.shape == (600, 1280)
            return np.array([[200, 100, 100, 100]], np.int32)

    (tmp_path / "haarcascade_frontalface_default.xml").touch()
    monkeypatch.setattr(cv2, "CascadeClassifier", FakeCascade, raising=False)
    monkeypatch.setattr(cv2, "data", type("Data", (), {"haarcascades": str(tmp_path)}), raising=False)
    (face,) = detect_faces(PHOTO)
    (left, top), _, (right, bottom), (_, level) = face.quad
    assert top == pytest.approx(level) and (left + right) / 2 == pytest.approx(250)
    assert 1.2 < (right - left) / 100 < 2 and top < 100 and bottom > 200


def test_without_a_detector_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    with pytest.raises(MissingWeightsError, match=f"no face detector is installed .*{WHERE_TO_GET}"):
        detect_faces(PHOTO)


WHERE_TO_GET = (
    r"expected YuNet, face_detection_yunet_2023mar.onnx from OpenCV's model zoo .*232589 bytes, MIT licence.*Apache-2.0"
    r".*; get it and give its path as model, or say where the face is: Face\(.*FacePoints\("
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gone.onnx", "there is no file .*gone.onnx"),
        (".", "is a folder, no file; choose a file inside"),
        ("pipe", "is no regular file but a device, pipe or socket"),
        ("bad.onnx", r"OpenCV .* cannot use .*bad.onnx \(10 bytes\) as a face detector"),
        ("pointer.onnx", r"cannot use .*pointer.onnx \(44 bytes\)"),
        ("empty.onnx", r"cannot use .*empty.onnx \(0 bytes\)"),
    ],
)
def test_a_file_that_is_no_detector(tmp_path: Path, name: str, found: str) -> None:
    """What was found, what was expected, and what a reader of Python can do; no word of ComfyUI."""
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    (tmp_path / "pointer.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\no")
    (tmp_path / "empty.onnx").touch()
    os.mkfifo(tmp_path / "pipe")
    kinds = (MissingWeightsError, UnsupportedCheckpointError)
    with pytest.raises(kinds, match=f"{found}.*{WHERE_TO_GET}") as caught:
        detect_faces(torch.zeros(1, 3, 32, 32), model=tmp_path / name)
    assert "press R" not in str(caught.value) and "models/" not in str(caught.value).replace(
        "folder models/", ""
    )


@pytest.mark.parametrize("scale", [255.0, -255.0, 100.0])
def test_photos_in_0_to_255_are_refused(scale: float, shared: Path) -> None:
    """Also where a face would be found in what 8 bits leave of them."""
    model = shared / "faces" / "face_detection_yunet_2023mar.onnx"
    with pytest.raises(InvalidInputError, match=r"expected \[-1, 1\]: divide 0..255 by 127.5"):
        detect_faces(torch.rand(1, 3, 64, 64) * scale, model=model)


def test_transparency_is_not_looked_at(shared: Path) -> None:
    model = shared / "faces" / "face_detection_yunet_2023mar.onnx"
    photo = load_image(shared / "faces" / "astronaut.png")[..., :256, 100:356]
    with_alpha = torch.cat([photo, -torch.ones_like(photo[:, :1])], 1)
    assert detect_faces(with_alpha, model=model) == detect_faces(photo, model=model) != ()
    outline = (face_alignment(photo, Face((50, 60, 100, 80))),)
    assert torch.equal(draw_quads(with_alpha, outline), draw_quads(photo, outline))


def test_choosing_among_faces() -> None:
    faces = (Face((50, 0, 30, 30)), Face((5, 0, 10, 10)), Face((90, 0, 5, 5)))
    assert choose_face(faces) is faces[0] and choose_face(faces, "leftmost") is faces[1]
    assert [choose_face(faces, i) for i in range(3)] == [faces[1], faces[0], faces[2]]
    for which in (3, -1, "prettiest"):
        with pytest.raises(InvalidInputError, match=f"face {which!r} was asked for; expected .* 0 to 2"):
            choose_face(faces, which)
    with pytest.raises(InvalidInputError, match="no face was found"):
        choose_face(())


def test_points_by_hand() -> None:
    assert parse_points("10,20 30,20 12,40 28,40") == (EYES_AND_MOUTH,)
    two = parse_points("10 20 30 20 20 30 12 40 28 40\n\n10,20; 30,20; 12,40; 28,40\n")
    assert two == (EYES_AND_MOUTH, EYES_AND_MOUTH)
    assert points_from_landmarks(IBUG) == EYES_AND_MOUTH
    for text, problem in (
        ("1,2 3,4 5,6", "3 points; expected 4"),
        ("1,2 3", "3 numbers"),
        ("a,b", "not all numbers"),
        ("inf,2", "finite"),
    ):
        with pytest.raises(InvalidInputError, match=problem):
            parse_points(text)


def test_boxes_by_hand() -> None:
    assert parse_rectangles("1, 2, 30, 40\n5 6 7 8") == ((1, 2, 30, 40), (5, 6, 7, 8))
    for text, problem in (
        ("1,2,3", "box has 3 numbers in '1,2,3'"),
        ("1,2,0,4", "box is '1,2,0,4', 0 wide and 4 high"),
        ("1 2 3 4 5 6 7 8", "box has 8 numbers"),
        ("left 2 3 4", "box is 'left 2 3 4', not all numbers"),
        ("1,2,3,nan", "finite"),
    ):
        with pytest.raises(InvalidInputError, match=f"{problem}.*top left corner, its width, its height"):
            parse_rectangles(text)


def test_the_examples_in_messages_are_good_input() -> None:
    ((left, top, width, height),) = parse_rectangles(BOX_EXAMPLE)
    assert f"x {left + width:g}, y {top + height:g}" in BOX_MEANING
    (points,) = parse_points(POINTS_EXAMPLE)
    assert quad_from_rectangle(points.rectangle())[0][0] > 0


def pose(scale: float, **canvas: float) -> dict[str, Any]:
    flat = [number for x, y in IBUG for number in (x * scale, y * scale, 1.0)]
    unseen = [*flat[: 3 * 48 + 2], 0.0, *flat[3 * 49 :]]  # a mouth corner without confidence
    people = [{"face_keypoints_2d": face} for face in (flat, unseen, None, [])]
    return {"people": [*people, {"pose_keypoints_2d": [1, 2, 1]}], **canvas}


def test_openpose_faces_in_any_canvas() -> None:
    size = (100, 100)
    half = pose(0.5, canvas_width=50, canvas_height=50)
    for given in (pose(1, canvas_width=100, canvas_height=100), half, pose(0.01), pose(1)):
        (face,) = points_from_openpose(given, size)
        assert np.allclose([*face.eyes, *face.mouth], [*EYES_AND_MOUTH.eyes, *EYES_AND_MOUTH.mouth])


def test_other_data_than_openpose_is_refused() -> None:
    bad: list[Any] = ["text", {"people": 3}, {"people": [{"face_keypoints_2d": [1, 2]}]}]
    for given in (*bad, pose(1, canvas_width=0, canvas_height=5)):
        with pytest.raises(InvalidInputError, match="expected"):
            points_from_openpose(given, (9, 9))


def test_the_preview_draws_around_the_face_only() -> None:
    photo = torch.zeros(1, 3, 200, 200)
    alignment = face_alignment(photo, Face((50, 60, 100, 80)))
    changed = (draw_quads(photo, (alignment,)) - photo).abs().amax(1)[0] > 0.02
    assert alignment.original_size == (200, 200)
    assert changed[55, 50:150].all() or changed[50, 50:150].all()
    assert not changed[70:110, 60:140].any() and not changed[:44].any() and not changed[:, 158:].any()


def test_several_photos_at_once_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="the photo is"):
        detect_faces(torch.zeros(2, 3, 32, 32))
