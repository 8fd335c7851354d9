"""Names on pictures: inside, apart, near what they name, and the same every time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from chunky_core.demo.photos import demo_photo
from chunky_core.demo.portraits.attributes import LABELS
from chunky_core.errors import InvalidInputError
from chunky_core.segments import SegmentMasks, segments_from_label_map, segments_from_masks
from chunky_core.visualization.captions import LEGIBLE, Label, draw_labels, place_labels
from chunky_core.visualization.sheets import contact_sheet, segment_anchors, segment_overlay

EXTRAS = ("hat", "hand", "odd_glasses", "jewellery")


def portrait(
    seed: int, extras: tuple[str, ...] = (), resolution: int = 256
) -> tuple[torch.Tensor, SegmentMasks]:
    photo = demo_photo(seed, extras=extras, resolution=resolution)
    return photo.image, segments_from_label_map(
        photo.labels, dict(enumerate(LABELS)), static=("background",), grow=2, feather=1.0
    )


def blobs(seed: int, count: int = 30, side: int = 256) -> SegmentMasks:
    """Small discs that may lie side by side."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    places = rng.uniform(4, side - 4, (count, 2))
    near = (np.hypot(rows - r, columns - c) < 3 + i % 4 for i, (r, c) in enumerate(places))
    free, masks = np.ones((side, side), bool), {}
    for i, disc in enumerate(near):
        if (disc & free).any():
            masks[f"segment_{i}"] = torch.from_numpy(disc & free)
            free &= ~disc
    return segments_from_masks(masks)


def overlap(one: Label, other: Label) -> bool:
    across = one.left < other.left + other.width and other.left < one.left + one.width
    return across and one.top < other.top + other.height and other.top < one.top + one.height


def assert_apart_and_inside(labels: list[Label], size: tuple[int, int]) -> None:
    height, width = size
    for i, label in enumerate(labels):
        assert label.left >= 0 and label.top >= 0
        assert label.left + label.width <= width and label.top + label.height <= height
        assert not any(overlap(label, other) for other in labels[:i]), label.text


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("extras", [(), EXTRAS])
def test_names_of_portraits_are_apart_and_legible(seed: int, extras: tuple[str, ...]) -> None:
    _, segments = portrait(seed, extras)
    labels = place_labels(*segment_anchors(segments), segments.size)
    assert_apart_and_inside(labels, segments.size)
    assert sorted(label.text for label in labels) == sorted(segments.names)
    assert all(label.scale >= LEGIBLE for label in labels)


@pytest.mark.parametrize("seed", range(3))
def test_names_of_thirty_small_blobs_are_apart(seed: int) -> None:
    segments = blobs(seed)
    texts, anchors = segment_anchors(segments)
    places = [(3 * x, 3 * y) for x, y in anchors]  # as the node enlarges the photo
    for where, size in ((anchors, (256, 256)), (places, (768, 768))):
        labels = place_labels(texts, where, size)
        assert_apart_and_inside(labels, size)
        assert len(labels) == len(segments.names)
        assert labels == place_labels(texts, where, size)
    far = [math.dist(label.nearest(), label.anchor) for label in labels]
    assert np.median(far) < 1 and max(far) < 150


def test_a_crowd_shrinks_and_stays_apart() -> None:
    texts = [f"a_rather_long_name_{i}" for i in range(30)]
    labels = place_labels(texts, [(40.0, 40.0)] * 30, (120, 120))
    assert_apart_and_inside(labels, (120, 120))
    assert len(labels) > 10 and labels[0].scale < LEGIBLE
    assert place_labels(["much_too_wide_for_so_few_pixels"], [(2.0, 2.0)], (8, 8)) == []


@pytest.mark.parametrize("scale_of", [(64, 256), (768, 768), (1500, 1500)])
@pytest.mark.parametrize("text", ["hair", "jgpqy_", "Wände", "ÅÇ", "12"])
def test_ink_stays_in_its_rectangle(text: str, scale_of: tuple[int, int]) -> None:
    height, width = scale_of
    grey = torch.zeros(1, 3, height, width)
    (label,) = place_labels([text], [(width / 2, height / 2)], scale_of)
    inked = (draw_labels(grey, [label]) - grey).abs().amax(1)[0] > 0.02
    inside = torch.zeros_like(inked)
    inside[label.top : label.top + label.height, label.left : label.left + label.width] = True
    assert inked.any() and not inked[~inside].any()


def test_a_line_leads_from_a_name_that_moved() -> None:
    labels = place_labels(["one", "two", "three", "four"], [(100.0, 100.0)] * 4, (200, 200))
    moved = max(labels, key=lambda label: math.dist(label.nearest(), label.anchor))
    (x, y), (column, row) = moved.nearest(), (round(moved.anchor[0]), round(moved.anchor[1]))
    assert math.dist((x, y), (column, row)) > 3
    drawn = draw_labels(torch.zeros(1, 3, 200, 200), [moved])[0, 0]
    assert drawn[row, column] > 0.9 and drawn[round((y + row) / 2), round((x + column) / 2)] > 0.3


def test_the_overlay_keeps_static_pixels_and_refuses_another_photo() -> None:
    photo, segments = portrait(2)
    overlay = segment_overlay(photo, segments, names=False)
    static = segments.static[0, 0] == 1
    assert torch.equal(overlay[0][:, static], photo[0][:, static])
    assert torch.equal(segment_overlay(photo, segments), segment_overlay(photo, segments))
    with pytest.raises(InvalidInputError, match="photo is 128x256, the segments are for 256x256"):
        segment_overlay(photo[..., :128], segments)


@pytest.mark.parametrize("name", ["bouch\x07", "\x1bx", "x\x9f"])
def test_names_that_are_no_text_are_refused_before_they_are_drawn(name: str) -> None:
    with pytest.raises(InvalidInputError, match="no valid text"):
        place_labels([name], [(8.0, 8.0)], (64, 64))
    with pytest.raises(InvalidInputError, match="no valid text"):
        contact_sheet([(name, torch.zeros(1, 3, 16, 16))])
    with pytest.raises(InvalidInputError, match="no valid text"):
        segments_from_masks({name: torch.ones(8, 8)})
    with pytest.raises(InvalidInputError, match="no valid text"):
        SegmentMasks((name,), torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))
