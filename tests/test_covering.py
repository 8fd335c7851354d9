"""A mask over some segments and below the others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.segments import SegmentMasks, add_segment, segments_from_masks

SIDE = 40


def box(top: int, left: int, bottom: int, right: int, value: float = 1.0) -> Tensor:
    mask = torch.zeros(SIDE, SIDE)
    mask[top:bottom, left:right] = value
    return mask


@pytest.fixture
def face() -> SegmentMasks:
    """A brow on skin, the rest static."""
    return segments_from_masks({"skin": box(10, 5, 35, 35), "brow": box(14, 10, 17, 20)})


def test_a_fringe_covers_the_skin_and_no_brow(face: SegmentMasks) -> None:
    made = add_segment(face, "hair", box(0, 0, 16, 40, 0.75), covers=["skin"])
    assert made.names == ("skin", "brow", "hair")
    assert torch.equal(made["brow"], face["brow"])
    assert torch.allclose(made["hair"][0, 0], box(0, 0, 16, 40, 0.75) * (1 - face["brow"][0, 0]))
    assert torch.allclose(made["skin"][0, 0, 10:14, 5:35], torch.tensor(0.25))
    assert torch.allclose(made.static[0, 0, :10], torch.tensor(0.25))
    assert torch.equal(made["skin"][..., 16:, :], face["skin"][..., 16:, :])


def test_a_neck_takes_static_pixels_only(face: SegmentMasks) -> None:
    made = add_segment(face, "neck", box(30, 10, 40, 30), covers=[])
    assert torch.equal(made["skin"], face["skin"]) and torch.equal(made["brow"], face["brow"])
    assert torch.equal(made["neck"][0, 0], box(35, 10, 40, 30))
    with pytest.raises(InvalidInputError, match="nothing of the mask of 'neck' can be seen below skin, brow"):
        add_segment(face, "neck", box(20, 10, 30, 30), covers=[])


def test_soft_weights_are_taken_in_proportion() -> None:
    soft = segments_from_masks({"skin": box(0, 0, 40, 40, 0.5), "brow": box(0, 0, 40, 20, 0.25)})
    made = add_segment(soft, "hair", box(0, 0, 40, 40, 0.6), covers=["skin"])
    left, right = (0, 0, 5, 5), (0, 0, 5, 30)
    assert made["brow"][left] == soft["brow"][left] == 0.25
    assert made["hair"][left].item() == pytest.approx(0.6) and made["hair"][right].item() == pytest.approx(
        0.6
    )
    room = 1 - soft["brow"][left].item()
    assert made["skin"][left].item() == pytest.approx(soft["skin"][left].item() * (1 - 0.6 / room))


@pytest.mark.parametrize("extend", [True, False])
def test_a_segment_that_is_there_grows_or_is_replaced(face: SegmentMasks, extend: bool) -> None:
    first = add_segment(face, "hair", box(0, 0, 8, 40), covers=["skin"])
    made = add_segment(first, "hair", box(6, 0, 12, 40), covers=["skin"], extend=extend)
    assert torch.equal(made["hair"][0, 0], box(0 if extend else 6, 0, 12, 40))
    assert torch.equal(made.static[0, 0, :6], torch.full((6, SIDE), 0.0 if extend else 1.0))


def test_static_pixels_may_be_closed(face: SegmentMasks) -> None:
    made = add_segment(face, "hair", box(0, 0, 12, 40), covers=["skin"], enter_static=False)
    assert torch.equal(made.static, face.static)
    assert torch.equal(made["hair"][0, 0], box(10, 5, 12, 35))


def test_on_top_of_all_is_the_default(face: SegmentMasks) -> None:
    glasses = box(12, 8, 20, 18)
    on_top = add_segment(face, "glasses", glasses)
    assert torch.equal(add_segment(face, "glasses", glasses, covers=["skin", "brow"]).masks, on_top.masks)
    assert torch.equal(on_top["glasses"][0, 0], glasses)


def test_a_segment_that_vanishes_and_an_unknown_name_are_named(face: SegmentMasks) -> None:
    with pytest.raises(InvalidInputError, match="nothing is left of the segment 'skin'"):
        add_segment(face, "hair", box(0, 0, 40, 40), covers=["skin"])
    with pytest.raises(InvalidInputError, match="there is no segment 'skn'"):
        add_segment(face, "hair", box(0, 0, 40, 40), covers=["skn"])
