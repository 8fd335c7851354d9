"""The seam error: zero for the photo, the offset of a segment at its boundary, less where a seam is blurred."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.evaluation.seams import Seam, inner_error, mean_error, seam_error, seams
from chunky_core.segments import SegmentMasks, segments_from_masks, single_segment
from chunky_core.segments.masks import feather

SIZE, OFFSET = 48, 0.25
EDGE = 16  # pixels a side of the inner square


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) - 0.5


@pytest.fixture(scope="module")
def masks() -> SegmentMasks:
    """A square in a left half; the right half is static."""
    inner, left = torch.zeros(2, SIZE, SIZE)
    left[:, : SIZE // 2] = 1
    inner[16 : 16 + EDGE, 4 : 4 + EDGE] = 1
    return segments_from_masks({"inner": inner, "left": left})


def test_the_photo_itself_has_no_seam(photo: Tensor, masks: SegmentMasks) -> None:
    assert seam_error(photo, photo, masks) == 0
    assert inner_error(photo, photo, masks) == 0
    assert seam_error(photo + OFFSET, photo, masks) == pytest.approx(0, abs=1e-7)


def test_an_offset_counts_at_the_boundaries_of_its_segment_and_nowhere_else(
    photo: Tensor, masks: SegmentMasks
) -> None:
    moved = photo + OFFSET * masks.masks[:1]
    found = seams(moved, photo, masks)
    assert found.keys() == {("inner", "left"), ("left", "static")}
    assert found["inner", "left"].error == pytest.approx(OFFSET, rel=1e-5)
    assert found["inner", "left"].pairs == 4 * EDGE
    assert found["left", "static"] == Seam(0.0, SIZE)
    assert seam_error(moved, photo, masks) == pytest.approx(OFFSET * 4 * EDGE / (4 * EDGE + SIZE), rel=1e-5)
    assert inner_error(moved, photo, masks) == 0


def test_an_offset_toward_the_static_part(photo: Tensor, masks: SegmentMasks) -> None:
    found = seams(photo - OFFSET * (1 - masks.static), photo, masks)
    assert found["left", "static"].error == pytest.approx(OFFSET, rel=1e-5)
    assert found["inner", "left"].error == pytest.approx(0, abs=1e-7)


def test_the_blurrier_the_smaller(photo: Tensor, masks: SegmentMasks) -> None:
    square = masks.masks[0, 0].double()
    errors = [seam_error(photo + OFFSET * feather(square, sigma), photo, masks) for sigma in (0, 0.7, 1.5, 3)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 4


def test_wider_means_see_a_blurred_seam_as_a_step(photo: Tensor, masks: SegmentMasks) -> None:
    left = 1 - masks.static[0, 0].double()
    sharp, blurred = (photo + OFFSET * feather(left, sigma) for sigma in (0, 1.5))
    error = {
        (name, width): seams(picture, photo, masks, width=width)["left", "static"].error
        for name, picture in (("sharp", sharp), ("blurred", blurred))
        for width in (1, 8)
    }
    assert error["sharp", 1] == pytest.approx(OFFSET, rel=1e-5)
    assert error["sharp", 8] == pytest.approx(OFFSET, rel=1e-5)
    assert error["blurred", 1] < 0.3 * OFFSET
    assert error["blurred", 8] > 0.8 * OFFSET


def test_wider_means_are_those_of_the_pixels_on_each_side(photo: Tensor) -> None:
    picture, column = photo.flip(2), 20
    right = torch.zeros(SIZE, SIZE)
    right[:, column:] = 1
    masks = segments_from_masks({"right": right, "rest": 1 - right})
    added = picture - photo
    step = added[..., column : column + 3].mean(dim=-1) - added[..., column - 3 : column].mean(dim=-1)
    assert seam_error(picture, photo, masks, width=3) == pytest.approx(step.abs().mean().item(), rel=1e-5)
    across = segments_from_masks({"right": right.T, "rest": 1 - right.T})
    turned = seam_error(picture.mT, photo.mT, across, width=3)
    assert turned == pytest.approx(step.abs().mean().item(), rel=1e-5)


def test_soft_masks_have_their_boundary_where_the_larger_weight_changes(photo: Tensor) -> None:
    ramp = torch.linspace(0, 1, SIZE).expand(SIZE, SIZE)
    found = seams(
        photo + OFFSET * (ramp > 0.5), photo, segments_from_masks({"right": ramp, "rest": 1 - ramp})
    )
    assert found["right", "rest"].error == pytest.approx(OFFSET, rel=1e-5)
    assert found["right", "rest"].pairs == SIZE


def test_the_mean_weighs_boundaries_by_their_length() -> None:
    assert mean_error([Seam(1.0, 1), Seam(0.0, 3)]) == 0.25
    assert mean_error([]) == 0


def test_a_picture_of_one_piece_has_no_boundary(photo: Tensor) -> None:
    assert seams(photo.flip(3), photo, single_segment((SIZE, SIZE))) == {}
    assert seam_error(photo.flip(3), photo, single_segment((SIZE, SIZE))) == 0


def test_wrong_pictures_are_named(photo: Tensor, masks: SegmentMasks) -> None:
    with pytest.raises(InvalidInputError, match="the picture is"):
        seam_error(photo[..., 1:], photo, masks)
    with pytest.raises(InvalidInputError, match="photo contains NaN"):
        seam_error(photo, photo * math.nan, masks)
    with pytest.raises(InvalidInputError, match="width is 0"):
        seam_error(photo, photo, masks, width=0)
