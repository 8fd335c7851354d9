"""Where the faces of a photo are: found, given by hand, or by another pack. The inputs and their meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.alignment.bounding_boxes import detect_in_boxes, faces_in_boxes, read_bounding_boxes
from ..chunky_core.alignment.face_detection import detect_faces
from ..chunky_core.alignment.face_points import (
    BOX_MEANING,
    POINTS_MEANING,
    FacePoints,
    FaceRectangle,
    parse_points,
    parse_rectangles,
    points_from_openpose,
)
from ..chunky_core.alignment.faces import Face, choose_face, sorted_faces
from ..chunky_core.alignment.landmark_faces import faces_from_landmarks
from ..chunky_core.boxes import Size
from ..chunky_core.errors import InvalidInputError, MissingWeightsError
from ..chunky_core.segments.face_mesh import FaceLandmarks, read_face_landmarks, scaling_note
from ..chunky_core.segments.masks import BLACK
from .fitted import fitted_mask
from .host import mask_to_core, per_photo
from .model_files import file_in, files_in
from .notices import show_notice
from .types import BoundingBoxIO, FaceLandmarksIO

FOLDER = "chunkygan_faces"
BY_HAND = (
    "say where the face is: MediaPipe's face landmarks, points (both eyes, both corners of the mouth), a box, "
    "a mask painted over it, or keypoints of another pack"
)
ADVICE = f"put it into models/chunkygan/faces, press R and choose it as model, or {BY_HAND}"
HAAR = "OpenCV's own"
PoseIO = io.Custom("POSE_KEYPOINT")
FaceSource = Callable[[Tensor, int], tuple[Face, ...]]  # photo [1,3,H,W] and its number in the batch
Meshes = tuple[tuple[FaceLandmarks, ...], ...]  # the faces of each photo


@dataclass(frozen=True)
class ByHand:
    """What a person or a pose says of the faces, as the node gets it; at most one of the four."""

    points: str = ""
    box: str = ""
    keypoints: Any = None
    mask: Tensor | None = None

    def names(self) -> list[str]:
        """Of what is given."""
        texts = {"points": self.points, "box": self.box}
        links = {"keypoints": self.keypoints, "mask": self.mask}
        return [name for name, text in texts.items() if text.strip()] + [
            name for name, link in links.items() if link is not None
        ]


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
            "(only OpenCV 4 has one, for upright faces). Not used if points, box, keypoints, mask or "
            "face_landmarks are given.",
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


def landmark_inputs() -> list[io.Input]:
    """What other nodes found of the faces; goes before detection, after what is given by hand."""
    return [
        FaceLandmarksIO.Input(
            "face_landmarks",
            optional=True,
            tooltip="From Detect Face Landmarks (MediaPipe): the best frame. Comes out as crop_landmarks as well, also "
            "if the place is given by hand.",
        ),
        BoundingBoxIO.Input(
            "bounding_boxes",
            optional=True,
            extra_dict={"forceInput": True},  # else the page makes a widget of it, which always holds a box
            tooltip="Boxes around faces, or around people, by another node: the faces that lie in them are meant, of "
            "face_landmarks, keypoints, or those that model finds there.",
        ),
    ]


def detectors() -> list[str]:
    """The YuNet files in models/chunkygan/faces."""
    return files_in(FOLDER, (".onnx",))


def face_source(model: str, by_hand: ByHand, meshes: Meshes | None, boxes: Any, count: int) -> FaceSource:
    """What tells the faces of a photo: by hand, else from landmarks, else found; of those the ones in bounding boxes.

    meshes: for each photo; boxes: BOUNDING_BOX. Raises InvalidInputError if more than one thing is given by hand.
    """
    given = by_hand.names()
    if len(given) > 1:
        raise InvalidInputError(f"{' and '.join(given)} are given together; give only one of them")
    read = () if boxes is None else read_bounding_boxes(boxes)
    if read and set(given) - {"keypoints"}:
        raise InvalidInputError(
            f"{given[0]} and bounding_boxes are given together; boxes choose among faces that are found, so give only "
            "one of them"
        )
    known = known_faces(by_hand, meshes, count)
    uses_file = known is None and model != HAAR
    detect = partial(detect_faces, model=file_in(FOLDER, model) if uses_file else None, advice=ADVICE)
    if not read:
        return known or (lambda photo, i: detect(photo))
    of_photos = per_photo(read, count, "lists of bounding boxes")
    if known is not None:
        return lambda photo, i: faces_in_boxes(known(photo, i), of_photos[i])
    return lambda photo, i: found_in_boxes(photo, of_photos[i], detect)


def subject_source(size: Size, by_hand: ByHand, boxes: Any, count: int) -> FaceSource:
    """What tells the subjects of a photo whose crops aren't square: boxes and masks, since no face is framed so.

    size: of the crops. Raises InvalidInputError for everything else.
    """
    given = by_hand.names()
    if boxes is not None and not given:
        of_photos = per_photo(read_bounding_boxes(boxes), count, "lists of bounding boxes")
        return lambda photo, i: tuple(Face(one) for one in of_photos[i])
    if boxes is not None or given not in (["box"], ["mask"]):
        raise InvalidInputError(
            f"this generator draws pictures of {size} (width x height), which FFHQ's frame of a face doesn't fit; say "
            "where the whole subject is by one of box, mask and bounding_boxes"
        )
    known = known_faces(by_hand, None, count)
    assert known is not None  # a box or a mask is one
    return known


def known_faces(by_hand: ByHand, meshes: Meshes | None, count: int) -> FaceSource | None:
    """The faces given by hand, by keypoints, or by landmarks; None if nothing of that is given."""
    if by_hand.points.strip():
        by_points = faces_of(parse_points(by_hand.points))
        return lambda photo, i: by_points
    if by_hand.box.strip():
        by_box = tuple(Face(one) for one in parse_rectangles(by_hand.box))
        return lambda photo, i: by_box
    if by_hand.keypoints is not None:
        given = by_hand.keypoints
        poses = per_photo(tuple([given] if isinstance(given, dict) else given), count, "sets of keypoints")
        return lambda photo, i: faces_of(points_from_openpose(poses[i], (photo.shape[-2], photo.shape[-1])))
    if by_hand.mask is not None:
        planes = per_photo(mask_to_core(by_hand.mask).split(1), count, "masks")
        return lambda photo, i: (face_of_mask(planes[i][0, 0], photo),)
    if meshes is not None:
        return lambda photo, i: faces_from_landmarks(meshes[i])
    return None


def found_in_boxes(
    photo: Tensor, boxes: tuple[FaceRectangle, ...], detect: Callable[[Tensor], tuple[Face, ...]]
) -> tuple[Face, ...]:
    """What a detector finds in the boxes. Raises MissingWeightsError without one."""
    try:
        return detect_in_boxes(photo, boxes, detect)
    except MissingWeightsError as error:
        raise MissingWeightsError(
            "bounding boxes tell where a face is, not its eyes and mouth: connect face_landmarks or keypoints beside "
            f"them, or get a detector; {error}"
        ) from error


def landmarks_per_photo(landmarks: Any, size: tuple[int, int], count: int) -> Meshes:
    """FACE_LANDMARKS as the faces of each photo of (height, width); says where they are scaled to it. Raises
    InvalidInputError.
    """
    meshes = per_photo(read_face_landmarks(landmarks, size), count, "sets of face landmarks")
    if note := scaling_note(landmarks, size):
        show_notice(note)
    return meshes


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
