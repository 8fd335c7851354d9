"""The regions of a face from MediaPipe's mesh: polygons against their areas, lists against the mesh, real faces."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.alignment import align, faces_from_landmarks, landmarks_in_crop
from chunky_core.errors import InvalidInputError
from chunky_core.images import load_image
from chunky_core.segments.face_mesh import REGIONS, face_regions, read_face_landmarks, segment_face
from chunky_core.segments.face_mesh.landmarks import (
    FaceLandmarks,
    from_mediapipe,
    to_mediapipe,
    write_face_landmarks,
)
from chunky_core.segments.face_mesh.polygons import ellipse, grown_polygon, polygon_mask
from chunky_core.segments.face_mesh.regions import IRISES, OVAL, RINGS
from tests.face_tools import drawn_mesh, host_landmarks

SIZE = (100, 120)
CORNERS_OF_LIPS = {frozenset((61, 78)), frozenset((291, 308))}  # from outside to inside, along two edges each


def polygon(*corners: tuple[float, float]) -> Tensor:
    return torch.tensor(corners, dtype=torch.float64)


def shoelace(points: Tensor) -> float:
    following = points.roll(-1, 0)
    return (points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum().abs().item() / 2


@pytest.mark.parametrize("points", [
    polygon((10.3, 5.7), (80.1, 20.2), (40.6, 90.9)),
    polygon((10, 10), (100, 12), (50, 40), (90, 95), (12, 60)),
    polygon((20.2, 30.1), (20.9, 30.1), (20.9, 30.6), (20.2, 30.6)),
])  # fmt: skip
def test_a_polygon_covers_its_area(points: Tensor) -> None:
    mask = polygon_mask(points, SIZE)
    assert mask.sum().item() == pytest.approx(shoelace(points), rel=2e-3, abs=0.06)
    assert torch.allclose(polygon_mask(points.flip(0), SIZE), mask) and mask.min() >= 0 and mask.max() <= 1
    moved = polygon_mask(points + torch.tensor([3.0, 2.0]), SIZE)
    assert torch.allclose(moved[2:, 3:], mask[:-2, :-3], atol=1e-9)


def test_whole_pixels_are_whole_and_what_leaves_the_picture_is_cut() -> None:
    mask = polygon_mask(polygon((-5, 3), (7, 3), (7, 200), (-5, 200)), SIZE)
    expected = torch.zeros(SIZE, dtype=torch.float64)
    expected[3:, :7] = 1
    assert torch.equal(mask, expected)
    assert not polygon_mask(polygon((0, -9), (9, -9), (4, -2)), SIZE).any()
    assert not polygon_mask(polygon((130, 3), (150, 3), (140, 20)), SIZE).any()


def test_neighbors_add_up_and_folds_count_once() -> None:
    first = polygon((10.2, 10.7), (60.3, 20.1), (30.9, 80.2))
    second = polygon((60.3, 20.1), (90.5, 70.4), (30.9, 80.2))
    both = polygon((10.2, 10.7), (60.3, 20.1), (90.5, 70.4), (30.9, 80.2))
    summed = polygon_mask(first, SIZE) + polygon_mask(second, SIZE)
    assert torch.allclose(summed, polygon_mask(both, SIZE), atol=1e-9)
    once, twice = polygon_mask(first, SIZE), polygon_mask(torch.cat([first, first]), SIZE)
    assert (twice[once > 1 - 1e-9] == 1).all() and (twice[once == 0] == 0).all()


def test_growing_moves_the_sides_outward() -> None:
    circle = ellipse(torch.tensor([50.0, 50.0]), polygon((70, 50), (50, 30), (30, 50), (50, 70)), corners=200)
    assert shoelace(circle) == pytest.approx(math.pi * 400, rel=1e-3)
    for ring in (circle, circle.flip(0)):
        assert shoelace(grown_polygon(ring, 5)) == pytest.approx(math.pi * 625, rel=1e-3)


def test_rings_run_along_the_mesh(shared: Path) -> None:
    edges = {
        frozenset(edge) for edge in json.loads((shared / "faces" / "mesh_tesselation_edges.json").read_text())
    }
    for name, ring in {**RINGS, "oval": OVAL}.items():
        assert len(set(ring)) == len(ring), name
        pairs = zip(ring, (*ring[1:], ring[0]), strict=True)
        missing = {frozenset(pair) for pair in pairs} - edges - CORNERS_OF_LIPS
        assert not missing, f"{name}: {missing}"


def test_all_regions_of_a_drawn_face() -> None:
    masks = face_regions(drawn_mesh(), SIZE)
    assert tuple(masks) == tuple(name for name in REGIONS if name in masks) and set(masks) == set(REGIONS)
    total = torch.stack(list(masks.values())).sum(0)
    assert total.max() <= 1 + 1e-6
    assert torch.allclose(total.double(), polygon_mask(drawn_mesh()[list(OVAL)], SIZE), atol=1e-6)
    columns = torch.arange(SIZE[1]) + 0.5
    for side, x in (("left", 65), ("right", 35)):  # the person's left is on the picture's right
        iris, eye = masks[f"{side}_iris"], masks[f"{side}_eye"]
        assert (iris * columns).sum() / iris.sum() == pytest.approx(x, abs=0.01)
        assert iris.sum() == pytest.approx(math.pi * 9, rel=0.01)
        assert (iris + eye).sum() == pytest.approx(
            math.pi * 32, rel=0.04
        )  # a ring of 16 points for an ellipse
        assert masks[f"{side}_brow"].sum() > 1.3 * math.pi * 18 * 0.9


def test_what_is_closed_or_unknown_is_left_out() -> None:
    closed = drawn_mesh(mouth=0.02)
    assert "mouth" not in face_regions(closed, SIZE)
    segments = segment_face(closed, SIZE, only=["mouth", "lips"], rename={"mouth": "teeth", "nose": "mouth"})
    assert segments.names == ("mouth", "upper_lip", "lower_lip")
    with pytest.raises(InvalidInputError, match="none of mouth can be seen in this face; there are skin"):
        segment_face(closed, SIZE, only=["mouth"])
    with pytest.raises(InvalidInputError, match="there is no area 'teeth' to rename"):
        segment_face(closed, SIZE, rename={"teeth": "mouth"})
    assert "left_iris" not in face_regions(drawn_mesh()[:468], SIZE)


def test_regions_merge_stay_static_and_are_chosen_by_name() -> None:
    lips = {"Upper Lip": "mouth", "lower_lip": "mouth"}
    segments = segment_face(drawn_mesh(), SIZE, rename=lips, static=["skin"])
    assert "upper_lip" not in segments.names and "skin" not in segments.names
    parts = face_regions(drawn_mesh(), SIZE)
    whole = parts["upper_lip"] + parts["lower_lip"] + parts["mouth"]
    assert torch.allclose(segments["mouth"][0, 0], whole.clamp(max=1), atol=1 / 512)
    assert segment_face(drawn_mesh(), SIZE, only=["eyes", "nose"]).names == ("left_eye", "right_eye", "nose")


@pytest.mark.parametrize("degrees", [0, 30, 180])
def test_the_lag_of_mediapipe_follows_the_face(degrees: float) -> None:
    turn = math.radians(degrees)
    matrix = torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]).double()
    given = drawn_mesh((0, 0), 10) @ matrix.T + 500
    true = from_mediapipe(given)
    assert torch.allclose(to_mediapipe(true), given, atol=1e-9)
    lag = (
        0.34 * 1.5 * 800 / 192
    )  # a third of a pixel of a crop of 192 that shows one and a half widths of the face
    expected = 0.5 - matrix @ torch.tensor([lag, lag]).double()
    assert torch.allclose((true - given).mean(0), expected, atol=1e-6)


def test_host_landmarks_are_read_scaled_and_written_again() -> None:
    given = {"landmarks_xy": drawn_mesh().float().numpy(), "score": None, "transformation_matrix": 1}
    data = {"frames": [[given], []], "image_size": (100, 120), "connection_sets": {"nose": frozenset()}}
    (face,), nothing = read_face_landmarks(data, (200, 240))
    assert nothing == () and face.score == 1
    (small,), _ = read_face_landmarks(data, SIZE)
    assert torch.allclose(face.points, small.points * 2, atol=1e-4)
    again = write_face_landmarks([[small]], SIZE, data)
    assert again["connection_sets"] is data["connection_sets"] and again["image_size"] == SIZE
    (back,) = read_face_landmarks(again, SIZE)[0]
    assert torch.allclose(back.points, small.points, atol=1e-4)
    left, top, right, bottom = again["frames"][0][0]["bbox_xyxy"]
    assert left < right and top < bottom


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([], "the face landmarks are list without frames; expected FACE_LANDMARKS"),
        ({"frames": [[{}]], "image_size": SIZE}, "no landmarks_xy"),
        (
            {"frames": [[{"landmarks_xy": [[1, 2]]}]], "image_size": SIZE},
            r"shape \[1, 2\]; expected MediaPipe",
        ),
        ({"frames": [[{"landmarks_xy": "no"}]], "image_size": SIZE}, "no table of numbers"),
        ({"frames": [[{"landmarks_xy": [[math.nan] * 2] * 478}]], "image_size": SIZE}, "NaN or infinity"),
        ({"frames": [], "image_size": None}, "image_size is None"),
        ({"frames": [], "image_size": "ab"}, "image_size is 'ab'"),
        ({"frames": [], "image_size": (100, 300)}, "in a picture of 300x100, the photo is 120x100"),
    ],
)
def test_other_layouts_are_named(data: Any, match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        read_face_landmarks(data, SIZE)


def test_two_eyes_in_one_place_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="both eyes of the mesh lie in one place"):
        face_regions(torch.zeros(478, 2), SIZE)


def crop_segments(shared: Path, name: str, number: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    """The crop of a reference face, 256 pixels, and its regions."""
    photo = load_image(shared / "faces" / f"{name}.png")[:, :3]
    faces = read_face_landmarks(host_landmarks(shared, name), (photo.shape[-2], photo.shape[-1]))[0]
    crop = align(photo, faces_from_landmarks(faces)[number], 256)
    mesh = landmarks_in_crop(faces, crop.alignment, 256)
    assert mesh is not None
    return crop.image, face_regions(mesh.points, (256, 256))


def test_a_turned_photo_gives_the_same_crop_and_segments(shared: Path) -> None:
    """Detected anew in the photo turned by 30 degrees."""
    upright, turned = crop_segments(shared, "astronaut"), crop_segments(shared, "astronaut_turned30")
    assert set(upright[1]) == set(turned[1]) == set(REGIONS)
    for name, mask in upright[1].items():
        other = turned[1][name]
        agreement = torch.minimum(mask, other).sum() / torch.maximum(mask, other).sum()
        assert agreement > (0.9 if name == "skin" else 0.55), (name, agreement)
    difference = (upright[0] - turned[0])[..., 64:192, 64:192].abs().mean()
    assert difference < 0.12  # of a range of 2; the frames differ by a pixel


def test_a_mirrored_face_keeps_its_own_left(shared: Path) -> None:
    """The montage's second face is the first one mirrored: its regions are mirrored and change sides."""
    (_, mirrored), (_, own) = (crop_segments(shared, "montage_two_faces", number) for number in (0, 1))
    columns = torch.arange(256) + 0.5
    for masks in (mirrored, own):
        left, right = (
            (masks[f"{s}_eye"] * columns).sum() / masks[f"{s}_eye"].sum() for s in ("left", "right")
        )
        assert left > right + 30
    for name in ("left_eye", "left_brow"):
        twin = mirrored[name.replace("left", "right")].flip(-1)
        overlap = torch.minimum(own[name], twin).sum() / torch.maximum(own[name], twin).sum()
        assert overlap > 0.5, name


def test_irises_lie_in_the_dark_of_the_eyes(shared: Path) -> None:
    image, masks = crop_segments(shared, "astronaut")
    gray = image[0].mean(0)

    def shade(name: str) -> float:
        return ((gray * masks[name]).sum() / masks[name].sum()).item()

    for side in ("left", "right"):
        assert shade(f"{side}_iris") < shade(f"{side}_eye") < shade("skin"), side
    assert shade("mouth") > shade("lower_lip")  # teeth
    assert set(IRISES) < set(masks)


def test_a_mesh_is_checked() -> None:
    with pytest.raises(InvalidInputError, match=r"shape \[68, 2\]; expected MediaPipe's mesh"):
        FaceLandmarks(torch.zeros(68, 2))


@pytest.mark.parametrize("name", ["", "a,b", "a=b", "a:b", " "])
def test_a_new_name_that_nothing_could_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="name"):
        segment_face(drawn_mesh((32, 32), 0.3), (64, 64), rename={"nose": name})
