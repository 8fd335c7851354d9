"""BOUNDING_BOX, as ComfyUI's nodes give it, and the faces that such boxes mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

from torch import Tensor

from ..checks import check_each, check_image
from ..errors import InvalidInputError
from ..inversion.original_crop import Point
from .face_points import FacePoints, FaceRectangle
from .faces import Face

MARGIN = 0.5  # of the longer side of a box, looked at around it
SIDES = ("x", "y", "width", "height")
EXPECTED = "expected BOUNDING_BOX: x, y, width and height in pixels, as one dict, a list of them, or a list per picture"


def read_bounding_boxes(data: Any) -> tuple[tuple[FaceRectangle, ...], ...]:
    """The boxes of each picture: left, top, width, height in pixels.

    data: one dict or a flat list of them for one picture, or a list of lists; an empty list, as an editor gives where
    nothing was drawn, is no picture. Raises InvalidInputError for another layout, and for a box without an area.
    """
    if isinstance(data, Mapping):
        return ((_box(data),),)
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise InvalidInputError(f"the bounding boxes are {type(data).__name__}; {EXPECTED}")
    if all(isinstance(one, Mapping) for one in data):
        return (tuple(map(_box, data)),) if data else ()
    if not all(isinstance(one, Sequence) and not isinstance(one, str) for one in data):
        raise InvalidInputError(f"the bounding boxes mix lists and boxes; {EXPECTED}")
    return tuple(tuple(map(_box, boxes)) for boxes in data)


def _box(data: Any) -> FaceRectangle:
    sides = [data.get(side) for side in SIDES] if isinstance(data, Mapping) else []
    numbers = [float(side) for side in sides if isinstance(side, Real) and math.isfinite(side)]
    if len(numbers) != len(SIDES) or min(numbers[2:]) <= 0:
        raise InvalidInputError(f"a bounding box is {repr(data)[:80]}; {EXPECTED}")
    left, top, width, height = numbers
    return left, top, width, height


def faces_in_boxes(faces: Sequence[Face], boxes: Sequence[FaceRectangle]) -> tuple[Face, ...]:
    """For each box the face nearest to its middle, each face once. Raises InvalidInputError for a box without one."""
    check_each(faces, "the faces", Face, "detect_faces and faces_from_landmarks give them")
    found: list[Face] = []
    for box in _checked(boxes):
        face = _nearest(faces, box)
        if face is None:
            raise InvalidInputError(
                f"no face was found in the bounding box {in_words(box)}; draw it around one face, or say where the "
                "eyes and the mouth are"
            )
        if face not in found:
            found.append(face)
    return tuple(found)


def detect_in_boxes(
    photo: Tensor, boxes: Sequence[FaceRectangle], detect: Callable[[Tensor], Sequence[Face]]
) -> tuple[Face, ...]:
    """The face that a detector finds in each box and half its longer side around it, as `faces_in_boxes`.

    photo: [1,3,H,W] in [-1,1]. detect: photo -> its faces.
    """
    check_image(photo, "the photo", batch=1)
    return tuple(
        dict.fromkeys(
            one for box in _checked(boxes) for one in faces_in_boxes(_around(photo, box, detect), [box])
        )
    )


def _checked(boxes: Sequence[FaceRectangle]) -> Sequence[FaceRectangle]:
    """Raises InvalidInputError for what are no boxes, as `read_bounding_boxes` gives those of a picture."""
    if not isinstance(boxes, Sequence):
        raise InvalidInputError(
            f"the boxes are of type {type(boxes).__name__}; expected a list of rectangles"
        )
    for box in boxes:
        if not isinstance(box, Sequence) or len(box) != 4 or not all(isinstance(side, Real) for side in box):
            raise InvalidInputError(
                f"a box is {box!r:.60}; expected left, top, width and height, as read_bounding_boxes gives them"
            )
    return boxes


def _around(photo: Tensor, box: FaceRectangle, detect: Callable[[Tensor], Sequence[Face]]) -> Sequence[Face]:
    left, top, width, height = box
    margin = MARGIN * max(width, height)
    x, y = max(math.floor(left - margin), 0), max(math.floor(top - margin), 0)
    part = photo[
        ..., y : max(math.ceil(top + height + margin), 0), x : max(math.ceil(left + width + margin), 0)
    ]
    return [_shifted(face, (x, y)) for face in detect(part)] if part.numel() else []


def _shifted(face: Face, by: Point) -> Face:
    left, top, width, height = face.rectangle

    def there(points: tuple[Point, Point]) -> tuple[Point, Point]:
        (ax, ay), (bx, by_) = points
        return (ax + by[0], ay + by[1]), (bx + by[0], by_ + by[1])

    points = None if face.points is None else FacePoints(there(face.points.eyes), there(face.points.mouth))
    return replace(face, rectangle=(left + by[0], top + by[1], width, height), points=points)


def _nearest(faces: Sequence[Face], box: FaceRectangle) -> Face | None:
    """Of the faces whose middle lies in the box, or that hold the box's middle."""
    inside = [
        face for face in faces if _holds(box, _middle(face.rectangle)) or _holds(face.rectangle, _middle(box))
    ]
    distances = [math.dist(_middle(face.rectangle), _middle(box)) for face in inside]
    return inside[distances.index(min(distances))] if inside else None


def _middle(box: FaceRectangle) -> Point:
    left, top, width, height = box
    return left + width / 2, top + height / 2


def _holds(box: FaceRectangle, point: Point) -> bool:
    left, top, width, height = box
    return left <= point[0] <= left + width and top <= point[1] <= top + height


def in_words(box: FaceRectangle) -> str:
    left, top, width, height = box
    return f"{width:.0f} x {height:.0f} at x {left:.0f}, y {top:.0f}"
