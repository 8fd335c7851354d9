"""FACE_LANDMARKS, as ComfyUI's MediaPipe nodes give them, read and written; and the points in pixels of a photo."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...boxes import AnySize, Size, as_size
from ...checks import check_tensor
from ...errors import InvalidInputError
from .regions import LEFT_EYE_CENTER, MESH_SIZES, MOUTH_CORNERS, OVAL, RIGHT_EYE_CENTER

CROP, CROP_PER_FACE = (
    192,
    1.5,
)  # side of what MediaPipe's network looks at: in pixels, and in widths of the face's oval
# MediaPipe's points lie so far right of and below the true ones, in pixels of that crop. Measured on five faces of
# seven sizes and their mirror images, MediaPipe 0.10.21: true - given = .505 pixels of the photo - .34 of the crop.
LAG = 0.34
_LONGEST = 1 << 31  # side of a picture in pixels
Rectangle = tuple[float, float, float, float]
EXPECTED = (
    "expected FACE_LANDMARKS of Detect Face Landmarks (MediaPipe): a dict with frames, in each a list of faces with "
    "landmarks_xy [478,2], and image_size"
)


@dataclass(frozen=True, eq=False)
class FaceLandmarks:
    """points: float64 [478,2] (or 468), x and y in pixels of the photo, the center of its first pixel being (0.5, 0.5).

    score: 0..1. data: what came with them, by the keys of FACE_LANDMARKS.
    """

    points: Tensor = field(repr=False)
    score: float = 1.0
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_mesh(self.points)

    def rectangle(self) -> Rectangle:
        """left, top, width, height of all points."""
        (left, top), (right, bottom) = self.points.amin(0).tolist(), self.points.amax(0).tolist()
        return left, top, right - left, bottom - top

    def alignment_points(self) -> list[tuple[float, float]]:
        """Both eyes' centers and both corners of the mouth, the person's right ones first, x and y each."""
        eyes = [self.points[list(ring)].mean(0) for ring in (RIGHT_EYE_CENTER, LEFT_EYE_CENTER)]
        places = [*eyes, *self.points[list(MOUTH_CORNERS)]]
        return [(float(x), float(y)) for x, y in places]


def check_mesh(points: Tensor) -> None:
    """Raise InvalidInputError for what isn't a mesh of finite numbers."""
    check_tensor(points, "the mesh of a face", "[478,2]")
    if points.ndim != 2 or points.shape[0] not in MESH_SIZES or points.shape[1] != 2:
        raise InvalidInputError(
            f"the face's points are a tensor of shape {list(points.shape)}; expected MediaPipe's mesh, [478,2] or "
            "[468,2]"
        )
    if not points.isfinite().all():
        raise InvalidInputError("the face's points hold NaN or infinity; detect the face again")


def from_mediapipe(points: Tensor) -> Tensor:
    """MediaPipe's own pixel coordinates [N,2] (0 = center of the first pixel) as places in the photo, float64."""
    return points.double() + _shift(points.double())


def to_mediapipe(points: Tensor) -> Tensor:
    """The reverse of `from_mediapipe`."""
    return points.double() - _shift(points.double())


def _shift(points: Tensor) -> Tensor:
    """[2]; it depends on the size and the tilt of the face only."""
    eyes = points[list(LEFT_EYE_CENTER)].mean(0) - points[list(RIGHT_EYE_CENTER)].mean(0)
    right = torch.nn.functional.normalize(eyes, dim=0)
    down = torch.stack([-right[1], right[0]])
    width = (points[list(OVAL)] @ right).aminmax()
    lag = LAG * CROP_PER_FACE / CROP * (width.max - width.min)
    return 0.5 - lag * (right + down)


def read_face_landmarks(data: Any, size: AnySize) -> tuple[tuple[FaceLandmarks, ...], ...]:
    """The faces of each picture from FACE_LANDMARKS.

    size: (height, width) of the photos, or the side of square ones. Points that were found in the same picture of
    another size are scaled (`scaling_note` says so). Raises InvalidInputError for another layout, another aspect, and
    another number of points than 478 or 468.
    """
    frames = data.get("frames") if isinstance(data, Mapping) else None
    if not isinstance(frames, Sequence) or not all(isinstance(frame, Sequence) for frame in frames):
        raise InvalidInputError(f"the face landmarks are {type(data).__name__} without frames; {EXPECTED}")
    scale = _scale(_found_in(data), as_size(size))
    return tuple(tuple(_face(face, scale) for face in frame) for frame in frames)


def scaling_note(data: Any, size: AnySize) -> str:
    """What there is to say where `read_face_landmarks` scales the points to photos of `size`; "" where it doesn't."""
    found, wanted = _found_in(data), as_size(size)
    if found == wanted:
        return ""
    return (
        f"the face landmarks were found in a picture of {found}, this one is {wanted}: they are scaled to it; detect "
        "them here unless it is the same picture in another size"
    )


def _found_in(data: Mapping[str, Any]) -> Size:
    given: Any = data.get("image_size")
    try:
        sides = [int(float(side)) for side in given if isinstance(side, Real)]
    except (TypeError, ValueError, OverflowError):  # ValueError: NaN
        sides = []
    if len(sides) != 2 or not 1 <= min(sides) <= max(sides) <= _LONGEST:
        raise InvalidInputError(f"the face landmarks' image_size is {given!r:.60}; {EXPECTED}")
    return Size(*sides)


def _scale(found: Size, size: Size) -> Tensor:
    (height, width), (h, w) = size, found
    if min(size) < 1 or max(abs(height * w / h - width), abs(width * h / w - height)) > max(
        1.0, height / h, width / w
    ):
        raise InvalidInputError(
            f"the face landmarks were found in a picture of {w}x{h}, the photo is {width}x{height}; detect them in "
            "this photo"
        )
    return torch.tensor([width / w, height / h], dtype=torch.float64)


def _face(face: Any, scale: Tensor) -> FaceLandmarks:
    given = face.get("landmarks_xy") if isinstance(face, Mapping) else None
    if given is None:
        raise InvalidInputError(f"a face of the landmarks has no landmarks_xy; {EXPECTED}")
    try:
        points = torch.from_numpy(np.array(given, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"landmarks_xy are no table of numbers; {EXPECTED}") from error
    check_mesh(points)
    score = face.get("score")
    known = isinstance(score, Real) and math.isfinite(score)
    return FaceLandmarks(from_mediapipe(points) * scale, float(score) if known else 1.0, dict(face))


def moved(face: FaceLandmarks, points: Tensor) -> FaceLandmarks:
    """The same face with its points at other places, as in a crop of the photo.

    What holds for the old picture only, the pose matrix, is left out.
    """
    data = {key: value for key, value in face.data.items() if key != "transformation_matrix"}
    return replace(face, points=points.double(), data=data)


def write_face_landmarks(
    frames: Sequence[Sequence[FaceLandmarks]], size: tuple[int, int], template: Mapping[str, Any]
) -> dict[str, Any]:
    """FACE_LANDMARKS of pictures of (height, width); all else, such as connection_sets, is the template's."""
    written = [[_written(face) for face in frame] for frame in frames]
    return {**template, "frames": written, "image_size": size}


def _written(face: FaceLandmarks) -> dict[str, Any]:
    places = to_mediapipe(face.points).float().numpy()
    extent = np.concatenate([places.min(0), places.max(0)]).astype(np.float32)
    return {**face.data, "landmarks_xy": places, "bbox_xyxy": extent}
