"""What lies on a whole photo and follows a face into its crop: masks, label pictures, strokes and landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..chunky_core.alignment.average_face import average_landmarks
from ..chunky_core.alignment.face_crop import extract_crop, extract_labels, extract_mask
from ..chunky_core.alignment.faces import Face
from ..chunky_core.alignment.landmark_faces import landmarks_in_crop
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.images import from_uint8, to_uint8
from ..chunky_core.inversion import Alignment
from ..chunky_core.segments.face_mesh.landmarks import FaceLandmarks, write_face_landmarks
from ..chunky_core.wording import counted
from .fitted import fitted_labels, fitted_mask
from .host import check_image, each_photo, mask_to_core, mask_to_host, per_photo, to_host
from .types import AlignmentBatch, FaceLandmarksIO

Size = tuple[int, int]


def along_inputs() -> list[io.Input]:
    return [
        io.Mask.Input(
            "photo_masks",
            optional=True,
            tooltip="Masks made for the whole photo, to be cut out like it; with several photos as many for each.",
        ),
        io.Image.Input(
            "photo_labels",
            optional=True,
            tooltip="A label picture made for the whole photo (one colour or grey level per area), to be cut out "
            "without mixing its colours.",
        ),
        io.Image.Input(
            "photo_painted",
            optional=True,
            tooltip="The photo with strokes painted over it, to be cut out like it: for Painted Segments.",
        ),
    ]


def along_outputs() -> list[io.Output]:
    return [
        FaceLandmarksIO.Output(
            display_name="crop_landmarks",
            tooltip="The landmarks of each crop's face, in pixels of the crop; for Face Segments. Without "
            "face_landmarks those of an average face, put where eyes and mouth were found or given.",
        ),
        io.Mask.Output(
            display_name="crop_masks", tooltip="photo_masks as they lie on the crops, crop by crop."
        ),
        io.Image.Output(
            display_name="crop_labels", tooltip="photo_labels as they lie on the crops, one per crop."
        ),
        io.Image.Output(
            display_name="crop_painted", tooltip="photo_painted as it lies on the crops, one per crop."
        ),
    ]


def shared_out(masks: Tensor, count: int, what: str) -> list[Tensor]:
    """Masks [N,1,H,W] for `count` photos or crops: as many for each, in turn; a single one serves all.

    Raises InvalidInputError.
    """
    if len(masks) == 1:
        return [masks] * count
    if len(masks) % count:
        raise InvalidInputError(
            f"{counted(len(masks), 'mask')} for {counted(count, what)}; give as many for each, or one for all"
        )
    return list(masks.split(len(masks) // count))


def absent(name: str) -> ExecutionBlocker:
    """What keeps the nodes behind an output from running, and says what is missing."""
    return ExecutionBlocker(f"Align Face has nothing to give here: connect {name} to it")


def masks_along(masks: Tensor | None, alignments: AlignmentBatch, sizes: list[Size], crop_size: Size) -> Any:
    """MASK of the crops. sizes: (height, width) of each photo."""
    if masks is None:
        return absent("photo_masks")
    planes = shared_out(mask_to_core(masks), len(alignments), "photo")
    fitted = [fitted_mask(one, size, "photo_masks") for one, size in zip(planes, sizes, strict=True)]
    cut = [
        extract_mask(plane[0], place, crop_size)
        for ones, photo in zip(alignments, fitted, strict=True)
        for place in ones
        for plane in photo
    ]
    return mask_to_host(torch.cat(cut))


def labels_along(
    labels: Tensor | None, alignments: AlignmentBatch, sizes: list[Size], crop_size: Size
) -> Any:
    """IMAGE of the crops, with the host's own numbers."""
    if labels is None:
        return absent("photo_labels")
    check_image(labels)
    pictures = per_photo(tuple(labels.detach().movedim(-1, 1)), len(alignments), "label pictures")
    cut = [
        extract_labels(fitted_labels(picture, size, "photo_labels"), place, crop_size)
        for picture, ones, size in zip(pictures, alignments, sizes, strict=True)
        for place in ones
    ]
    return torch.stack(cut).movedim(1, -1).contiguous()


def painted_along(painted: Tensor | None, alignments: AlignmentBatch, crop_size: Size) -> Any:
    """IMAGE of the crops, sampled and rounded as the photo's own."""
    if painted is None:
        return absent("photo_painted")
    photos = per_photo(tuple(each_photo(painted)), len(alignments), "painted photos")
    return crops_of(photos, alignments, crop_size)


def crops_of(photos: tuple[Tensor, ...], alignments: AlignmentBatch, crop_size: Size) -> Tensor:
    """IMAGE, one crop after the other."""
    crops = [
        extract_crop(photo, one, crop_size)
        for photo, ones in zip(photos, alignments, strict=True)
        for one in ones
    ]
    # whole grey levels, so that a crop which was saved and loaded again equals itself
    return to_host(from_uint8(to_uint8(torch.cat(crops)).cpu().numpy()))


def landmarks_along(
    given: Any,
    meshes: tuple[tuple[FaceLandmarks, ...], ...],
    alignments: AlignmentBatch,
    crop_size: Size,
) -> Any:
    """FACE_LANDMARKS of the crops. given: those of the photos; meshes: the same, read, for each photo."""

    def of_crop(faces: tuple[FaceLandmarks, ...], place: Alignment) -> list[FaceLandmarks]:
        face = landmarks_in_crop(faces, place, crop_size)
        return [] if face is None else [face]

    frames = [of_crop(faces, place) for faces, ones in zip(meshes, alignments, strict=True) for place in ones]
    return write_face_landmarks(frames, crop_size, given)


def average_along(faces: Sequence[tuple[Face, ...]], alignments: AlignmentBatch, crop_size: Size) -> Any:
    """FACE_LANDMARKS of the crops of faces of which eyes and mouth are known: an average face's."""
    if any(face.points is None for ones in faces for face in ones):
        return absent("face_landmarks (a box or a mask tells nothing of eyes and mouth)")
    frames = [
        [moved] if (moved := landmarks_in_crop([average_landmarks(face)], place, crop_size)) else []
        for ones, places in zip(faces, alignments, strict=True)
        for face, place in zip(ones, places, strict=True)
    ]
    return write_face_landmarks(frames, crop_size, {"connection_sets": {}})
