"""Align Face, Face Segments, Segments to Masks and Paste Back on real faces with the host's own landmarks."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.images import load_image
from tests.face_tools import drawn_mesh, host_landmarks
from tests.pack_on_double import NAME, Pack

ALIGN, PASTE = "ChunkyGAN_AlignFace", "ChunkyGAN_PasteBack"
FACE, MASKS = "ChunkyGAN_FaceSegments", "ChunkyGAN_SegmentsToMasks"
SIDE = 128
DLIB = ((142, 16), (134, 189), (307, 198), (316, 24))  # the frame by dlib's points
OUTPUTS = ("crop", "alignment", "preview", "landmarks", "masks", "labels", "painted")


def picture(shared: Path, name: str) -> Tensor:
    """Host IMAGE."""
    levels = (load_image(shared / "faces" / f"{name}.png")[:, :3] + 1) * 127.5
    return (levels.round() / 255).movedim(1, -1).contiguous()


def align(pack: Pack, **given: Any) -> dict[str, Any]:
    return dict(zip(OUTPUTS, pack.run(ALIGN, **{"size": SIDE} | given), strict=True))


@pytest.fixture
def astronaut(shared: Path) -> dict[str, Any]:
    return {
        "image": picture(shared, "astronaut"),
        "face_landmarks": host_landmarks(shared, "astronaut"),
    }


@pytest.fixture
def montage(shared: Path) -> dict[str, Any]:
    name = "montage_two_faces"
    return {"image": picture(shared, name), "face_landmarks": host_landmarks(shared, name)}


def overlap(first: Tensor, second: Tensor) -> float:
    return (torch.minimum(first, second).sum() / torch.maximum(first, second).sum()).item()


def test_landmarks_give_the_frame_that_dlib_gives(pack: Pack, astronaut: dict[str, Any]) -> None:
    (((place,),)) = align(pack, **astronaut)["alignment"][0:1]
    assert torch.dist(torch.tensor(place.quad), torch.tensor(DLIB).float()) < 6  # of a side of 173


def test_every_face_gets_its_crop_and_its_landmarks(pack: Pack, montage: dict[str, Any]) -> None:
    made = align(pack, **montage, faces="all")
    assert made["crop"].shape == (2, SIDE, SIDE, 3)
    lefts = [place.quad[0][0] for place in made["alignment"][0]]
    assert lefts == sorted(lefts)  # from left to right, though the detector gives the right one first
    frames = made["landmarks"]["frames"]
    assert [len(frame) for frame in frames] == [1, 1] and made["landmarks"]["image_size"] == (SIDE, SIDE)
    for frame in frames:
        face = frame[0]
        assert face["landmarks_xy"].shape == (478, 2) and face["landmarks_xy"].dtype == "float32"
        left, top, right, bottom = face["bbox_xyxy"]
        assert 20 < left < right < 108 and 20 < top < bottom < 128
        assert set(face) == {"bbox_xyxy", "landmarks_xy", "landmarks_3d", "presence", "score", "blendshapes"}
    assert made["landmarks"]["connection_sets"] == montage["face_landmarks"]["connection_sets"]


def test_the_chain_from_photo_to_segments_and_back(pack: Pack, astronaut: dict[str, Any]) -> None:
    photo = astronaut["image"]
    made = align(pack, **astronaut)
    segments, names = pack.run(FACE, image=made["crop"], face_landmarks=made["landmarks"], grow=0)
    assert names == "skin, left_eye, right_eye, left_brow, right_brow, nose, upper_lip, lower_lip, mouth"
    masks, listed = pack.run(MASKS, segments=segments, names="all, static")
    assert listed == f"{names}, static" and torch.allclose(masks.sum(0), torch.ones(SIDE, SIDE), atol=1e-5)
    back, on_photo = pack.run(
        PASTE,
        photo=photo,
        before=made["crop"],
        after=made["crop"],
        alignment=made["alignment"],
        crop_masks=masks,
    )
    assert torch.equal(back, photo)
    direct, _ = pack.run(FACE, **astronaut, grow=0, feather=2.0)  # 1.5 pixels of the crop
    for name, mask in zip(names.split(", "), on_photo, strict=False):
        assert overlap(mask, direct[0][name][0, 0]) > (0.95 if name == "skin" else 0.55), name
    assert on_photo.shape == (10, 512, 512) and not on_photo[:, 300:].any()


def test_masks_of_the_whole_photo_follow(pack: Pack, astronaut: dict[str, Any]) -> None:
    whole, names = pack.run(
        FACE, image=astronaut["image"], face_landmarks=astronaut["face_landmarks"], grow=0
    )
    masks, _ = pack.run(MASKS, segments=whole)
    made = align(pack, **astronaut, photo_masks=masks)
    there, _ = pack.run(FACE, image=made["crop"], face_landmarks=made["landmarks"], grow=0, feather=1.0)
    assert made["masks"].shape == (9, SIDE, SIDE)
    for name, mask in zip(names.split(", "), made["masks"], strict=True):
        assert overlap(mask, there[0][name][0, 0]) > (0.95 if name == "skin" else 0.6), name


def test_label_pictures_and_strokes_follow(pack: Pack, astronaut: dict[str, Any]) -> None:
    photo = astronaut["image"]
    labels = torch.zeros_like(photo)
    labels[:, 60:180, 170:280] = torch.tensor([10.0, 20.0, 200.0]) / 255
    painted = photo.clone()
    painted[:, 135:160, 200:250] = torch.tensor([1.0, 0.0, 0.0])
    made = align(pack, **astronaut, photo_labels=labels, photo_painted=painted)
    colours = made["labels"].reshape(-1, 3).unique(dim=0)
    assert torch.equal(colours, labels.reshape(-1, 3).unique(dim=0))
    changed = (made["painted"] != made["crop"]).any(-1)
    assert 300 < changed.sum() < 1200
    strokes = {"original": made["crop"], "painted": made["painted"], "palette": "#ff0000 mouth"}
    ((segments,),) = pack.run("ChunkyGAN_PaintedSegments", **strokes, feather=0.0)
    as_mask = torch.zeros(1, 512, 512)
    as_mask[:, 135:160, 200:250] = 1
    followed = align(pack, **astronaut, photo_masks=as_mask)["masks"][0]
    assert overlap(segments["mouth"][0, 0], followed) > 0.9


def test_boxes_choose_among_landmarks(pack: Pack, montage: dict[str, Any]) -> None:
    first, second = montage["face_landmarks"]["frames"][0]
    left, top, right, bottom = map(float, second["bbox_xyxy"])
    box = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    wanted = align(pack, **montage, faces="leftmost")["alignment"]
    for shape in (box, [box], [[box]]):
        assert align(pack, **montage, bounding_boxes=shape)["alignment"] == wanted
    largest = align(pack, **montage)["alignment"]
    assert largest != wanted and align(pack, **montage, bounding_boxes=[])["alignment"] == largest
    with pytest.raises(pack.errors.InvalidInputError, match="no face was found in the bounding box 9 x 9"):
        align(pack, **montage, bounding_boxes={"x": 390, "y": 300, "width": 9, "height": 9})
    with pytest.raises(pack.errors.InvalidInputError, match="no face was found in photo 1"):
        align(pack, **montage, bounding_boxes=[[]])
    with pytest.raises(pack.errors.InvalidInputError, match="box and bounding_boxes are given together"):
        align(pack, **montage, bounding_boxes=[[box]], box="1, 2, 30, 40")


def test_a_box_alone_needs_a_detector(
    pack: Pack, montage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = importlib.import_module(f"{NAME}.nodes.face_sources")
    face = importlib.import_module(f"{NAME}.chunky_core.alignment.faces").Face
    seen: list[tuple[int, ...]] = []

    def detect(photo: Tensor, *, model: Any, advice: str) -> tuple[Any, ...]:
        seen.append(tuple(photo.shape))
        return (face((100.0, 60.0, 20.0, 30.0)),)

    monkeypatch.setattr(sources, "detect_faces", detect)
    box = {"x": 200, "y": 100, "width": 80, "height": 60}
    made = align(pack, image=montage["image"], bounding_boxes=box, model="OpenCV's own")
    assert seen == [(1, 3, 140, 160)]
    assert made["alignment"][0][0].quad[0] == (255, 120)  # 100 + 160, 60 + 60, the square around 20 x 30

    def missing(photo: Tensor, *, model: Any, advice: str) -> tuple[Any, ...]:
        raise pack.errors.MissingWeightsError("no face detector is installed")

    monkeypatch.setattr(sources, "detect_faces", missing)
    with pytest.raises(
        pack.errors.MissingWeightsError,
        match="not its eyes and mouth: connect face_landmarks or keypoints .* no face detector is installed",
    ):
        align(pack, image=montage["image"], bounding_boxes=box, model="OpenCV's own")


def test_a_place_given_by_hand_goes_first_and_landmarks_come_along(
    pack: Pack, montage: dict[str, Any]
) -> None:
    made = align(pack, **montage, box="60, 60, 200, 200")
    assert made["alignment"][0][0].quad == ((60, 60), (60, 260), (260, 260), (260, 60))
    ((face,),) = made["landmarks"]["frames"]
    middle = face["landmarks_xy"].mean(0)
    expected = montage["face_landmarks"]["frames"][0][1]["landmarks_xy"].mean(0)
    assert abs(middle - (expected - 60) * SIDE / 200).max() < 1
    empty = align(pack, **montage, box="330, 200, 60, 60")
    assert empty["landmarks"]["frames"] == [[]]
    with pytest.raises(pack.errors.InvalidInputError, match="no face was found in photo 1"):
        pack.run(FACE, image=empty["crop"], face_landmarks=empty["landmarks"])


def test_a_face_is_chosen_for_segments(pack: Pack, montage: dict[str, Any]) -> None:
    def middle(**given: Any) -> float:
        ((segments,), _) = pack.run(FACE, **montage, **given)
        mask = segments["nose"][0, 0]
        return ((mask * torch.arange(mask.shape[1])).sum() / mask.sum()).item()

    assert middle() > 400 > middle(faces="leftmost") and middle(faces="number", number=2) > 400
    with pytest.raises(pack.errors.InvalidInputError, match="face 3 was asked for, photo 1 has 2"):
        middle(faces="number", number=3)


def test_regions_merge_and_are_chosen(pack: Pack, astronaut: dict[str, Any]) -> None:
    rules = "upper_lip + lower_lip + mouth = mouth"
    _, names = pack.run(FACE, **astronaut, rename=rules, only="mouth, eyes, left_iris")
    assert names == "left_eye, right_eye, mouth, left_iris"
    with pytest.raises(pack.errors.InvalidInputError, match="there is no area 'teeth' to rename"):
        pack.run(FACE, **astronaut, rename="teeth = mouth")


def test_unconnected_outputs_say_what_is_missing(pack: Pack, astronaut: dict[str, Any]) -> None:
    made = align(pack, image=astronaut["image"], box="100, 0, 200, 200")
    for name in ("landmarks", "masks", "labels", "painted"):
        assert "connect " in made[name].message, name
    crop = {"before": made["crop"], "after": made["crop"], "alignment": made["alignment"]}
    _, masks = pack.run(PASTE, photo=astronaut["image"], **crop)
    assert "connect crop_masks" in masks.message


def test_masks_are_shared_out_among_photos_and_faces(pack: Pack, montage: dict[str, Any]) -> None:
    two = {"image": montage["image"].repeat(2, 1, 1, 1), "face_landmarks": montage["face_landmarks"]}
    masks = torch.rand(4, 400, 800, generator=torch.Generator().manual_seed(0))
    made = align(pack, **two, faces="all", photo_masks=masks)
    assert made["masks"].shape == (8, SIDE, SIDE)  # two faces in two photos with two masks each
    first = align(pack, **montage, faces="all", photo_masks=masks[:2])["masks"]
    assert torch.equal(made["masks"][:4], first)
    crop = {"before": made["crop"], "after": made["crop"], "alignment": made["alignment"]}
    _, back = pack.run(PASTE, photo=two["image"], **crop, crop_masks=torch.ones(8, SIDE, SIDE))
    assert back.shape == (4, 400, 800) and (back.amax(0) == 1).any()
    _, one = pack.run(PASTE, photo=two["image"], **crop, crop_masks=torch.ones(1, SIDE, SIDE))
    assert torch.equal(one, back[::2])
    with pytest.raises(pack.errors.InvalidInputError, match="3 masks for 2 photos; give as many for each"):
        align(pack, **two, photo_masks=masks[:3])


def test_masks_go_back_into_segment_masks(pack: Pack, astronaut: dict[str, Any]) -> None:
    segments, _ = pack.run(FACE, **astronaut)
    masks, names = pack.run(MASKS, segments=segments)
    given = {"masks": masks, "names": names, "static": "", "grow": 0, "feather": 0.0}
    ((again,),) = pack.run("ChunkyGAN_SegmentMasks", image=astronaut["image"], **given)
    assert again.names == segments[0].names and torch.allclose(again.masks, segments[0].masks, atol=1e-5)
    eyes, listed = pack.run(MASKS, segments=segments, names="eyes", merge=True)
    assert listed == "left_eye + right_eye" and eyes.shape == (1, 512, 512)
    assert torch.allclose(eyes[0], masks[1] + masks[2])
    with pytest.raises(pack.errors.InvalidInputError, match="there is no segment 'ears'"):
        pack.run(MASKS, segments=segments, names="ears")


def test_named_masks_go_over_and_under_the_face(pack: Pack, astronaut: dict[str, Any]) -> None:
    segments, _ = pack.run(FACE, **astronaut)
    hair, neck = torch.zeros(1, 512, 512), torch.zeros(2, 512, 512)
    hair[:, 20:95, 160:290] = 1
    neck[0, 160:210, 190:260] = neck[1, 200:260, 100:340] = 1
    options = {"feather": 0.0, "segments": segments}
    (above,) = pack.run("ChunkyGAN_AddSegment", mask=hair, name="hair", covers="skin", **options)
    assert torch.equal(above[0]["left_brow"], segments[0]["left_brow"])
    assert above[0]["skin"].sum() < segments[0]["skin"].sum() * 0.95
    options["segments"] = above
    (below,) = pack.run("ChunkyGAN_AddSegment", mask=neck, name="neck, cloth", covers="", **options)
    assert below[0].names == (*segments[0].names, "hair", "neck", "cloth")
    assert torch.equal(below[0]["skin"], above[0]["skin"]) and below[0]["cloth"].sum() > 3000
    with pytest.raises(pack.errors.InvalidInputError, match="2 names for 1 mask;"):
        pack.run("ChunkyGAN_AddSegment", mask=hair, name="neck, cloth", **options)


def test_the_shared_boxes_are_of_the_astronaut(pack: Pack, shared: Path, astronaut: dict[str, Any]) -> None:
    samples = json.loads((shared / "faces" / "bounding_box_samples.json").read_text())
    given = samples["per picture, as every core node gives it"][:1]
    assert (
        align(pack, **astronaut, bounding_boxes=given)["alignment"] == align(pack, **astronaut)["alignment"]
    )


def test_what_a_face_does_not_show_is_said(pack: Pack) -> None:
    data = {"frames": [[{"landmarks_xy": drawn_mesh(mouth=0.02).numpy()}]], "image_size": (100, 120)}
    pack.server.events.clear()
    options = {"image": torch.zeros(1, 100, 120, 3), "face_landmarks": data, "grow": 0}
    _, names = pack.run(FACE, **options)
    said = [sent["text"] for event, sent in pack.server.events if event == "chunkygan.notice"]
    assert "mouth" not in names.split(", ") and said == [
        "photo 1 shows no mouth (closed, or outside the picture)"
    ]
    pack.server.events.clear()
    pack.run(FACE, **options, only="eyes, lips", rename="upper_lip + lower_lip + mouth = lips")
    assert not [event for event, _ in pack.server.events if event == "chunkygan.notice"]


def test_landmarks_of_another_size_are_scaled_and_it_is_said(pack: Pack) -> None:
    data = {"frames": [[{"landmarks_xy": drawn_mesh().numpy()}]], "image_size": (100, 120)}
    options = {"face_landmarks": data, "grow": 0, "only": "nose"}
    texts = []
    for size in ((100, 120), (200, 240)):
        pack.server.events.clear()
        pack.run(FACE, image=torch.zeros(1, *size, 3), **options)
        texts.append([sent["text"] for event, sent in pack.server.events if event == "chunkygan.notice"])
    assert texts[0] == [] and len(texts[1]) == 1
    assert "found in a picture of 120x100, this one is 240x200: they are scaled" in texts[1][0]
    with pytest.raises(pack.errors.InvalidInputError, match="detect them in this photo"):
        pack.run(FACE, image=torch.zeros(1, 200, 200, 3), **options)
