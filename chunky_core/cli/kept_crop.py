"""The crop and the segments of an earlier run of `photo`, with which `--resume` goes on.

A face that is found again, by another source or in the pixels of another decoder, lies a fraction of a pixel off.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..alignment import AlignedCrop, Face, extract_crop
from ..alignment.face_crop import face_alignment
from ..alignment.faces import sorted_faces
from ..alignment.perspective import Quad, side_lengths
from ..boxes import Size
from ..errors import InvalidInputError
from ..images import from_uint8, to_uint8
from ..inversion import Inversion, load_inversion
from ..inversion.validation import is_same_masks
from ..segments import SegmentMasks
from .face_options import FoundFace

# Of a frame's side, the mean over its corners: sources differ by up to .2 (2 % shift, 14 % scale, 8 degrees of tilt;
# docs/faces.md), and faces beside each other lie farther apart, as a face fills about half of its frame.
ONE_FACE = 0.25
ONE_MASK = 0.2  # of a mask's area, by which one moves where its face lies a fraction of a pixel off


@dataclass(frozen=True)
class KeptCrop:
    """The crop of an earlier projection, as it was then. off: how far from it, in pixels of the photo, the face lies
    that was found now.
    """

    path: Path
    inversion: Inversion
    crop: AlignedCrop
    off: float

    def segments(self, made: SegmentMasks, settings: Mapping[str, Any]) -> SegmentMasks:
        """The earlier segments, where those made now are meant to be the same; says so where they differ at all.

        settings: what they are made by now, by the names in the inversion's settings; of a file that doesn't tell them
        the segments themselves are compared.
        """
        earlier = self.inversion.masks
        known = {name: self.inversion.settings.get(name) for name in settings}
        asked_alike = known == dict(settings) if any(value is not None for value in known.values()) else None
        if asked_alike is False or (asked_alike is None and not _nearly_same(earlier, made)):
            return made
        if self.off or not is_same_masks(earlier, made):
            print(
                f"{self.path} goes on with its own crop and segments; the face that was found now lies {self.off:.2g} "
                "pixels off",
                file=sys.stderr,
            )
        return earlier


def kept_crop(path: Path, photo: Tensor, found: FoundFace, size: int) -> KeptCrop | None:
    """The crop of the projection in `path`, None where there is none, or one that is no crop of this size.

    photo: [1,3,H,W] in [-1,1]. Raises InvalidInputError where it is of another photo, or of another face of this one.
    """
    if not path.exists():
        return None
    earlier = load_inversion(path)
    if earlier.alignment is None or earlier.masks.size != (size, size):
        return None
    problem = f"--resume can't go on with {path}"
    then, now = Size(*earlier.alignment.original_size), Size(photo.shape[-2], photo.shape[-1])
    if then != now:
        raise InvalidInputError(
            f"{problem}: the earlier projection was of another photo: that one has {then} pixels, this one {now}; give "
            "that one, or another --out"
        )
    again = from_uint8(to_uint8(extract_crop(photo, earlier.alignment, size)).numpy())
    if not earlier.is_of(again):
        raise InvalidInputError(
            f"{problem}: the earlier projection was of another photo: {earlier.reason_against(again)} in another --out"
        )
    quad, here = earlier.alignment.quad, face_alignment(photo, found.face, size).quad
    if not is_one_face(quad, here):
        raise InvalidInputError(
            f"{problem}: it is of another crop of this photo, around {_middle(quad)}, and the face that is meant now "
            f"lies at {_middle(here)}; {_advice(quad, found.faces)}, or another --out for this face"
        )
    image = again if earlier.photo is None else earlier.photo
    return KeptCrop(path, earlier, AlignedCrop(image, earlier.alignment), _distance(quad, here))


def is_one_face(one: Quad, other: Quad) -> bool:
    """Whether two frames are of one face, by whatever source each of them is."""
    return _distance(one, other) <= ONE_FACE * min(*side_lengths(one), *side_lengths(other))


def _distance(one: Quad, other: Quad) -> float:
    """The mean over the corners."""
    return sum(map(math.dist, one, other)) / len(one)


def _middle(quad: Quad) -> str:
    x, y = (sum(places) / len(quad) for places in zip(*quad, strict=True))
    return f"x {x:.0f}, y {y:.0f}"


def _advice(quad: Quad, faces: tuple[Face, ...]) -> str:
    """How to mean the face of an earlier crop."""
    for number, face in enumerate(sorted_faces(faces), start=1):
        if is_one_face(quad, face.quad):
            return f"give --face {number} to go on with that one"
    return "say where that one is to go on with it, by --points or as it was found then"


def _nearly_same(one: SegmentMasks, other: SegmentMasks) -> bool:
    if one.names != other.names or one.masks.shape != other.masks.shape:
        return False
    change = (one.masks - other.masks).abs().sum((1, 2, 3))
    return bool(
        (change <= ONE_MASK * torch.minimum(one.masks.sum((1, 2, 3)), other.masks.sum((1, 2, 3)))).all()
    )
