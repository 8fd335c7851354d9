"""Faces of a photo, which of them is meant, and the quads that are cut out around them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..boxes import AnySize, as_size
from ..checks import check_each, check_type
from ..deprecated.keywords import old_fields
from ..errors import InvalidInputError
from .face_points import FacePoints, FaceRectangle, mean_point
from .perspective import Quad

BY_HAND = (
    "say where the face is: Face(points.rectangle(), points) with points = FacePoints(eyes, mouth_corners)"
)


@old_fields({"box": "rectangle"})
@dataclass(frozen=True)
class Face:
    """rectangle: left, top, width, height in pixels of the photo. points: None if only the rectangle is known.

    score: 0..1, the detector's confidence; 1 for faces given by hand.
    """

    rectangle: FaceRectangle
    points: FacePoints | None = None
    score: float = 1.0

    @property
    def quad(self) -> Quad:
        """Its FFHQ crop; without points the square around the rectangle."""
        return quad_from_rectangle(self.rectangle) if self.points is None else ffhq_quad(self.points)

    @property
    def tilt(self) -> float:
        """How far its crop is turned clockwise in the photo, in degrees from -180 to 180; 0 without points."""
        (left, top), _, _, (right, level) = self.quad
        return math.degrees(math.atan2(level - top, right - left))


def sorted_faces(faces: list[Face] | tuple[Face, ...]) -> tuple[Face, ...]:
    """From left to right, by the middle of the rectangle."""
    return tuple(sorted(faces, key=lambda face: face.rectangle[0] + face.rectangle[2] / 2))


def choose_face(faces: tuple[Face, ...], which: str | int = "largest") -> Face:
    """One of several faces: "largest", "leftmost", or a number from 0, counted from left to right.

    Raises InvalidInputError if there is no such face.
    """
    check_each(faces, "the faces", Face, "detect_faces and faces_from_landmarks give them")
    if not faces:
        raise InvalidInputError(f"no face was found in the photo; {BY_HAND}")
    check_type(which, "the face asked for", str | int, "largest, leftmost, or a number from 0")
    if which == "largest":
        return max(faces, key=lambda face: face.rectangle[2] * face.rectangle[3])
    ordered, index = sorted_faces(faces), 0 if which == "leftmost" else which
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(ordered):
        raise InvalidInputError(
            f"face {index!r} was asked for; expected largest, leftmost or 0 to {len(ordered) - 1}"
        )
    return ordered[index]


def ffhq_quad(points: FacePoints) -> Quad:
    """The square in which FFHQ shows a face (Karras et al. 2019, appendix A), as `Alignment.quad`.

    It stands upright on the face, whatever the rotation in the photo, and is at least 4 eye distances or 3.6
    distances from the eyes to the mouth wide. It may leave the photo.
    """
    check_type(points, "the face's points", FacePoints)
    (ex, ey), (mx, my) = points.axes()
    if ex * my - ey * mx < 0:  # the pair came in the other order; a mirrored face has its points mirrored too
        ex, ey = -ex, -ey
    xx, xy = ex + my, ey - mx
    half = max(2 * math.hypot(ex, ey), 1.8 * math.hypot(mx, my)) / math.hypot(xx, xy)
    xx, xy = xx * half, xy * half
    x, y = mean_point(points.eyes)
    return _quad((x + 0.1 * mx, y + 0.1 * my), (xx, xy))


def quad_from_rectangle(rectangle: FaceRectangle, scale: float = 1.0, shape: AnySize = 1) -> Quad:
    """The smallest upright square around a rectangle, `scale` times as large, as `Alignment.quad`.

    shape: other sides than a square's, as (height, width) in any unit. Raises InvalidInputError for a rectangle
    without area.
    """
    try:
        left, top, width, height = (float(side) for side in rectangle)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"the face's rectangle is {rectangle!r:.60}; expected left, top, width and height in pixels"
        ) from error
    if not (width > 0 and height > 0 and scale > 0):
        raise InvalidInputError(f"the box is {width} x {height} pixels; expected a width and height above 0")
    tall, wide = as_size(shape)
    half = max(width, height * wide / tall) * scale / 2
    return _quad((left + width / 2, top + height / 2), (half, 0.0), tall / wide)


def _quad(center: tuple[float, float], half: tuple[float, float], ratio: float = 1.0) -> Quad:
    """half: from the centre to the middle of the right side; ratio: height to width."""
    (cx, cy), (xx, xy) = center, half
    yx, yy = -xy * ratio, xx * ratio
    return (
        (cx - xx - yx, cy - xy - yy),
        (cx - xx + yx, cy - xy + yy),
        (cx + xx + yx, cy + xy + yy),
        (cx + xx - yx, cy + xy - yy),
    )
