"""Faces in a photo, found with OpenCV's detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..checks import as_path, check_brightness, check_image
from ..errors import MissingWeightsError
from ..images import to_uint8
from ..inversion.original_crop import Alignment
from .face_points import points_from_landmarks
from .face_search import find_faces
from .faces import BY_HAND, Face, sorted_faces
from .yunet import EXPECTED, YuNet

CASCADE = "haarcascade_frontalface_default.xml"
ADVICE = f"get it and give its path as model, or {BY_HAND}"

# of the square that the cascade reports: eyes, mouth corners
FRONTAL = ((0.31, 0.39), (0.69, 0.39), (0.36, 0.79), (0.64, 0.79))


def detect_faces(photo: Tensor, *, model: str | Path | None = None, advice: str = ADVICE) -> tuple[Face, ...]:
    """The faces of a photo from left to right, () if there are none.

    photo: [1,C,H,W] in [-1,1], C >= 3; further channels aren't looked at. model: a YuNet ONNX file (Wu et al. 2023) for
    OpenCV's FaceDetectorYN, with which faces of every size and turn are found (`face_search`); None = the Haar cascade
    of frontal faces that OpenCV 4 ships (Viola and Jones 2001), which knows no rotation and whose points are estimated
    from its rectangle. Every face has its points, `rectangle`, `score` and `tilt`. advice: what errors about the
    detector tell the reader to do. Raises InvalidInputError for several photos at once and for numbers in 0..255,
    MissingWeightsError without either detector, UnsupportedCheckpointError if OpenCV cannot use the file.
    """
    check_image(photo, "the photo", batch=1)
    check_brightness(photo, "the photo")
    file = None if model is None else as_path(model, "the detector's file")
    pixels = np.ascontiguousarray(to_uint8(photo[:, :3])[0].cpu().numpy()[:, :, ::-1])
    if file is None:
        return sorted_faces(_with_cascade(pixels, advice))
    rows = find_faces(YuNet(file, advice), pixels)
    return sorted_faces([_face_of_row(row.tolist()) for row in rows])


def draw_quads(photo: Tensor, alignments: tuple[Alignment, ...]) -> Tensor:
    """The photo [1,3,H,W] with the outline of every crop and a bar along its top, numbered from 1."""
    import cv2
    import torch

    canvas = to_uint8(photo[:, :3])[0].cpu().numpy().copy()
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


def _face_of_row(row: list[float]) -> Face:
    """See `YuNet` for the row."""
    left, top, width, height = row[:4]
    landmarks = list(zip(row[4:14:2], row[5:14:2], strict=True))
    return Face((left, top, width, height), points_from_landmarks(landmarks), row[14])


def _with_cascade(pixels: np.ndarray, advice: str) -> list[Face]:
    import cv2

    gray = cv2.equalizeHist(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
    least = max(24, min(gray.shape) // 12)
    rows = _cascade(advice).detectMultiScale(gray, 1.1, 6, minSize=(least, least))
    return [_face_of_rectangle([float(number) for number in row]) for row in rows]


def _cascade(advice: str) -> Any:
    """OpenCV's classifier of frontal faces. Raises MissingWeightsError, as with every OpenCV 5."""
    import cv2

    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    if not hasattr(cv2, "CascadeClassifier") or not (Path(folder) / CASCADE).is_file():
        raise MissingWeightsError(
            f"no face detector is installed (OpenCV {cv2.__version__} ships none); {EXPECTED}; {advice}"
        )
    return cv2.CascadeClassifier(str(Path(folder) / CASCADE))


def _face_of_rectangle(row: list[float]) -> Face:
    left, top, width, height = row
    landmarks = [(left + x * width, top + y * height) for x, y in FRONTAL]
    return Face((left, top, width, height), points_from_landmarks(landmarks), 0.5)
