"""Face Segments: the landmarks of a face to its regions."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.alignment.average_face import ESTIMATED
from ..chunky_core.alignment.landmark_faces import faces_from_landmarks
from ..chunky_core.segments.face_mesh import FaceLandmarks, segment_face, wanted_regions
from ..chunky_core.segments.label_names import parse_renames, split_names
from ..chunky_core.segments.segment_masks import SegmentMasks
from .face_sources import chosen, landmarks_per_photo
from .host import image_size, plain_tensors
from .mask_widgets import feather_input, gaps_input
from .notices import show_notice
from .types import FaceLandmarksIO, SegmentsIO

IRISES_INTO_EYES = "left_iris + left_eye = left_eye\nright_iris + right_eye = right_eye"


class FaceSegments(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_FaceSegments",
            display_name="Face Segments",
            category="ChunkyGAN/segments",
            description="Makes segments of a face from its landmarks: skin, eyes, irises, brows, nose, lips, mouth. "
            "Nothing has to be painted.",
            search_aliases=[
                "face parts",
                "face mesh",
                "mediapipe",
                "landmarks to mask",
                "face mask",
                "eye mask",
                "lips mask",
                "face segmentation",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The photo, or several. It sets the size of the segments."),
                FaceLandmarksIO.Input(
                    "face_landmarks",
                    tooltip="From Detect Face Landmarks (MediaPipe) on the same picture, or Align Face's "
                    "crop_landmarks with its crop.",
                ),
                io.Combo.Input(
                    "faces",
                    options=["largest", "leftmost", "number"],
                    default="largest",
                    tooltip="Which face of each photo.",
                ),
                io.Int.Input(
                    "number",
                    default=1,
                    min=1,
                    max=99,
                    tooltip="With faces = number: 1 is the leftmost face.",
                ),
                io.String.Input(
                    "rename",
                    default=IRISES_INTO_EYES,
                    multiline=True,
                    tooltip="Renames and merges regions, one rule per line: 'upper_lip + lower_lip = lips'. As it is, "
                    "the irises belong to the eyes; empty = every region by itself.",
                ),
                io.String.Input(
                    "only",
                    default="",
                    tooltip="The regions that become segments, by name or plural (after renaming): 'mouth, eyes'. All "
                    "else stays the photo and costs nothing. Empty = all.",
                ),
                io.String.Input(
                    "static",
                    default="",
                    tooltip="Regions that never change, by name (after renaming), separated by commas. What lies "
                    "around the face is static anyway.",
                ),
                io.Int.Input(
                    "grow",
                    default=4,
                    min=0,
                    max=64,
                    tooltip="Pixels by which small segments grow over larger ones, so that edits have room.",
                    advanced=True,
                ),
                feather_input("hard"),
                gaps_input(),
            ],
            outputs=[
                SegmentsIO.Output(display_name="segments", tooltip="The segments, one set per photo."),
                io.String.Output(
                    display_name="names", tooltip="The names of the segments, separated by commas."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        face_landmarks: Any,
        faces: str,
        number: int,
        rename: str,
        only: str,
        static: str,
        grow: int,
        feather: float,
        gaps: str,
    ) -> io.NodeOutput:
        options: dict[str, Any] = {
            "rename": parse_renames(rename),
            "only": split_names(only),
            "static": split_names(static),
            "grow": grow,
            "feather": feather,
            "gaps": gaps,
        }
        size = image_size(image)
        with plain_tensors():
            meshes = landmarks_per_photo(face_landmarks, size, len(image))
            shown = [the_face(found, faces, number, i) for i, found in enumerate(meshes)]
            sets = tuple(segment_face(one, size, **options) for one in shown)
            say_unseen(sets, wanted_regions(options["rename"], options["static"], options["only"]).chosen)
            say_estimated(shown)
            return io.NodeOutput(sets, ", ".join(dict.fromkeys(name for one in sets for name in one)))


def the_face(meshes: tuple[FaceLandmarks, ...], which: str, number: int, photo: int) -> FaceLandmarks:
    """The face asked for of photo `photo`, from 0. Raises InvalidInputError if it isn't there."""
    faces = faces_from_landmarks(meshes)
    (face,) = chosen(faces, which, number, photo)
    return meshes[faces.index(face)]


def say_unseen(sets: tuple[SegmentMasks, ...], expected: tuple[str, ...]) -> None:
    """Name the segments that a photo doesn't have, such as a closed mouth, so that no edit misses them unnoticed."""
    for i, one in enumerate(sets, start=1):
        missing = [name for name in expected if name not in one]
        if missing:
            show_notice(f"photo {i} shows no {', '.join(missing)} (closed, or outside the picture)")


def say_estimated(shown: list[FaceLandmarks]) -> None:
    """Say so where a mesh is not the face's own."""
    if any(one.data.get(ESTIMATED) for one in shown):
        show_notice(
            "only eyes and mouth are known: these are an average face's segments, put there. Look at them, let "
            "them grow, merge the lips with the mouth, or connect Detect Face Landmarks to Align Face"
        )


NODES = [FaceSegments]
