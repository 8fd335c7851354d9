"""Where the faces of a photo are: found, given by hand, or by another pack. The inputs and their meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.alignment.face_detection import detect_faces
from ..chunky_core.alignment.face_points import (
    BOX_MEANING,
    POINTS_MEANING,
    FacePoints,
    parse_points,
    parse_rectangles,
    points_from_openpose,
)
from ..chunky_core.alignment.faces import BY_HAND, Face, choose_face, sorted_faces
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.segments.masks import BLACK
from .fitted import fitted_mask
from .host import mask_to_core, per_photo
from .model_files import file_in, files_in

FOLDER = "chunkygan_faces"
HAAR = "OpenCV's own"
PoseIO = io.Custom("POSE_KEYPOINT")
FaceSource = Callable[[Tensor, int], tuple[Face, ...]]  # photo [1,3,H,W] and its number in the batch


def register_folders() -> None:
    """Make models/chunkygan/faces known to the host."""
    folder_paths.add_model_folder_path(FOLDER, str(Path(folder_paths.models_dir) / "chunkygan" / "faces"))


def source_inputs() -> list[io.Input]:
    """Where the faces are; what is given by hand goes before detection."""
    return [
        io.Combo.Input(
            "model",
            options=[*detectors(), HAAR],
            default=[*detectors(), HAAR][0],
            tooltip="Finds the faces: a YuNet ONNX file from models/chunkygan/faces, or OpenCV's own detector "
            "(only OpenCV 4 has one, for upright faces). Not used if points, box, keypoints or mask are given.",
        ),
        io.String.Input(
            "points",
            default="",
            multiline=True,
            tooltip=f"By hand, one face per line: {POINTS_MEANING}. Empty = not used.",
        ),
        io.String.Input(
            "box",
            default="",
            multiline=True,
            tooltip=f"By hand, one crop per line, {BOX_MEANING}; becomes a square. Empty = not used.",
        ),
        PoseIO.Input(
            "keypoints",
            optional=True,
            tooltip="OpenPose keypoints with faces, from another pack; one picture for each photo.",
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Painted on the photo: the crop is the square around it. One for all photos or one each.",
        ),
    ]


def detectors() -> list[str]:
    """The YuNet files in models/chunkygan/faces."""
    return files_in(FOLDER, (".onnx",))


def face_source(
    model: str, points: str, box: str, keypoints: Any, mask: Tensor | None, count: int
) -> FaceSource:
    """What tells the faces of a photo. Raises InvalidInputError if more than one thing is given by hand."""
    texts = {"points": points.strip(), "box": box.strip()}
    given = [name for name, text in texts.items() if text]
    given += [name for name, link in (("keypoints", keypoints), ("mask", mask)) if link is not None]
    if len(given) > 1:
        raise InvalidInputError(f"{' and '.join(given)} are given together; give only one of them")
    if points.strip():
        by_points = faces_of(parse_points(points))
        return lambda photo, i: by_points
    if box.strip():
        by_box = tuple(Face(one) for one in parse_rectangles(box))
        return lambda photo, i: by_box
    if keypoints is not None:
        pictures = [keypoints] if isinstance(keypoints, dict) else keypoints
        poses = per_photo(tuple(pictures), count, "sets of keypoints")
        return lambda photo, i: faces_of(points_from_openpose(poses[i], (photo.shape[-2], photo.shape[-1])))
    if mask is not None:
        planes = per_photo(mask_to_core(mask).split(1), count, "masks")
        return lambda photo, i: (face_of_mask(planes[i][0, 0], photo),)
    path = None if model == HAAR else file_in(FOLDER, model)
    return lambda photo, i: detect_faces(photo, model=path)


def faces_of(points: tuple[FacePoints, ...]) -> tuple[Face, ...]:
    return tuple(Face(one.rectangle(), one) for one in points)


def face_of_mask(mask: Tensor, photo: Tensor) -> Face:
    """The box around what is painted on a photo [1,3,H,W]; mask: [H,W]. Raises InvalidInputError."""
    mask = fitted_mask(mask, (photo.shape[-2], photo.shape[-1]))
    rows, columns = torch.nonzero(mask > mask.max() / 2, as_tuple=True)  # of a half opaque brush, too
    if not mask.max() > BLACK:
        raise InvalidInputError("the mask is empty; paint over the face, or disconnect the mask")
    left, top = int(columns.min()), int(rows.min())
    return Face((left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top))


def chosen(faces: tuple[Face, ...], which: str, number: int, photo: int) -> tuple[Face, ...]:
    """The faces asked for. Raises InvalidInputError, with the photo's number, if they aren't there."""
    if not faces:
        raise InvalidInputError(f"no face was found in photo {photo + 1}; {BY_HAND}")
    if which == "all":
        return sorted_faces(faces)
    if which == "number" and number > len(faces):
        raise InvalidInputError(
            f"face {number} was asked for, photo {photo + 1} has {len(faces)}; choose a smaller number"
        )
    return (choose_face(faces, number - 1 if which == "number" else which),)
