"""What lies on the whole photo follows the crop, and masks on the crop find back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chunky_core.alignment import extract_crop, extract_labels, extract_mask, landmarks_in_crop, paste_mask
from chunky_core.errors import InvalidInputError
from chunky_core.inversion import Alignment
from chunky_core.segments.face_mesh.landmarks import FaceLandmarks
from chunky_core.segments.face_mesh.polygons import polygon_mask
from tests.face_tools import drawn_mesh
from tests.test_alignment import HEIGHT, TILTED, WHOLE, WIDTH, noise

PLACE = Alignment(TILTED, (HEIGHT, WIDTH))
SIDE = 100  # pixels of the crop; the quad's sides are 50 of the photo


def blob() -> Tensor:
    """[H,W] in [0,1], with soft edges."""
    return polygon_mask(torch.tensor([[45.0, 30.0], [80.0, 40.0], [55.0, 62.0]]), (HEIGHT, WIDTH)).float()


def test_a_mask_lies_on_the_crop_as_on_the_photo() -> None:
    """Drawn into the photo's colors and cut out with it, it is the same but for the weights of the resampling."""
    mask = blob()
    as_photo = (mask * 2 - 1).expand(1, 3, HEIGHT, WIDTH)
    cut = extract_mask(mask, PLACE, SIDE)
    assert cut.shape == (1, 1, SIDE, SIDE) and cut.min() >= 0 and cut.max() <= 1
    assert (
        cut - (extract_crop(as_photo, PLACE, SIDE)[:, :1] + 1) / 2
    ).abs().max() < 0.2  # bicubic is sharper
    assert (cut - (extract_crop(as_photo, PLACE, SIDE)[:, :1] + 1) / 2).abs().mean() < 0.005
    assert torch.equal(extract_mask(mask > 0.5, PLACE, SIDE), extract_mask((mask > 0.5).float(), PLACE, SIDE))


def test_a_quad_of_the_photo_itself_changes_nothing() -> None:
    square = Alignment(((0, 0), (0, 80), (80, 80), (80, 0)), (80, 80))
    mask, labels = noise(80, 80)[0, 0].abs(), torch.arange(6400, dtype=torch.int64).view(80, 80)
    assert torch.allclose(extract_mask(mask, square, 80)[0, 0], mask, atol=1e-5)
    assert torch.equal(extract_labels(labels, square, 80), labels)
    assert torch.allclose(paste_mask(mask, square)[0, 0], mask, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_label_maps_keep_their_values(dtype: torch.dtype) -> None:
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    labels = ((rows // 9 * 7 + columns // 9 * 3) % 13).to(dtype)
    cut = extract_labels(labels, PLACE, SIDE)
    assert cut.dtype == dtype and set(cut.unique().tolist()) <= set(labels.unique().tolist())
    colors = torch.stack([labels, labels * 2, 12 - labels])
    assert torch.equal(extract_labels(colors, PLACE, SIDE), torch.stack([cut, cut * 2, 12 - cut]))
    for label in (0, 5):  # each area lies where its mask lies
        area = extract_mask((labels == label).float(), PLACE, SIDE)[0, 0]
        assert ((cut == label) == (area > 0.5)).float().mean() > 0.97


def test_landmarks_lie_on_the_crop_where_the_photo_has_them() -> None:
    mesh = FaceLandmarks(drawn_mesh((60, 45), 0.3), data={"transformation_matrix": 1, "blendshapes": {}})
    moved = landmarks_in_crop([mesh], PLACE, SIDE)
    assert moved is not None and moved.data == {"blendshapes": {}}
    corners = torch.tensor(TILTED, dtype=torch.float64)
    right, down = (corners[3] - corners[0]) / SIDE, (corners[1] - corners[0]) / SIDE
    back = corners[0] + moved.points[:, :1] * right + moved.points[:, 1:] * down
    assert torch.allclose(back, mesh.points, atol=1e-9)
    other = FaceLandmarks(drawn_mesh((66, 45), 0.3))
    nearest = landmarks_in_crop([other, mesh], PLACE, SIDE)
    assert nearest is not None and torch.equal(nearest.points, moved.points)
    assert landmarks_in_crop([FaceLandmarks(drawn_mesh((5, 5), 0.05))], PLACE, SIDE) is None


@pytest.mark.parametrize("side", [25, 100, 300])
def test_a_mask_finds_back_from_the_crop(side: int) -> None:
    mask = blob()
    inside = polygon_mask(torch.tensor(TILTED, dtype=torch.float64), (HEIGHT, WIDTH)).float()
    back = paste_mask(extract_mask(mask, PLACE, side), PLACE)[0, 0]
    assert back.shape == (HEIGHT, WIDTH) and back.min() >= 0 and back.max() <= 1
    assert not back[inside == 0].any()
    worst = (back - mask)[inside == 1].abs()
    assert worst.mean() < (0.03 if side == 25 else 0.01)
    whole = paste_mask(torch.ones(1, 1, side, side), PLACE)[0, 0]
    assert torch.allclose(whole, inside, atol=1e-5)


def test_a_quad_outside_the_photo_leaves_an_empty_mask() -> None:
    place = Alignment(((300, 300), (300, 320), (320, 320), (320, 300)), (HEIGHT, WIDTH))
    assert not paste_mask(torch.ones(8, 8), place).any()


def test_wrong_sizes_are_named() -> None:
    place = Alignment(WHOLE, (HEIGHT, WIDTH))
    with pytest.raises(
        InvalidInputError, match="the mask is 60x50, the alignment was made for 120x90; make it"
    ):
        extract_mask(torch.zeros(50, 60), place, 32)
    with pytest.raises(InvalidInputError, match="the label map is 60x50, the alignment was made for 120x90"):
        extract_labels(torch.zeros(50, 60), place, 32)
    with pytest.raises(InvalidInputError, match=r"expected \[H,W\] or \[1,1,H,W\]"):
        extract_mask(torch.zeros(3, HEIGHT, WIDTH), place, 32)
    with pytest.raises(InvalidInputError, match="the crop's size is 0"):
        extract_labels(torch.zeros(HEIGHT, WIDTH), place, 0)
    with pytest.raises(InvalidInputError, match="values outside 0..1"):
        paste_mask(torch.full((8, 8), 2.0), place)
