"""The boxes that cover a mask: they hold every pixel, are disjoint, and take less than the bounding box."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
import torch
from torch import Tensor

from chunky_core.boxes import Box
from chunky_core.errors import InvalidInputError
from chunky_core.segments.masks import mask_box
from chunky_core.segments.tiles import tile_mask

SIZE = 128


def effort(box: Box) -> float:
    """A fixed part, and the area with a halo."""
    return 0.02 + (box.height + 8) * (box.width + 8) / SIZE**2


def blank() -> Tensor:
    return torch.zeros(1, 1, SIZE, SIZE)


def with_boxes(*boxes: Box) -> Tensor:
    mask = blank()
    for top, left, bottom, right in boxes:
        mask[..., top:bottom, left:right] = 0.5
    return mask


def check(mask: Tensor, boxes: tuple[Box, ...], gain: float = 0.1) -> None:
    left = mask.clone()
    for box in boxes:
        inside = mask[..., box.top : box.bottom, box.left : box.right]
        assert mask_box(inside) == Box(0, 0, box.height, box.width)  # trimmed
        left[..., box.top : box.bottom, box.left : box.right] = 0
    assert not left.any()
    for first, second in combinations(boxes, 2):
        apart = first.bottom <= second.top or second.bottom <= first.top
        assert apart or first.right <= second.left or second.right <= first.left
    alone = effort(mask_box(mask))
    assert boxes == (mask_box(mask),) or sum(map(effort, boxes)) < (1 - gain) * alone


def test_two_far_parts_become_two_boxes() -> None:
    parts = Box(3, 5, 20, 30), Box(90, 80, 121, 127)
    assert set(tile_mask(with_boxes(*parts), effort)) == set(parts)


def test_a_ring_is_cut_although_its_first_cut_spares_nothing() -> None:
    mask = with_boxes(Box(4, 4, 124, 124))
    mask[..., 12:116, 12:116] = 0
    boxes = tile_mask(mask, effort)
    check(mask, boxes)
    assert len(boxes) == 4
    assert sum(map(effort, boxes)) < 0.6 * effort(mask_box(mask))


def test_a_filled_box_stays_whole() -> None:
    for box in (Box(0, 0, 128, 128), Box(10, 20, 100, 90), Box(5, 5, 6, 6), Box(0, 7, 128, 8)):
        assert tile_mask(with_boxes(box), effort) == (box,)


def test_nothing_is_cut_where_a_pass_costs_much() -> None:
    mask = with_boxes(Box(3, 5, 20, 30), Box(90, 80, 121, 127))
    assert tile_mask(mask, lambda box: 1 + box.area / SIZE**2) == (mask_box(mask),)
    assert tile_mask(mask, effort, gain=0.99) == (mask_box(mask),)


def test_random_masks() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        parts = []
        for _ in range(rng.randint(1, 6)):
            top, bottom = sorted(rng.sample(range(SIZE + 1), 2))
            left, right = sorted(rng.sample(range(SIZE + 1), 2))
            parts.append(Box(top, left, min(bottom, top + 40), min(right, left + 40)))
        mask = with_boxes(*parts)
        check(mask, tile_mask(mask, effort))


def test_any_size_and_several_masks_at_once() -> None:
    mask = torch.zeros(2, 1, 300, 97)
    mask[0, 0, 1:20, 3:90] = mask[1, 0, 250:299, 0:10] = 1
    assert set(tile_mask(mask, effort)) == {Box(1, 3, 20, 90), Box(250, 0, 299, 10)}


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="empty"):
        tile_mask(blank(), effort)
