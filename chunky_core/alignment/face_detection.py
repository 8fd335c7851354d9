"""Faces in a photo, found with OpenCV's detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import MissingWeightsError, UnsupportedCheckpointError
from ..images import to_uint8
from ..inversion.original_crop import Alignment
from .face_points import points_from_landmarks
from .faces import BY_HAND, Face, sorted_faces

YUNET = "face_detection_yunet_2023mar.onnx"
FOLDER = "models/chunkygan/faces"
SOURCE = (
    "from OpenCV's model zoo (opencv_zoo on GitHub, folder models/face_detection_yunet; 230 kB, MIT licence)"
)
CASCADE = "haarcascade_frontalface_default.xml"

SIDES = (640, 320, 1280)  # pixels of the longest side; YuNet finds faces of 10 to 300 pixels
LEAST_SCORE, LARGEST_OVERLAP, MOST_FACES = 0.7, 0.3, 200
# of the square that the cascade reports: eyes, mouth corners
FRONTAL = ((0.31, 0.39), (0.69, 0.39), (0.36, 0.79), (0.64, 0.79))


def detect_faces(photo: Tensor, *, model: str | Path | None = None) -> tuple[Face, ...]:
    """The faces of a photo from left to right, () if there are none.

    photo: [1,3,H,W] in [-1,1]. model: a YuNet ONNX file (Wu et al. 2023) for OpenCV's FaceDetectorYN; None = the
    Haar cascade of frontal faces that OpenCV 4 ships (Viola and Jones 2001), which knows no rotation and whose
    points are estimated from its rectangle. Raises MissingWeightsError without either, UnsupportedCheckpointError if
    OpenCV cannot use the file.
    """
    pixels = np.ascontiguousarray(to_uint8(photo)[0].cpu().numpy()[:, :, ::-1])
    found = _with_cascade(pixels) if model is None else _with_yunet(pixels, Path(model))
    return sorted_faces(found)


def draw_quads(photo: Tensor, alignments: tuple[Alignment, ...]) -> Tensor:
    """The photo [1,3,H,W] with the outline of every crop and a bar along its top, numbered from 1."""
    import cv2
    import torch

    canvas = to_uint8(photo)[0].cpu().numpy().copy()
    width = max(1, round(max(canvas.shape[:2]) / 300))
    for number, alignment in enumerate(alignments, start=1):
        corners = np.round(np.array(alignment.quad) * 16 - 8).clip(-(2**29), 2**29).astype(np.int32)
        cv2.polylines(canvas, [corners], True, (255, 210, 0), width, cv2.LINE_AA, 4)
        cv2.line(canvas, corners[0].tolist(), corners[3].tolist(), (255, 60, 40), 2 * width, cv2.LINE_AA, 4)
        foot = (np.array(alignment.quad[1]) + (4 * width, -4 * width)).round().astype(int).tolist()
        cv2.putText(
            canvas, str(number), foot, cv2.FONT_HERSHEY_SIMPLEX, 0.5 * width + 0.3, (255, 210, 0), width
        )
    return torch.from_numpy(canvas).movedim(-1, 0)[None].to(photo) / 127.5 - 1


def _with_yunet(pixels: np.ndarray, model: Path) -> list[Face]:
    """pixels: BGR. The photo is looked at in several sizes until a face is found."""
    import cv2

    if not model.is_file():
        raise MissingWeightsError(f"there is no {model}; {_where_to_get()}")
    longest = max(pixels.shape[:2])
    for side in SIDES:
        scale = side / longest
        size = [max(1, round(length * scale)) for length in pixels.shape[1::-1]]
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        try:
            detector = cv2.FaceDetectorYN.create(
                str(model), "", size, LEAST_SCORE, LARGEST_OVERLAP, MOST_FACES
            )
            rows = detector.detect(small)[1]
        except (cv2.error, AttributeError) as error:
            raise UnsupportedCheckpointError(
                f"OpenCV {cv2.__version__} cannot use {model.name} as a face detector; {_where_to_get()}"
            ) from error
        if rows is not None and len(rows):
            return [_face_of_row(row.tolist(), size[0] / pixels.shape[1]) for row in rows]
    return []


def _face_of_row(row: list[float], scale: float) -> Face:
    """One row of FaceDetectorYN: rectangle, then eyes, nose, mouth corners as x, y, then the score."""
    numbers = [number / scale for number in row[:14]]
    landmarks = list(zip(numbers[4::2], numbers[5::2], strict=True))
    left, top, width, height = numbers[:4]
    return Face((left, top, width, height), points_from_landmarks(landmarks), row[14])


def _with_cascade(pixels: np.ndarray) -> list[Face]:
    import cv2

    gray = cv2.equalizeHist(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
    least = max(24, min(gray.shape) // 12)
    rows = _cascade().detectMultiScale(gray, 1.1, 6, minSize=(least, least))
    return [_face_of_rectangle([float(number) for number in row]) for row in rows]


def _cascade() -> Any:
    """OpenCV's classifier of frontal faces. Raises MissingWeightsError, as with every OpenCV 5."""
    import cv2

    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    if not hasattr(cv2, "CascadeClassifier") or not (Path(folder) / CASCADE).is_file():
        raise MissingWeightsError(
            f"no face detector is installed (OpenCV {cv2.__version__} ships none); {_where_to_get()}"
        )
    return cv2.CascadeClassifier(str(Path(folder) / CASCADE))


def _face_of_rectangle(row: list[float]) -> Face:
    left, top, width, height = row
    landmarks = [(left + x * width, top + y * height) for x, y in FRONTAL]
    return Face((left, top, width, height), points_from_landmarks(landmarks), 0.5)


def _where_to_get() -> str:
    return f"put {YUNET} {SOURCE} into {FOLDER}, press R and choose it as model, or {BY_HAND}"
