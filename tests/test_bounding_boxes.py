"""BOUNDING_BOX in all of its shapes, and which faces the boxes mean."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chunky_core.alignment import (
    Face,
    FacePoints,
    detect_faces,
    detect_in_boxes,
    faces_in_boxes,
    read_bounding_boxes,
)
from chunky_core.errors import InvalidInputError
from chunky_core.images import load_image

LEFT, RIGHT, SMALL = Face((10, 10, 20, 30)), Face((60, 10, 20, 30)), Face((64, 20, 4, 4))
BOX = {"x": 10, "y": 20, "width": 30, "height": 40}
READ = (10.0, 20.0, 30.0, 40.0)


def test_every_layout_is_read(shared: Path) -> None:
    samples = json.loads((shared / "faces" / "bounding_box_samples.json").read_text())
    one, flat, per_picture, nothing = samples.values()
    assert read_bounding_boxes(one) == read_bounding_boxes(flat) == ((READ,),)
    assert read_bounding_boxes(per_picture) == (((178.97, 71.21, 91.74, 106.24),), ())
    assert read_bounding_boxes(nothing) == ()
    assert read_bounding_boxes({key: np.float32(side) for key, side in BOX.items()}) == ((READ,),)
    assert read_bounding_boxes([[BOX, BOX], [BOX]]) == ((READ, READ), (READ,))


@pytest.mark.parametrize("data", ["10 20 30 40", 7, {"x": 1}, [BOX | {"width": 0}], [BOX, [BOX]], [[7]], [1]])
def test_other_layouts_are_named(data: Any) -> None:
    with pytest.raises(InvalidInputError, match="expected BOUNDING_BOX: x, y, width and height in pixels"):
        read_bounding_boxes(data)


def test_a_box_means_the_face_nearest_to_its_middle() -> None:
    faces = (LEFT, RIGHT, SMALL)
    assert faces_in_boxes(faces, [(0, 0, 35, 60)]) == (LEFT,)
    assert faces_in_boxes(faces, [(60, 10, 20, 30)]) == (RIGHT,)
    assert faces_in_boxes(faces, [(63, 19, 6, 6), (5, 5, 25, 35)]) == (SMALL, LEFT)
    assert faces_in_boxes(faces, [(58, 5, 25, 100), (60, 10, 20, 30)]) == (RIGHT,)  # of a whole person
    assert faces_in_boxes((LEFT,), [(18, 22, 4, 4)]) == (LEFT,)  # drawn too small
    with pytest.raises(InvalidInputError, match="bounding box 9 x 9 at x 40, y 60; draw it around one face"):
        faces_in_boxes(faces, [(40, 60, 9, 9)])


def test_a_detector_looks_into_the_box_and_around_it() -> None:
    points = FacePoints(((2.0, 3.0), (6.0, 3.0)), ((2.0, 8.0), (6.0, 8.0)))
    seen: list[Tensor] = []

    def detect(part: Tensor) -> tuple[Face, ...]:
        seen.append(part)
        return (Face((10, 12, 8, 10), points),)

    photo = torch.linspace(-1, 1, 100 * 80).view(1, 1, 80, 100).expand(1, 3, 80, 100)
    (face,) = detect_in_boxes(photo, [(40, 30, 20, 16)], detect)
    assert torch.equal(seen[0], photo[..., 20:56, 30:70])
    assert face.rectangle == (40, 32, 8, 10)
    assert face.points == FacePoints(((32, 23), (36, 23)), ((32, 28), (36, 28)))
    with pytest.raises(
        InvalidInputError, match="no face was found in the bounding box 5 x 5 at x 300, y 300"
    ):
        detect_in_boxes(photo, [(300, 300, 5, 5)], detect)


def test_no_face_in_the_box_is_named() -> None:
    with pytest.raises(InvalidInputError, match="no face was found in the bounding box 20 x 16"):
        detect_in_boxes(torch.zeros(1, 3, 80, 100), [(40, 30, 20, 16)], lambda part: ())


def test_the_real_detector_finds_the_face_in_its_box(shared: Path) -> None:
    faces = shared / "faces"
    photo = load_image(faces / "montage_two_faces.png")[:, :3]
    detect = partial(detect_faces, model=faces / "face_detection_yunet_2023mar.onnx")
    given = json.loads((faces / "face_landmarks_montage_two_faces.json").read_text())["frames"][0]
    for face in given:
        left, top, right, bottom = face["bbox_xyxy"]
        (found,) = detect_in_boxes(photo, [(left, top, right - left, bottom - top)], detect)
        assert found.points is not None
        eyes = torch.tensor(found.points.eyes).mean(0)
        mesh = torch.tensor(face["landmarks_xy"])
        assert (eyes - mesh[[33, 133, 362, 263]].mean(0)).norm() < 5  # of 44 pixels between the eyes
