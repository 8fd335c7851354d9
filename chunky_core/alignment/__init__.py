"""Faces out of photos, upright and in the generator's size, and back in at the photo's own resolution."""

from __future__ import annotations

from .average_face import average_landmarks
from .bounding_boxes import detect_in_boxes, faces_in_boxes, read_bounding_boxes
from .face_crop import AlignedCrop, align, extract_crop, extract_labels, extract_mask
from .face_detection import detect_faces
from .face_points import FacePoints
from .faces import Face, choose_face, ffhq_quad
from .landmark_faces import faces_from_landmarks, landmarks_in_crop
from .pasting import paste_back, paste_mask

__all__ = [
    "AlignedCrop",
    "Face",
    "FacePoints",
    "align",
    "average_landmarks",
    "choose_face",
    "detect_faces",
    "detect_in_boxes",
    "extract_crop",
    "extract_labels",
    "extract_mask",
    "faces_from_landmarks",
    "faces_in_boxes",
    "ffhq_quad",
    "landmarks_in_crop",
    "paste_back",
    "paste_mask",
    "read_bounding_boxes",
]
