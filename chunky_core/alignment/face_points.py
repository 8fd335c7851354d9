"""Where eyes and mouth of a face are, from whatever a person, a detector or another pack gives."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..deprecated import old_names
from ..errors import InvalidInputError
from ..inversion.original_crop import Point

__getattr__ = old_names(__name__)

FaceRectangle = tuple[float, float, float, float]  # left, top, width, height in pixels

POINTS_EXAMPLE = "420,380 600,380 450,560 570,560"
BOX_EXAMPLE = "300, 200, 400, 400"
BOX_MEANING = (
    f"four numbers in pixels: x and y of the crop's top left corner, its width, its height "
    f"('{BOX_EXAMPLE}' reaches from x 300, y 200 to x 700, y 600)"
)
POINTS_MEANING = f"x,y in pixels of both eyes, then of both corners of the mouth, as in '{POINTS_EXAMPLE}'"
LAYOUTS = "4 (eyes, mouth corners), 5 (eyes, nose, mouth corners) or 68 landmarks"


@dataclass(frozen=True)
class FacePoints:
    """Two eyes and two mouth corners, each pair in any order; (x, y) in pixels of the photo.

    The centre of the photo's first pixel is (0.5, 0.5). Raises InvalidInputError for infinite values and NaN,
    and if eyes and mouth lie on one line or in one place, which tells no direction.
    """

    eyes: tuple[Point, Point]
    mouth: tuple[Point, Point]

    def __post_init__(self) -> None:
        if not _are_points(self.eyes, 2) or not _are_points(self.mouth, 2):
            raise InvalidInputError(
                f"the face's points are {_short((self.eyes, self.mouth))}; expected two eyes and two corners of the "
                "mouth, x and y each"
            )
        points = (*self.eyes, *self.mouth)
        if not all(math.isfinite(x) and math.isfinite(y) for x, y in points):
            raise InvalidInputError(f"the face's points are {points}; expected finite numbers")
        (ex, ey), (mx, my) = self.axes()
        if abs(ex * my - ey * mx) < 1e-3 * (ex * ex + ey * ey + mx * mx + my * my) or not (ex or ey):
            raise InvalidInputError(
                "the eyes and the mouth lie on one line; give both eyes first, then both corners of the mouth"
            )

    def axes(self) -> tuple[Point, Point]:
        """From one eye to the other, and from between the eyes to the mouth."""
        (ax, ay), (bx, by) = self.eyes
        eyes, mouth = mean_point(self.eyes), mean_point(self.mouth)
        return (bx - ax, by - ay), (mouth[0] - eyes[0], mouth[1] - eyes[1])

    def rectangle(self) -> FaceRectangle:
        """The upright rectangle around the points, enlarged to about the face."""
        (ex, ey), (mx, my) = self.axes()
        side = 2.0 * max(math.hypot(ex, ey), math.hypot(mx, my))
        x, y = mean_point((*self.eyes, *self.mouth))
        return x - side / 2, y - side / 2, side, side

    def box(self) -> FaceRectangle:
        """The name of `rectangle` in version 0.1."""
        warnings.warn("FacePoints.box is now FacePoints.rectangle", DeprecationWarning, stacklevel=2)
        return self.rectangle()


def _are_points(points: Any, count: int | None = None) -> bool:
    """Whether they are (x, y) each, as many as `count`."""
    try:
        return len(points) == (len(points) if count is None else count) and all(
            len(point) == 2 and all(isinstance(float(x), float) and not isinstance(x, str) for x in point)
            for point in points
        )
    except (TypeError, ValueError, OverflowError):
        return False


def mean_point(points: Sequence[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def points_from_landmarks(landmarks: Sequence[Point]) -> FacePoints:
    """landmarks: 4 (two eyes, two mouth corners), 5 (a nose between), or 68 as of iBUG 300-W (70: with pupils).

    Raises InvalidInputError for another number of points.
    """
    if not _are_points(landmarks):
        raise InvalidInputError(f"the face's points are {_short(landmarks)}; expected x and y of {LAYOUTS}")
    if len(landmarks) in (68, 70):
        eyes = mean_point(landmarks[36:42]), mean_point(landmarks[42:48])
        return FacePoints(eyes, (landmarks[48], landmarks[54]))
    if len(landmarks) not in (4, 5):
        raise InvalidInputError(f"a face has {len(landmarks)} points; expected {LAYOUTS}")
    return FacePoints((landmarks[0], landmarks[1]), (landmarks[-2], landmarks[-1]))


def parse_points(text: str) -> tuple[FacePoints, ...]:
    """One face per line: 'x,y x,y x,y x,y', eyes before mouth corners. Raises InvalidInputError."""
    faces = []
    for line in _lines(text):
        row = _numbers(line, "points", POINTS_MEANING)
        if len(row) % 2:
            raise InvalidInputError(
                f"points has {len(row)} numbers in {_short(line)}; expected {POINTS_MEANING}"
            )
        faces.append(points_from_landmarks(list(zip(row[::2], row[1::2], strict=True))))
    return tuple(faces)


def parse_rectangles(text: str) -> tuple[FaceRectangle, ...]:
    """One rectangle per line: 'left, top, width, height' in pixels. Raises InvalidInputError."""
    rectangles: list[FaceRectangle] = []
    for line in _lines(text):
        row = _numbers(line, "box", BOX_MEANING)
        if len(row) != 4:
            raise InvalidInputError(f"box has {len(row)} numbers in {_short(line)}; expected {BOX_MEANING}")
        if min(row[2:]) <= 0:
            raise InvalidInputError(
                f"box is {_short(line)}, {row[2]:g} wide and {row[3]:g} high; expected {BOX_MEANING}"
            )
        rectangles.append((row[0], row[1], row[2], row[3]))
    return tuple(rectangles)


def points_from_openpose(pose: Any, size: tuple[int, int]) -> tuple[FacePoints, ...]:
    """The faces of one picture in OpenPose's JSON, as other packs hand it on (POSE_KEYPOINT).

    pose: {"people": [{"face_keypoints_2d": [x, y, confidence, ...], ...}, ...], "canvas_width": …,
    "canvas_height": …}; coordinates in pixels of that canvas, or all in 0..1. size: (height, width) of the photo.
    People without a complete face are left out. Raises InvalidInputError for another shape of data.
    """
    if not isinstance(pose, dict) or not isinstance(pose.get("people"), list):
        raise InvalidInputError(f"the keypoints are {_short(pose)}; expected OpenPose's JSON with 'people'")
    faces = [_triples(person) for person in pose["people"]]
    complete = [face for face in faces if len(face) in (68, 70) and all(c > 0 for _, _, c in _needed(face))]
    return tuple(points_from_landmarks(_in_pixels(face, pose, size)) for face in complete)


def _needed(face: Sequence[tuple[float, float, float]]) -> Sequence[tuple[float, float, float]]:
    return (*face[36:49], face[54])


def _triples(person: Any) -> list[tuple[float, float, float]]:
    """x, y, confidence of each landmark of one person's face; empty without any."""
    flat = person.get("face_keypoints_2d") if isinstance(person, dict) else None
    flat = flat or []
    if len(flat) % 3 or not all(isinstance(number, int | float) for number in flat):
        raise InvalidInputError(
            f"face_keypoints_2d is {_short(flat)}; expected x, y, confidence for each point"
        )
    return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def _in_pixels(
    face: Sequence[tuple[float, float, float]], pose: dict[str, Any], size: tuple[int, int]
) -> list[Point]:
    height, width = size
    relative = max(max(x, y) for x, y, _ in _needed(face)) <= 2  # a face of two pixels is none
    canvas = (1, 1) if relative else (pose.get("canvas_width", width), pose.get("canvas_height", height))
    if not all(isinstance(side, int | float) and side > 0 for side in canvas):
        raise InvalidInputError(f"the keypoints' canvas is {_short(canvas)}; expected its width and height")
    return [(x * width / canvas[0], y * height / canvas[1]) for x, y, _ in face]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _numbers(line: str, what: str, expected: str) -> list[float]:
    """The numbers of a line, separated by commas, semicolons or blanks. Raises InvalidInputError."""
    words = [word for word in re.split(r"[\s,;]+", line) if word]
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise InvalidInputError(f"{what} is {_short(line)}, not all numbers; expected {expected}") from error
    if not all(map(math.isfinite, numbers)):
        raise InvalidInputError(f"{what} is {_short(line)}; expected finite numbers: {expected}")
    return numbers


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
