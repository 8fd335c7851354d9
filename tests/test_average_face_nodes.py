"""Where only eyes and mouth are known: Align Face's landmarks, Demo Portrait's, and a photo in the portrait's place."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.pack_on_double import NAME, Pack

ALIGN, FACE, PORTRAIT = (f"ChunkyGAN_{name}" for name in ("AlignFace", "FaceSegments", "DemoPortrait"))
POINTS = "100,120 160,130 105,190 150,197"
LANDMARKS = 3  # the number of Align Face's output
PORTRAIT_LANDMARKS = 5


@pytest.fixture
def photo() -> Tensor:
    return (torch.rand(1, 300, 280, 3, generator=torch.Generator().manual_seed(0)) * 255).round() / 255


def test_points_give_the_crop_an_average_faces_landmarks(pack: Pack, photo: Tensor) -> None:
    made = pack.run(ALIGN, image=photo, points=POINTS, size=128)
    ((face,),) = made[LANDMARKS]["frames"]
    assert face["estimated"] and face["landmarks_xy"].shape == (478, 2)
    segments, names = pack.run(FACE, image=made[0], face_landmarks=made[LANDMARKS], only="eyes, nose")
    assert names == "left_eye, right_eye, nose"
    eye = segments[0]["right_eye"][0, 0]  # at the picture's left, where FFHQ's frame has it
    rows, columns = torch.nonzero(eye > 0.5, as_tuple=True)
    assert (columns.float().mean() / 128).item() == pytest.approx(0.375, abs=0.04)
    assert (rows.float().mean() / 128).item() == pytest.approx(0.473, abs=0.05)


def test_face_segments_says_whose_they_are(
    pack: Pack, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    module = importlib.import_module(f"{NAME}.nodes.face_segments")
    monkeypatch.setattr(module, "show_notice", said.append)
    made = pack.run(ALIGN, image=photo, points=POINTS, size=128)
    pack.run(FACE, image=made[0], face_landmarks=made[LANDMARKS], only="nose")
    assert len(said) == 1 and "an average face's segments" in said[0]
    own: dict[str, Any] = {**made[LANDMARKS], "frames": [[dict(made[LANDMARKS]["frames"][0][0])]]}
    del own["frames"][0][0]["estimated"]
    pack.run(FACE, image=made[0], face_landmarks=own, only="nose")
    assert len(said) == 1


def test_every_face_of_every_photo_has_its_own(pack: Pack, photo: Tensor) -> None:
    two = f"{POINTS}\n180,220 220,220 185,260 215,260"
    made = pack.run(ALIGN, image=photo.repeat(2, 1, 1, 1), points=two, faces="all", size=64)
    assert [len(frame) for frame in made[LANDMARKS]["frames"]] == [1, 1, 1, 1]
    first, second, third, _ = (frame[0]["landmarks_xy"] for frame in made[LANDMARKS]["frames"])
    assert (first == third).all() and not (first == second).all()


def test_a_box_has_no_landmarks(pack: Pack, photo: Tensor) -> None:
    blocked = pack.run(ALIGN, image=photo, box="60, 60, 150, 150", size=64)[LANDMARKS]
    assert "a box or a mask tells nothing of eyes and mouth" in blocked.message


def test_a_portrait_comes_with_landmarks(pack: Pack) -> None:
    made = pack.run(PORTRAIT, size=256, seed=31)
    image, label_map = made[0], made[3]
    segments, _ = pack.run(
        FACE, image=image, face_landmarks=made[PORTRAIT_LANDMARKS], only="eyes, nose", grow=0, feather=0.0
    )
    labels = [label_map.names[number] for number in sorted(label_map.names)]
    for side, drawn in (("right", "left"), ("left", "right")):  # the portrait's names are the picture's
        seen = label_map.labels[0] == labels.index(f"{drawn}_eye")
        inside = segments[0][f"{side}_eye"][0, 0] > 0.5
        assert (inside & seen).sum() > 0.6 * inside.sum()
    hidden = pack.run(PORTRAIT, size=256, seed=31, face_mask=True)[PORTRAIT_LANDMARKS]
    assert hidden["frames"] == [[]]


def test_a_photo_takes_the_portraits_place(pack: Pack, photo: Tensor) -> None:
    landmarks: dict[str, Any] = {"frames": [[]], "image_size": (300, 280), "connection_sets": {}}
    made = pack.run(PORTRAIT, photo=photo, photo_landmarks=landmarks)
    assert torch.equal(made[0], photo) and made[0] is not photo and made[PORTRAIT_LANDMARKS] is landmarks
    for blocked in made[1:PORTRAIT_LANDMARKS]:
        assert "of its own portraits only" in blocked.message
    without = pack.run(PORTRAIT, photo=photo)[PORTRAIT_LANDMARKS]
    aligned = pack.run(ALIGN, image=photo, points=POINTS, size=64, face_landmarks=without)
    assert aligned[0].shape == (1, 64, 64, 3)  # as if nothing were connected
    with pytest.raises(pack.errors.InvalidInputError, match="without photo"):
        pack.run(PORTRAIT, photo_landmarks=landmarks)
