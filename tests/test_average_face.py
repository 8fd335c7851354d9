"""The average face's mesh: where it lies, how it turns, and how near it comes to a face's own mesh."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import chunky_core as cg
from chunky_core.alignment.face_points import FacePoints
from chunky_core.errors import InvalidInputError
from chunky_core.segments.face_mesh import face_regions
from chunky_core.segments.face_mesh.regions import MESH_SIZES

EYES, MOUTH = ((200.0, 240.0), (300.0, 260.0)), ((200.0, 340.0), (280.0, 360.0))
SIZE = (512, 512)


def a_face(eyes=EYES, mouth=MOUTH) -> cg.Face:
    points = FacePoints(eyes, mouth)
    return cg.Face(points.rectangle(), points, 0.9)


def test_eyes_and_mouth_lie_where_the_face_has_them():
    mesh = cg.average_landmarks(a_face())
    assert mesh.points.shape == (max(MESH_SIZES), 2) and mesh.data["estimated"] and mesh.score == 0.9
    right, left, *corners = mesh.alignment_points()
    assert right == pytest.approx(EYES[0], abs=0.1) and left == pytest.approx(EYES[1], abs=0.1)
    middle = [(a + b) / 2 for a, b in zip(*corners, strict=True)]
    assert middle == pytest.approx((240.0, 350.0), abs=0.1)


def test_its_crop_is_that_of_the_points():
    (face,) = cg.faces_from_landmarks([cg.average_landmarks(a_face())])
    assert torch.allclose(torch.tensor(face.quad), torch.tensor(a_face().quad), atol=0.5)


@pytest.mark.parametrize("eyes", [EYES, EYES[::-1]])
@pytest.mark.parametrize("mouth", [MOUTH, MOUTH[::-1]])
def test_the_order_within_a_pair_is_free(eyes, mouth):
    assert torch.equal(
        cg.average_landmarks(a_face(eyes, mouth)).points, cg.average_landmarks(a_face()).points
    )


def test_it_turns_with_the_face():
    """A quarter turn of the points is one of the mesh: left and right stay the person's."""

    def turned(points):
        return tuple((-y, x) for x, y in points)

    upright, turned_mesh = (
        cg.average_landmarks(a_face()),
        cg.average_landmarks(a_face(turned(EYES), turned(MOUTH))),
    )
    assert torch.allclose(turned_mesh.points, torch.stack([-upright.points[:, 1], upright.points[:, 0]], 1))


def test_a_wide_mouth_is_open_and_a_narrow_one_closed():
    narrow = a_face(mouth=((210.0, 342.0), (270.0, 358.0)))
    wide = a_face(mouth=((180.0, 336.0), (300.0, 364.0)))
    assert "mouth" not in face_regions(cg.average_landmarks(narrow).points, SIZE)
    assert "mouth" in face_regions(cg.average_landmarks(wide).points, SIZE)


def test_it_is_its_own_mirror_image():
    upright = a_face(((200.0, 200.0), (300.0, 200.0)), ((210.0, 300.0), (290.0, 300.0)))
    regions = face_regions(cg.average_landmarks(upright).points, (500, 500))
    for name in ("eye", "brow", "iris"):
        assert torch.allclose(regions[f"left_{name}"].flip(1), regions[f"right_{name}"], atol=0.02)


def test_a_box_alone_tells_too_little():
    with pytest.raises(
        InvalidInputError, match="only the face's rectangle is known.* give a face that has points"
    ):
        cg.average_landmarks(cg.Face((0, 0, 100, 100)))


def test_it_is_near_a_faces_own_mesh(shared: Path):
    """The astronaut, by the points of her own mesh."""
    read = json.loads((shared / "faces" / "face_landmarks_astronaut.json").read_text(encoding="utf-8"))
    ((own,),) = cg.read_face_landmarks(read, SIZE)
    (face,) = cg.faces_from_landmarks([own])
    known, guessed = (face_regions(one.points, SIZE) for one in (own, cg.average_landmarks(face)))
    for name, least in {
        "nose": 0.7,
        "left_iris": 0.6,
        "right_iris": 0.6,
        "left_brow": 0.5,
        "right_brow": 0.5,
    }.items():
        assert intersection_over_union(known[name], guessed[name]) > least, name
    assert intersection_over_union(sum(known.values()), sum(guessed.values())) > 0.8


def intersection_over_union(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.minimum(one, other).sum() / torch.maximum(one, other).sum())
