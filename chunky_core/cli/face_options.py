"""Which face of a photo is meant, and where it is: options and what they find."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..alignment import (
    Face,
    average_landmarks,
    choose_face,
    detect_faces,
    faces_from_landmarks,
)
from ..alignment.average_face import ESTIMATED
from ..alignment.face_points import POINTS_EXAMPLE, POINTS_MEANING, parse_points
from ..alignment.yunet import FILE, SOURCE
from ..errors import InvalidInputError
from ..images.image_files import regular_content
from ..segments.face_mesh import FaceLandmarks, read_face_landmarks, scaling_note
from ..wording import counted

MOST_BYTES = 1 << 26  # of a file with landmarks
LANDMARKS = "--landmarks FILE.json (FACE_LANDMARKS of ComfyUI's Detect Face Landmarks, as JSON)"
BY_HAND = f"--points '{POINTS_EXAMPLE}' by hand"
ADVICE = f"give its path as --detector, or {LANDMARKS} or {BY_HAND} in its place"


@dataclass(frozen=True)
class FoundFace:
    """A face and its mesh in pixels of the photo, and the faces that there were to choose from."""

    face: Face
    landmarks: FaceLandmarks
    faces: tuple[Face, ...]

    @property
    def is_estimated(self) -> bool:
        """Whether the mesh is an average face's, put where eyes and mouth are."""
        return bool(self.landmarks.data.get(ESTIMATED))


def add_face_options(parser: argparse.ArgumentParser) -> None:
    """Where the face is: one of three sources, and which of several faces."""
    sources = parser.add_mutually_exclusive_group()
    sources.add_argument(
        "--landmarks",
        type=Path,
        metavar="FILE.json",
        help="the photo's FACE_LANDMARKS as ComfyUI's Detect Face Landmarks (MediaPipe) gives them, as JSON; the "
        "segments follow this very face",
    )
    sources.add_argument(
        "--detector",
        type=Path,
        metavar="FILE",
        help=f"a YuNet detector: {FILE} {SOURCE}; it tells eyes and mouth, the segments are an average face's",
    )
    sources.add_argument(
        "--points",
        metavar="'X,Y X,Y X,Y X,Y'",
        help=f"the face by hand: {POINTS_MEANING}; the segments are an average face's".replace("%", "%%"),
    )
    parser.add_argument(
        "--face",
        type=face_number,
        default="largest",
        metavar="largest|leftmost|N",
        help="which of several faces; 1 is the leftmost; default: %(default)s",
    )


def face_number(text: str) -> str | int:
    """What `choose_face` takes. Raises what argparse shows."""
    if text in ("largest", "leftmost"):
        return text
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no face; expected largest, leftmost, or a number from 1"
        )
    return int(text) - 1


def find_face(photo: Tensor, options: argparse.Namespace) -> FoundFace:
    """The face that the options mean. photo: [1,3,H,W] in [-1,1].

    Raises InvalidInputError where nothing says where it is, where there is none, and for a landmark file or points
    that can't be read; what `detect_faces` raises for the detector's file.
    """
    if options.landmarks is not None:
        meshes = read_landmarks_file(options.landmarks, (photo.shape[-2], photo.shape[-1]))
        faces = faces_from_landmarks(meshes)
        face = _chosen(faces, options)
        return FoundFace(face, meshes[faces.index(face)], faces)
    faces = _faces(photo, options)
    face = _chosen(faces, options)
    found = FoundFace(face, average_landmarks(face), faces)
    print(
        "nothing but eyes and mouth of the face is known: the segments are an average face's, put there; look at them "
        "in contact_sheet.png, give them room by --grow (8 to 16 in a crop of 1024), or give --landmarks or --masks "
        "for this face's own",
        file=sys.stderr,
    )
    return found


def _faces(photo: Tensor, options: argparse.Namespace) -> tuple[Face, ...]:
    if options.points is not None:
        points = parse_points(options.points)
        if not points:
            raise InvalidInputError(f"--points is empty; expected {POINTS_MEANING}")
        return tuple(Face(one.rectangle(), one) for one in points)
    if options.detector is None:
        raise InvalidInputError(
            f"nothing says where the face is; give {LANDMARKS}, --detector FILE (YuNet: {FILE} {SOURCE}), or {BY_HAND}"
        )
    return detect_faces(photo, model=options.detector, advice=ADVICE)


def _chosen(faces: tuple[Face, ...], options: argparse.Namespace) -> Face:
    if not faces:
        raise InvalidInputError(f"no face was found in {options.photo}; give --points: {POINTS_MEANING}")
    if isinstance(options.face, int) and options.face >= len(faces):
        raise InvalidInputError(
            f"--face {options.face + 1} was asked for, {options.photo} has {len(faces)}; choose a smaller number"
        )
    return choose_face(faces, options.face)


def read_landmarks_file(path: Path, size: tuple[int, int]) -> tuple[FaceLandmarks, ...]:
    """The faces in a file of FACE_LANDMARKS for one photo of (height, width); says where they are scaled to it. Raises
    InvalidInputError.
    """
    content = regular_content(path, MOST_BYTES)
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{path} is no JSON ({error}); expected FACE_LANDMARKS of one photo"
        ) from error
    try:
        photos = read_face_landmarks(data, size)
        note = scaling_note(data, size)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    if len(photos) != 1:
        raise InvalidInputError(
            f"{path} holds the landmarks of {counted(len(photos), 'photo')}; expected those of one"
        )
    if note:
        print(f"{path}: {note}", file=sys.stderr)
    return photos[0]
