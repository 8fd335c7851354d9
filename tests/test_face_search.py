"""The search around a detector of upright faces. A stand-in for it finds faces drawn as coloured spots, and has YuNet's
weaknesses: no face beyond 55 degrees of tilt or of other sizes, points that follow only a part of the tilt.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from chunky_core.alignment import detect_faces
from chunky_core.alignment.face_points import points_from_landmarks
from chunky_core.alignment.face_search import _turned_back, find_faces, without_doubles
from chunky_core.alignment.faces import Face, choose_face
from chunky_core.alignment.yunet import mirrored
from chunky_core.images import load_image

# Eye at the left, other eye, nose, mouth corners, in a face of size 1; BGR of each point's spot.
FACE = np.array([(-0.25, -0.2), (0.25, -0.2), (0.0, 0.05), (-0.2, 0.3), (0.2, 0.3)])
COLORS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)])


def drawn(faces: list[tuple[float, float, float, float]], width: int = 700, height: int = 500) -> np.ndarray:
    """uint8 [h,w,3]: faces of center x, y, size, degrees on black, each a set of five discs."""
    picture = np.zeros((height, width, 3), np.uint8)
    y, x = np.mgrid[:height, :width] + 0.5
    for cx, cy, size, degrees in faces:
        for (px, py), color in zip(rotated(FACE, degrees) * size + (cx, cy), COLORS, strict=True):
            picture[(x - px) ** 2 + (y - py) ** 2 < (0.09 * size) ** 2] = color
    return picture


def rotated(points: np.ndarray, degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return points @ np.array([[c, s], [-s, c]])


class SpotDetector:
    """Finds the five colours; a mirrored face has its left and right colours exchanged and is found as well."""

    def rows(self, pixels: np.ndarray) -> np.ndarray:
        spots = [np.argwhere((np.abs(pixels.astype(int) - color) < 60).all(-1)) for color in COLORS]
        if min(map(len, spots)) < 3:
            return np.zeros((0, 15))
        points = np.array([spot.mean(0)[::-1] + 0.5 for spot in spots])
        if points[0, 0] > points[1, 0] and points[3, 0] > points[4, 0] and self.is_mirrored(points):
            points = points[[1, 0, 2, 4, 3]]
        eyes, mouth = points[:2].mean(0), points[3:].mean(0)
        down = mouth - eyes
        tilt, size = math.degrees(math.atan2(-down[0], down[1])), math.hypot(*down) / 0.5
        if abs(tilt) > 55 or not 10 < size < 420:
            return np.zeros((0, 15))
        center = points.mean(0)
        seen = rotated(points - center, -tilt / 2) + center  # half of the tilt is missed
        box = [*(center - size / 2), size, size]
        return np.array([[*box, *seen.ravel(), 0.96 - abs(tilt) / 500]])

    def is_mirrored(self, points: np.ndarray) -> bool:
        (ex, ey), (mx, my) = points[1] - points[0], points[3:].mean(0) - points[:2].mean(0)
        return bool(ex * my - ey * mx < 0)

    def mirrored_rows(self, pixels: np.ndarray) -> np.ndarray:
        return mirrored(self.rows(pixels[:, ::-1]), pixels.shape[1])


def face_of(row: np.ndarray) -> Face:
    points = points_from_landmarks([(float(x), float(y)) for x, y in row[4:14].reshape(5, 2)])
    left, top, width, height = map(float, row[:4])
    return Face((left, top, width, height), points, float(row[14]))


@pytest.mark.parametrize("degrees", [0, 15, -30, 44, 90, 135, 180, -100])
@pytest.mark.parametrize("size", [150, 420])
def test_a_face_of_any_turn_is_found_and_its_tilt_measured(degrees: float, size: float) -> None:
    (row,) = find_faces(SpotDetector(), drawn([(350, 250, size, degrees)]))
    found = face_of(row)
    # From half the tilt missed at most, 23 degrees, to an eighth of it by three looks.
    assert abs((found.tilt - degrees + 180) % 360 - 180) < 6
    expected = rotated(FACE, degrees) * size + (350, 250)
    assert np.abs(row[4:14].reshape(5, 2) - expected).max() < 0.05 * size
    assert row[14] > 0.9 and abs(row[0] + row[2] / 2 - expected[:, 0].mean()) < 0.1 * size


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert find_faces(SpotDetector(), drawn([])).shape == (0, 15)
    assert find_faces(SpotDetector(), np.zeros((1, 3, 3), np.uint8)).shape == (0, 15)


class Blinking(SpotDetector):
    """Sees the face in the photo and not in its upright crops."""

    def rows(self, pixels: np.ndarray) -> np.ndarray:
        return super().rows(pixels) if pixels.shape[0] != pixels.shape[1] else np.zeros((0, 15))


def test_what_is_no_face_in_the_upright_crop_is_dropped() -> None:
    assert len(find_faces(Blinking(), drawn([(350, 250, 150, 0)]))) == 0


def row(left: float, top: float, side: float, score: float) -> np.ndarray:
    return np.array([left, top, side, side, *[0.0] * 10, score])


def test_one_row_is_left_of_each_face() -> None:
    face, again, beside = row(0, 0, 100, 0.9), row(5, 5, 100, 0.8), row(90, 0, 100, 0.7)
    eye, before = row(20, 20, 20, 0.6), row(60, 60, 30, 0.95)
    kept = without_doubles(np.stack([again, face, beside, eye, before]))
    assert [one[14] for one in kept] == [0.95, 0.9, 0.7]  # a better one before a larger one stays


@pytest.mark.parametrize("quarter", range(4))
def test_turned_rows_come_back(quarter: int) -> None:
    rng = np.random.default_rng(quarter)
    picture = np.zeros((30, 50, 3), np.uint8)
    spots = rng.choice(30 * 30, 5, replace=False)
    places = np.stack([spots % 30, spots // 30], 1)
    for value, (x, y) in enumerate(places, start=1):
        picture[y, x] = value
    turned = np.rot90(picture, quarter)[..., 0]
    points = np.array([np.argwhere(turned == value)[0][::-1] + 0.5 for value in range(1, 6)])
    box = [points[:, 0].min(), points[:, 1].min(), *np.ptp(points, axis=0)]
    (back,) = _turned_back(np.array([[*box, *points.ravel(), 0.5]]), picture.shape, quarter)
    assert np.allclose(back[4:14].reshape(5, 2), places + 0.5)
    assert np.allclose(back[:4], [*(places.min(0) + 0.5), *np.ptp(places, axis=0)])


@pytest.fixture(scope="module")
def yunet(shared: Path) -> Path:
    return shared / "faces" / "face_detection_yunet_2023mar.onnx"


@pytest.mark.parametrize(("name", "degrees"), [("astronaut.png", 0), ("astronaut_turned30.png", 30)])
@pytest.mark.parametrize("quarter", [0, 2])
def test_yunet_measures_the_tilt_of_a_real_face(
    shared: Path, yunet: Path, name: str, degrees: float, quarter: int
) -> None:
    """dlib's tilt of the upright one is 2.8 degrees clockwise."""
    photo = load_image(shared / "faces" / name).rot90(quarter, (-2, -1))
    (face,) = detect_faces(photo, model=yunet)
    expected = degrees + 2.8 - 90 * quarter
    assert abs((face.tilt - expected + 180) % 360 - 180) < 2.0 and face.score > 0.85


def test_two_faces_are_two(shared: Path, yunet: Path) -> None:
    faces = detect_faces(load_image(shared / "faces" / "montage_two_faces.png"), model=yunet)
    assert len(faces) == 2 and faces[0].rectangle[0] < faces[1].rectangle[0]
    assert choose_face(faces, 1) is faces[1]
