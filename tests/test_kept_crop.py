"""`photo --resume`: which crop and segments it goes on with, where the face is found a little elsewhere than before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from chunky_core.alignment import Face, FacePoints, align, average_landmarks
from chunky_core.cli.face_options import FoundFace
from chunky_core.cli.kept_crop import KeptCrop, is_one_face, kept_crop
from chunky_core.errors import InvalidInputError
from chunky_core.generator.spaces import LatentCode
from chunky_core.images import from_uint8, to_uint8
from chunky_core.inversion import Inversion, SegmentCode
from chunky_core.segments import SegmentMasks, segments_from_masks

SIDE = 48  # of the crop
SETTINGS = {
    "segments_only": ["mouth"],
    "segments_grow": 4,
    "segments_feather": 1.5,
    "segments_rename": {"upper_lip": "mouth"},
}


def a_photo(seed: int = 0, levels: int = 0) -> Tensor:
    """A soft picture of 200x120 in whole levels, brighter by some."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 12, 20, generator=rng) * 1.6 - 0.8
    soft = to_uint8(F.interpolate(coarse, (120, 200), mode="bicubic"))
    return from_uint8((soft.int() + levels).clamp(0, 255).to(torch.uint8).numpy())


def a_face(x: float, y: float = 45.0, size: float = 12.0) -> Face:
    """Eyes `size` pixels apart, the mouth as far below them."""
    half = size / 2
    points = FacePoints(((x - half, y), (x + half, y)), ((x - half, y + size), (x + half, y + size)))
    return Face(points.rectangle(), points)


def found(*faces: Face) -> FoundFace:
    """The first of them is meant."""
    return FoundFace(faces[0], average_landmarks(faces[0]), faces)


def segments(top: int = 30, name: str = "mouth") -> SegmentMasks:
    mask = torch.zeros(SIDE, SIDE)
    mask[top : top + 14, 10:38] = 1
    return segments_from_masks({name: mask}, feather=1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The projection of the face at x = 60."""
    crop = align(a_photo(), a_face(60), SIDE)
    made = segments()
    code = LatentCode("w", torch.zeros(1, 8))
    inversion = Inversion(
        photo=from_uint8(to_uint8(crop.image).numpy()),
        segments=[SegmentCode("mouth", made.masks[:1], code)],
        static_mask=made.static,
        fingerprint="f",
        settings={"steps": 3, **SETTINGS},
        alignment=crop.alignment,
    )
    inversion.save(tmp_path / "inversion.safetensors")
    return tmp_path / "inversion.safetensors"


def kept(path: Path, face: Face, photo: Tensor | None = None, *others: Face) -> KeptCrop:
    result = kept_crop(path, a_photo() if photo is None else photo, found(face, *others), SIDE)
    assert result is not None
    return result


@pytest.mark.parametrize("levels", [0, 1])
@pytest.mark.parametrize(
    "face", [a_face(60), a_face(60.3, 44.8), a_face(61, 46, 13.2)], ids=["same", "near", "source"]
)
def test_the_earlier_crop_counts_wherever_the_face_is_found_now(path: Path, face: Face, levels: int) -> None:
    """Also in pixels that another decoder has made a level brighter, so that nothing of the photo changes by that."""
    found_now = kept(path, face, a_photo(levels=levels))
    crop = align(a_photo(), a_face(60), SIDE)
    assert found_now.crop.alignment == crop.alignment
    assert torch.equal(to_uint8(found_now.crop.image), to_uint8(crop.image))


def test_the_segments_are_those_of_the_earlier_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = kept(path, a_face(60.3))
    assert torch.equal(result.segments(segments(top=31), SETTINGS).masks, result.inversion.masks.masks)
    said = capsys.readouterr().err
    assert "goes on with its own crop and segments" in said and "now lies 0.3 pixels off" in said
    exactly = kept(path, a_face(60))
    assert exactly.segments(segments(), SETTINGS).names == ("mouth",) and not capsys.readouterr().err


@pytest.mark.parametrize("other", [("grow", 8), ("only", []), ("rename", {}), ("feather", 0.0)], ids=str)
def test_segments_that_are_to_be_made_otherwise_are_made(path: Path, other: tuple[str, Any]) -> None:
    """So that the run is refused, as for any other setting that differs."""
    made = segments()
    assert kept(path, a_face(60)).segments(made, SETTINGS | {f"segments_{other[0]}": other[1]}) is made


def test_files_that_do_not_tell_how_are_judged_by_their_masks(path: Path) -> None:
    result = kept(path, a_face(60))
    result = replace(result, inversion=replace(result.inversion, settings={"steps": 3}))
    near, far, named = segments(top=31), segments(top=34), segments(name="lips")
    assert result.segments(near, SETTINGS) is not near
    assert result.segments(far, SETTINGS) is far and result.segments(named, SETTINGS) is named


def test_another_face_of_the_photo_is_no_other_photo(path: Path) -> None:
    said = "another crop of this photo, around x 60, y 46, .* lies at x 130, y 46; give --face 1 to go on with that one"
    with pytest.raises(InvalidInputError, match=said):
        kept(path, a_face(130), None, a_face(60.4))
    with pytest.raises(InvalidInputError, match="another crop of this photo.*by --points.* or another --out"):
        kept(path, a_face(130))


@pytest.mark.parametrize(
    "photo", [a_photo(1), a_photo(levels=12), a_photo().flip(-1)], ids=["other", "brighter", "mirrored"]
)
def test_another_photo_is_told_so(path: Path, photo: Tensor) -> None:
    said = "of another photo: .*; give that one, or project the new one in another"
    with pytest.raises(InvalidInputError, match=said):
        kept(path, a_face(60), photo)


def test_another_size_is_another_photo(path: Path) -> None:
    with pytest.raises(InvalidInputError, match="that one has 200x120 pixels, this one 199x120"):
        kept(path, a_face(60), a_photo()[..., :-1])


def test_there_is_nothing_to_keep_without_a_crop(path: Path) -> None:
    photo, face = a_photo(), found(a_face(60))
    assert kept_crop(path.with_name("absent.safetensors"), photo, face, SIDE) is None
    assert kept_crop(path, photo, face, 2 * SIDE) is None  # another generator's, as the check of it says


def test_faces_side_by_side_are_two() -> None:
    """Cheek to cheek, eyes 12 pixels apart and heads about 30 wide."""
    assert not is_one_face(a_face(60).quad, a_face(85).quad)
    assert is_one_face(a_face(60).quad, a_face(61, 45.5, 13.5).quad)
    assert not is_one_face(a_face(60).quad, a_face(60, 45, 24).quad)
