"""`python -m chunky_core photo PHOTO --detector … --edit mouth:smile=2 --out DIR`: a face out of a photo and back."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..alignment import AlignedCrop, align, extract_mask, landmarks_in_crop
from ..boxes import Size
from ..checkpoints.generators import read_checkpoint
from ..errors import InvalidInputError
from ..images import from_uint8, load_image, open_image, to_uint8
from ..images.image_files import ImageFile
from ..segments import SegmentMasks, segments_from_masks
from ..segments.face_mesh import segment_face
from ..segments.label_files.finding import AUTO
from ..segments.label_names import parse_renames, split_names
from .face_options import FoundFace, add_face_options, find_face
from .job import run_job
from .kept_crop import kept_crop
from .masks import add_label_options, load_segments, mask_inputs
from .options import add_job_options, job_from_options, model_files
from .original import NAMES, PASTED, OriginalPhoto
from .outputs import INVERSION, check_inputs_stay
from .photo_file import note_dropped, rgb_profile

ESTIMATED = "average_face"  # the entry that tells whether the mesh is an average face's
RENAME = (
    "left_iris + left_eye = left_eye",
    "right_iris + right_eye = right_eye",
    "upper_lip + lower_lip + mouth = mouth",
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "photo",
        help="a face of a photo: find it, cut it out, segment, project and edit it, put it back",
        description="From a photo of any size to the photo with an edited face. Regions: skin, left_eye, right_eye, "
        "left_brow, right_brow, nose, upper_lip, lower_lip, mouth, left_iris, right_iris.",
    )
    parser.add_argument("photo", type=Path, help="picture of any size; its colour profile is kept")
    add_face_options(parser)
    parser.add_argument(
        "--only",
        default="",
        metavar="SEGMENTS",
        help="the segments that get a code, by name or plural: 'mouth, eyes'; all else stays the photo and costs "
        "nothing; default: all",
    )
    parser.add_argument("--static", default="", metavar="SEGMENTS", help="those that stay the photo")
    parser.add_argument(
        "--rename",
        action="append",
        metavar="RULE",
        help=f"renames and merges face regions, as in 'upper_lip + lower_lip = lips'; may be given several times; "
        f"default: {'; '.join(RENAME)}",
    )
    parser.add_argument(
        "--masks",
        type=Path,
        help="in the place of the face's regions: masks or a label map of the whole photo, as `edit` takes them; they "
        "are cut out with the face",
    )
    add_label_options(parser)
    add_job_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    given = [path for path in (options.landmarks, options.detector) if path is not None]
    masks = [] if options.masks is None else mask_inputs(options.masks, options.label_names)
    check_inputs_stay(options.out, [options.photo, *given, *masks, *model_files(options)], NAMES)
    file = open_image(options.photo)
    with read_checkpoint(options.generator) as checkpoint:  # before large pictures and weights are read
        size = square_side(checkpoint.architecture.img_size)
    photo = load_image(options.photo)
    note_dropped(file)
    found = find_face(photo, options)
    kept = kept_crop(options.out / INVERSION, photo, found, size) if options.resume else None
    crop = new_crop(photo, found, size) if kept is None else kept.crop
    segments, made_by = crop_segments(options, file, found, crop), segment_settings(options)
    estimated = found.is_estimated
    if kept is not None and made_by:
        segments = kept.segments(segments, made_by)
        estimated = bool(kept.inversion.settings.get(ESTIMATED, estimated))
    job = job_from_options(options, crop.image, segments, rgb_profile(options.photo))
    known = {"faces": len(found.faces), "score": round(found.face.score, 3), ESTIMATED: estimated}
    original = OriginalPhoto(photo, crop, known, {**made_by, ESTIMATED: estimated} if made_by else {})
    print(json.dumps(run_job(replace(job, original=original), options.out), indent=1))
    print(f"the photo with the edited face: {options.out / PASTED}")


def square_side(size: Size) -> int:
    """The side of a generator's pictures. Raises InvalidInputError where they aren't square, as FFHQ's frame is."""
    if size.height != size.width:
        raise InvalidInputError(
            f"the generator makes pictures of {size}, the frame of a face is a square; crop the photo to that shape "
            "around its subject and use `edit`"
        )
    return size.height


def new_crop(photo: Tensor, found: FoundFace, size: int) -> AlignedCrop:
    crop = align(photo, found.face, size)
    return replace(crop, image=from_uint8(to_uint8(crop.image).numpy()))  # as it is saved


def segment_settings(options: argparse.Namespace) -> dict[str, Any]:
    """How a face's regions become segments, as plain values; {} for masks, which `--resume` compares themselves."""
    if options.masks is not None:
        return {}
    made_by = {
        "only": sorted(split_names(options.only)),
        "static": sorted(split_names(options.static)),
        "rename": renames(options),
        "grow": options.grow,
        "feather": options.feather,
    }
    return {
        f"segments_{name}": value for name, value in made_by.items()
    }  # the projection has a feather of its own


def renames(options: argparse.Namespace) -> dict[str, str]:
    return parse_renames("\n".join(options.rename or RENAME))


def crop_segments(
    options: argparse.Namespace, file: ImageFile, found: FoundFace, crop: AlignedCrop
) -> SegmentMasks:
    """The segments of the crop: regions of the face, or the masks that were made for the whole photo."""
    size = crop.image.shape[-1]
    shape = {"grow": options.grow, "feather": options.feather, "only": split_names(options.only)}
    if options.masks is not None:
        if options.rename:
            raise InvalidInputError("--rename is for the face's regions; name the masks as you like")
        names = {"names": options.label_names, "masks_of": options.masks_of}
        whole = load_segments(options.masks, file, options.static, 0, 0.0, **names).planes()
        masks = {name: extract_mask(plane, crop.alignment, size) for name, plane in whole.items()}
        return segments_from_masks(masks, gaps="static", **shape)
    if options.label_names != AUTO or options.masks_of:
        raise InvalidInputError("--label-names and --masks-of say what --masks means; add --masks")
    mesh = landmarks_in_crop([found.landmarks], crop.alignment, size)
    if mesh is None:
        raise InvalidInputError("the landmarks' face doesn't lie in its own crop; detect the face again")
    return segment_face(
        mesh, size, rename=renames(options), static=split_names(options.static), gaps="static", **shape
    )
