"""Faces from MediaPipe's meshes, and the meshes in the crops that were cut out."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..boxes import AnySize
from ..checks import check_each, check_type
from ..inversion.original_crop import Alignment
from ..segments.face_mesh.landmarks import FaceLandmarks, moved
from .face_crop import crop_size
from .face_points import points_from_landmarks
from .faces import Face
from .perspective import mapped, quad_to_photo, scaling

READER = "read_face_landmarks and average_landmarks make them"


def faces_from_landmarks(landmarks: Sequence[FaceLandmarks]) -> tuple[Face, ...]:
    """One face for each mesh, in their order: the centers of the eyes and the corners of the mouth.

    Raises InvalidInputError for a mesh in which eyes and mouth lie on one line.
    """
    check_each(landmarks, "the landmarks", FaceLandmarks, READER)
    return tuple(
        Face(one.rectangle(), points_from_landmarks(one.alignment_points()), one.score) for one in landmarks
    )


def landmarks_in_crop(
    landmarks: Sequence[FaceLandmarks], alignment: Alignment, size: AnySize
) -> FaceLandmarks | None:
    """The mesh of the face that a crop of `size` shows, in pixels of the crop.

    landmarks: the meshes of the photo. Of several the one nearest to the crop's middle is taken, None if there is none
    in the crop. Raises InvalidInputError for other kinds of things.
    """
    check_each(landmarks, "the landmarks", FaceLandmarks, READER)
    check_type(alignment, "the alignment", Alignment, "it is that of the crop that align cut out")
    crop = crop_size(size)
    to_crop = scaling(crop.width, crop.height) @ torch.linalg.inv(quad_to_photo(alignment.quad))
    corner = torch.tensor([crop.width, crop.height])
    inside = []
    for one in landmarks:
        points = mapped(to_crop, one.points.T).T
        middle = points.mean(0)
        if bool(((middle >= 0) & (middle <= corner)).all()):
            inside.append(((middle - corner / 2).norm().item(), moved(one, points)))
    return min(inside, key=lambda pair: pair[0])[1] if inside else None
