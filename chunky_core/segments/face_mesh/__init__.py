"""MediaPipe's mesh of a face -> its regions as segments."""

from __future__ import annotations

from .landmarks import FaceLandmarks, from_mediapipe, read_face_landmarks, scaling_note
from .regions import REGIONS
from .segmentation import face_regions, segment_face, wanted_regions

__all__ = [
    "REGIONS",
    "FaceLandmarks",
    "face_regions",
    "from_mediapipe",
    "read_face_landmarks",
    "scaling_note",
    "segment_face",
    "wanted_regions",
]
