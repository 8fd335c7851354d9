"""Align Face and Paste Back on the double of the host."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.pack_on_double import NAME, SIZE, TINY, Pack
from tests.test_faces import pose

ALIGN, PASTE = "ChunkyGAN_AlignFace", "ChunkyGAN_PasteBack"
POINTS = "70,40 90,50 58,62 74,70"
BOXES = "60, 30, 40, 40\n10, 20, 40, 40"


def photos(count: int = 1, channels: int = 3, levels: int = 255) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(levels + 1, (count, 90, 120, channels), generator=rng) / levels


def align(pack: Pack, **given: Any) -> tuple[Any, ...]:
    """The crop, the alignment, the preview."""
    return pack.run(ALIGN, **{"image": photos(), "size": 64} | given)[:3]


def paste(pack: Pack, **given: Any) -> Tensor:
    return pack.run(PASTE, **given)[0]


@pytest.mark.parametrize(("channels", "levels"), [(3, 255), (4, 255), (3, 65535)])
def test_without_an_edit_every_bit_returns(pack: Pack, channels: int, levels: int) -> None:
    photo = photos(2, channels, levels)
    crop, alignment, preview = align(pack, image=photo, points=POINTS)
    assert crop.shape == (2, 64, 64, 3) and preview.shape == (2, 90, 120, 3)
    assert torch.equal((crop * 255).to(torch.uint8) / 255, crop)  # saving it loses nothing
    back = paste(pack, photo=photo, before=crop, after=crop.clone(), alignment=alignment)
    assert torch.equal(back, photo) and torch.equal(photo, photos(2, channels, levels))


def test_only_the_edited_place_changes(pack: Pack) -> None:
    photo = photos(1, 4, 65535)
    photo[:, :10] = 1.5
    crop, alignment, _ = align(pack, image=photo, points=POINTS)
    after = crop.clone()
    after[:, 20:40, 20:40] = 1 - after[:, 20:40, 20:40]
    back = paste(pack, photo=photo, before=crop, after=after, alignment=alignment)
    changed = (back != photo).any(-1)
    assert 50 < changed.sum() < 2000 and torch.equal(back[..., 3], photo[..., 3])
    mask = torch.zeros(1, 64, 64)
    none = paste(pack, photo=photo, before=crop, after=after, alignment=alignment, mask=mask)
    assert torch.equal(none, photo)


def test_all_faces_of_all_photos_are_pasted_in_turn(pack: Pack) -> None:
    photo = photos(2)
    crop, alignment, _ = align(pack, image=photo, box=BOXES, faces="all", size=40)
    assert [len(faces) for faces in alignment] == [2, 2]
    for i, left in ((0, 10), (1, 60), (2, 10), (3, 60)):
        top = 20 if left == 10 else 30
        assert (crop[i] - photo[i // 2, top : top + 40, left : left + 40]).abs().max() < 1e-6
    after = crop.clone()
    after[3] = 1 - after[3]
    back = paste(pack, photo=photo, before=crop, after=after, alignment=alignment)
    assert torch.equal(back[0], photo[0]) and torch.equal(back[1, :, :60], photo[1, :, :60])
    assert torch.allclose(back[1, 40:60, 70:90], 1 - photo[1, 40:60, 70:90], atol=2e-3)


def test_one_face_is_chosen(pack: Pack) -> None:
    boxes = "60, 30, 50, 50\n10, 20, 40, 40"

    def left(**given: Any) -> float:
        return align(pack, box=boxes, **given)[1][0][0].quad[0][0]

    assert left() == 60 and left(faces="leftmost") == 10
    assert left(faces="number", number=1) == 10 and left(faces="number", number=2) == 60
    with pytest.raises(pack.errors.InvalidInputError, match="photo 1 has 2; choose a smaller number"):
        left(faces="number", number=3)


def test_masks_and_keypoints_tell_the_place(pack: Pack) -> None:
    mask = torch.zeros(2, 90, 120)
    mask[0, 20:60, 30:50] = mask[1, 10:30, 70:90] = 1
    _, alignment, _ = align(pack, image=photos(2), mask=mask)
    assert alignment[0][0].quad == ((20, 20), (20, 60), (60, 60), (60, 20))
    assert alignment[1][0].quad == ((70, 10), (70, 30), (90, 30), (90, 10))
    given = pose(1, canvas_width=120, canvas_height=90)
    by_keypoints = [align(pack, keypoints=keypoints)[1] for keypoints in ([given], given)]
    assert by_keypoints[0] == by_keypoints[1] == align(pack, points="10,20 30,20 12,40 28,40")[1]


def test_detected_faces_go_through(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = importlib.import_module(f"{NAME}.chunky_core.alignment.faces")
    sources = importlib.import_module(f"{NAME}.nodes.face_sources")
    seen: list[Any] = []

    def detect(photo: Tensor, *, model: Any, advice: str) -> tuple[Any, ...]:
        seen.append(model)
        return (faces.Face((40.0, 30.0, 20.0, 20.0)),) * (photo.shape[0] if len(seen) < 3 else 0)

    monkeypatch.setattr(sources, "detect_faces", detect)
    weights = pack.base / "models" / "chunkygan" / "faces" / "yunet.onnx"
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(b"stands in")
    crop, _, _ = align(pack, image=photos(2), model="yunet.onnx")
    assert len(crop) == 2 and seen == [weights, weights]
    with pytest.raises(
        pack.errors.InvalidInputError, match="no face was found in photo 1; say where the face is"
    ):
        align(pack)


def test_a_detector_that_is_none_is_explained_in_words_of_the_page(pack: Pack) -> None:
    weights = pack.base / "models" / "chunkygan" / "faces" / "yunet.onnx"
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(b"stands in")
    what = (
        r"cannot use .*yunet.onnx \(9 bytes\) as a face detector; expected YuNet, face_detection_yunet_2023mar.onnx .*"
        r"; put it into models/chunkygan/faces, press R and choose it as model, or say where the face is: .*points .*"
        r"a box, a mask .*keypoints"
    )
    with pytest.raises(pack.errors.UnsupportedCheckpointError, match=what):
        align(pack, model="yunet.onnx")


def test_a_generator_gives_the_size(pack: Pack) -> None:
    (generator,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    crop, _, _ = align(pack, points=POINTS, size=1024, generator=generator)
    assert crop.shape == (1, SIZE, SIZE, 3)


def test_a_found_detector_is_the_first_choice(pack: Pack) -> None:
    faces = pack.base / "models" / "chunkygan" / "faces"
    faces.mkdir(parents=True, exist_ok=True)
    for name in ("README.md", "yunet.onnx"):
        (faces / name).write_bytes(b"stands in")
    (model,) = [entry for entry in pack.nodes[ALIGN].define_schema().inputs if entry.id == "model"]
    assert model.widget["options"] == ["yunet.onnx", "OpenCV's own"]
    assert model.widget["default"] == "yunet.onnx"


def test_what_does_not_fit_is_named(pack: Pack) -> None:
    wrong = pack.errors.InvalidInputError
    with pytest.raises(wrong, match="points and box are given together"):
        align(pack, points=POINTS, box=BOXES)
    with pytest.raises(wrong, match="the mask is 60x60, the photo is 120x90"):
        align(pack, mask=torch.zeros(1, 60, 60))
    with pytest.raises(wrong, match="64x64 placeholder.* real mask of 120x90"):
        align(pack, mask=torch.zeros(1, 64, 64))
    with pytest.raises(wrong, match="the mask is empty"):
        align(pack, mask=torch.zeros(1, 90, 120))
    with pytest.raises(
        wrong, match="box has 2 numbers in '5, 6'; expected four numbers in pixels: x and y of"
    ):
        align(pack, box="5, 6")
    with pytest.raises(wrong, match=r"corners \(500, 500\).* lie outside the photo of 120x90"):
        align(pack, box="500, 500, 20, 20")
    crop, alignment, _ = align(pack, points=POINTS)
    with pytest.raises(wrong, match="before is a picture of 64x64, after a picture of 60x64"):
        pack.run(PASTE, photo=photos(), before=crop, after=crop[:, :, 4:], alignment=alignment)
    with pytest.raises(wrong, match="2 photos for the alignment of 1"):
        pack.run(PASTE, photo=photos(2), before=crop, after=crop, alignment=alignment)
    with pytest.raises(wrong, match="after has 2 crops, the alignment 1"):
        pack.run(PASTE, photo=photos(), before=crop, after=crop.repeat(2, 1, 1, 1), alignment=alignment)


def test_a_saved_inversion_finds_its_way_back_into_the_photo(pack: Pack) -> None:
    """Align, project, save, reopen, paste: the alignment travels inside the file."""
    (generator,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    photo = photos()
    crop, alignment, _ = align(pack, image=photo, size=SIZE, points=POINTS)
    masks = torch.zeros(1, SIZE, SIZE)
    masks[:, 8:24, 8:24] = 1
    (segments,) = pack.run("ChunkyGAN_SegmentMasks", image=crop, masks=masks, names="mouth")
    given = {"generator": generator, "image": crop, "segments": segments, "alignment": alignment}
    inversion, _ = pack.run("ChunkyGAN_SegmentedProjection", steps=2, **given)
    (files,) = pack.run("ChunkyGAN_SaveInversion", inversion=inversion, filename_prefix="chunkygan/aligned")
    file = Path(files).relative_to(pack.base / "output").as_posix() + " [output]"
    opened, before, again = pack.run("ChunkyGAN_LoadInversion", file=file)
    assert again == alignment
    (after,) = pack.run("ChunkyGAN_RenderInversion", generator=generator, inversion=opened, edited=False)
    edited, untouched = (
        paste(pack, photo=photo, before=before, after=one, alignment=again) for one in (after, before)
    )
    assert torch.equal(untouched, photo) and not torch.equal(edited, photo)
