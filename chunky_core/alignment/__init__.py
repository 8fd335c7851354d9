"""Faces out of photos, upright and in the generator's size, and back in at the photo's own resolution."""

from __future__ import annotations

from .face_crop import AlignedCrop, align, extract_crop
from .face_detection import detect_faces
from .face_points import FacePoints
from .faces import Face, choose_face, ffhq_quad
from .pasting import paste_back

__all__ = [
    "AlignedCrop",
    "Face",
    "FacePoints",
    "align",
    "choose_face",
    "detect_faces",
    "extract_crop",
    "ffhq_quad",
    "paste_back",
]
