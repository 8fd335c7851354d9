"""Faces of any size and any turn in a photo, by a detector of upright faces.

The detector's points hardly follow the tilt of a head, and upside down it finds faces with eyes and mouth exchanged. So
the photo is searched in four quarter turns and several sizes, and every face is looked at again in the crop in which
its points stand upright, together with that crop's mirror image.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..errors import InvalidInputError
from .face_points import FacePoints, points_from_landmarks
from .faces import ffhq_quad

SIDES = (160, 320, 640)  # pixels of the longest side of what is searched
FINEST_SIDE = 1280  # for small faces; the most expensive one
QUARTERS = (0, 1, 2, 3)
CROP_SIDE, TURN_SIDE = (
    640,
    320,
)  # pixels of the upright crop, and of the one that is turned to see which way is up
TURN_MARGIN = 1.5  # sides of crops in sides of the FFHQ frame
LOOKS = (
    (1.2, 2.2),
    (1.0, 1.2, 2.2),
)  # at the upright crops in turn, each in these sizes, of which the mean is taken
LEAST_SCORE = (
    0.8  # in the upright crop, in which faces had .86 and more; what was none, .77 at most, or it was a dog
)
LARGEST_OVERLAP = 0.3  # intersection over union of two faces
LARGEST_SHARE = 0.7  # of a face's rectangle in that of a larger one: an eye or an ear taken for a face


class UprightDetector(Protocol):
    """See `yunet.YuNet`."""

    def rows(self, pixels: np.ndarray) -> np.ndarray: ...

    def mirrored_rows(self, pixels: np.ndarray) -> np.ndarray: ...


def find_faces(detector: UprightDetector, pixels: np.ndarray) -> np.ndarray:
    """The faces of a photo, uint8 [H,W,3], BGR, as rows [n,15] in its coordinates (see `YuNet`).

    The eye that is named first is the one at the left of the upright face. The rectangle is that of the points, the
    score that of the upright crops.
    """
    confirmed = [_measured(detector, pixels, row) for row in _sightings(detector, pixels)]
    return without_doubles(_stacked([row for row in confirmed if row is not None]))


def without_doubles(rows: np.ndarray) -> np.ndarray:
    """One row (of 15 numbers or more) for each face, that of the highest score; none inside a larger one."""
    kept: list[np.ndarray] = []
    for row in sorted(rows, key=lambda row: -float(row[14])):
        if all(_shared(row, other) <= LARGEST_OVERLAP * _union(row, other) for other in kept):
            kept.append(row)
    return _stacked([row for row in kept if not any(_is_part(row, other) for other in kept)], rows.shape[1])


def _sightings(detector: UprightDetector, pixels: np.ndarray) -> np.ndarray:
    """Rows [n,15] of every size and turn together.

    The finest size is searched only in the turns in which there are faces, unless there are none at all: people in a
    photo stand the same way up.
    """
    found = np.concatenate([_searched(detector, pixels, side, turn) for side in SIDES for turn in QUARTERS])
    if max(pixels.shape[:2]) > SIDES[-1]:
        turns = sorted({int(row[15]) for row in without_doubles(found)}) or QUARTERS
        finer = [_searched(detector, pixels, FINEST_SIDE, turn) for turn in turns]
        found = np.concatenate([found, *finer])
    return without_doubles(found)[:, :15]


def _searched(detector: UprightDetector, pixels: np.ndarray, side: int, quarter: int) -> np.ndarray:
    """Rows [n,16] of the photo brought to `side` pixels and turned counterclockwise by `quarter`s, the last number."""
    scale = side / max(pixels.shape[:2])
    small = _resized(pixels, scale)
    rows = _turned_back(detector.rows(np.rot90(small, quarter)), small.shape, quarter)
    rows[:, :14] /= scale
    return np.column_stack([rows, np.full(len(rows), quarter)])


def _turned_back(rows: np.ndarray, shape: tuple[int, ...], quarter: int) -> np.ndarray:
    """Rows found in np.rot90(picture, quarter) in coordinates of the picture of `shape`."""
    height, width = shape[:2]
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], 1)
    x, y = np.moveaxis(np.concatenate([corners, rows[:, 4:14]], 1).reshape(-1, 7, 2), -1, 0)
    x, y = ((x, y), (width - y, x), (width - x, height - y), (y, height - x))[quarter]
    points = np.stack([x, y], -1)
    first, last = points[:, :2].min(1), points[:, :2].max(1)
    return np.concatenate([first, last - first, points[:, 2:].reshape(-1, 10), rows[:, 14:]], 1)


def _measured(detector: UprightDetector, pixels: np.ndarray, row: np.ndarray) -> np.ndarray | None:
    """The row with its points measured in upright crops; None where there is no face after all."""
    try:
        seen: np.ndarray | None = _right_way_up(detector, pixels, row)
        for margins in LOOKS:
            seen = None if seen is None else _seen_in_crops(detector, pixels, seen, margins)
        return None if seen is None else np.concatenate([_face_points(seen).rectangle(), seen[4:]])
    except InvalidInputError:  # points on one line, as no face has them
        return None


def _right_way_up(detector: UprightDetector, pixels: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The row as it is seen best when its upright crop is turned by quarters."""
    crop = _UprightCrop(pixels, row, TURN_MARGIN, TURN_SIDE)
    shape = crop.pixels.shape
    found = [_turned_back(detector.rows(np.rot90(crop.pixels, turn)), shape, turn) for turn in QUARTERS]
    best = _expected_face(np.concatenate(found), crop.expected, reach=1.2)  # upside down they lie elsewhere
    return row if best is None else crop.in_photo(best, row)


def _seen_in_crops(
    detector: UprightDetector, pixels: np.ndarray, row: np.ndarray, margins: tuple[float, ...]
) -> np.ndarray | None:
    """The mean of what is found in upright crops and in their mirror images; None without anything."""
    found = []
    for margin in margins:
        crop = _UprightCrop(pixels, row, margin, CROP_SIDE)
        for rows in (detector.rows(crop.pixels), detector.mirrored_rows(crop.pixels)):
            face = _expected_face(rows, crop.expected)
            found += [] if face is None else [crop.in_photo(face, row)]
    return np.mean(found, axis=0) if found else None


class _UprightCrop:
    """A square out of a photo in which the points of a row stand upright.

    margin: its side in sides of the FFHQ frame; side: in pixels. pixels: uint8 [side,side,3]; expected [5,2]: where in
    it the row's points are. Raises InvalidInputError for points on one line.
    """

    def __init__(self, photo: np.ndarray, row: np.ndarray, margin: float, side: int) -> None:
        quad = np.array(ffhq_quad(_face_points(row)))
        top_left, bottom_left, _, top_right = quad.mean(0) + margin * (quad - quad.mean(0))
        self._axes = np.stack([top_right - top_left, bottom_left - top_left], 1) / side
        self._origin = top_left
        self.expected = np.linalg.solve(self._axes, (_points(row) - top_left).T).T
        self.pixels = self._cut_out(photo, side)

    def in_photo(self, found: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The row with the points and the score of what was found in this crop."""
        points = _points(found) @ self._axes.T + self._origin
        return np.concatenate([row[:4], points.ravel(), found[14:15]])

    def _cut_out(self, photo: np.ndarray, side: int) -> np.ndarray:
        import cv2

        scale = min(1.0, 1 / float(np.hypot(*self._axes[:, 0])))  # shrunk first, so that each pixel is a mean
        small = _resized(photo, scale) if scale < 1 else photo
        to_small = np.diag([small.shape[1] / photo.shape[1], small.shape[0] / photo.shape[0]])
        shift = (
            to_small @ (self._axes @ [0.5, 0.5] + self._origin) - 0.5
        )  # OpenCV counts from pixels' centres
        return cv2.warpAffine(
            small,
            np.column_stack([to_small @ self._axes, shift]),
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )


def _expected_face(rows: np.ndarray, expected: np.ndarray, reach: float = 0.6) -> np.ndarray | None:
    """The row of the highest score whose points [5,2] lie about where they are expected, and in that size.

    reach: how far off in distances from the eyes to the mouth.
    """
    size = _eyes_to_mouth(expected)
    near = [
        row
        for row in rows
        if row[14] >= LEAST_SCORE
        and np.hypot(*(_points(row).mean(0) - expected.mean(0))) < reach * size
        and 0.5 < _eyes_to_mouth(_points(row)) / size < 2
    ]
    return max(near, key=lambda row: float(row[14]), default=None)


def _eyes_to_mouth(points: np.ndarray) -> float:
    return float(np.hypot(*(points[3:].mean(0) - points[:2].mean(0))))


def _face_points(row: np.ndarray) -> FacePoints:
    return points_from_landmarks([(float(x), float(y)) for x, y in _points(row)])


def _points(row: np.ndarray) -> np.ndarray:
    """[5,2]"""
    return row[4:14].reshape(5, 2)


def _resized(pixels: np.ndarray, scale: float) -> np.ndarray:
    import cv2

    size = [max(1, round(length * scale)) for length in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _area(row: np.ndarray) -> float:
    return float(row[2] * row[3])


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    """The area that two rectangles have in common."""
    last = np.minimum(one[:2] + one[2:4], other[:2] + other[2:4])
    width, height = np.maximum(last - np.maximum(one[:2], other[:2]), 0)
    return float(width * height)


def _union(one: np.ndarray, other: np.ndarray) -> float:
    return _area(one) + _area(other) - _shared(one, other)


def _is_part(row: np.ndarray, other: np.ndarray) -> bool:
    return (
        row[14] <= other[14]
        and _area(row) < _area(other)
        and _shared(row, other) > LARGEST_SHARE * _area(row)
    )


def _stacked(rows: list[np.ndarray], width: int = 15) -> np.ndarray:
    return np.stack(rows) if rows else np.zeros((0, width))
