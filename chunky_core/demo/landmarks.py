"""The landmarks of a drawn portrait: a stand-in for what a detector would find in it."""

from __future__ import annotations

import torch
from torch import Tensor

from ..alignment import Face, FacePoints, average_landmarks
from ..inversion.original_crop import Point
from ..segments.face_mesh import FaceLandmarks
from .portraits import LABELS

LEAST = 8  # pixels that must be seen of an eye or of the mouth


def portrait_landmarks(labels: Tensor) -> FaceLandmarks | None:
    """An average face's mesh at the portrait's eyes and mouth; None where one of them is covered.

    labels: [H,W], indices into portraits.LABELS.
    """
    places = {
        name: torch.nonzero(labels == LABELS.index(name)) for name in ("left_eye", "right_eye", "mouth")
    }
    if any(len(place) < LEAST for place in places.values()):
        return None
    eyes = _middle(places["left_eye"]), _middle(places["right_eye"])
    mouth = places["mouth"]
    columns = mouth[:, 1]
    corners = _middle(mouth[columns == columns.min()]), _middle(mouth[columns == columns.max()])
    points = FacePoints(eyes, corners)
    return average_landmarks(Face(points.rectangle(), points))


def _middle(pixels: Tensor) -> Point:
    """x, y of [N,2] rows and columns."""
    row, column = (pixels.double().mean(0) + 0.5).tolist()
    return column, row
