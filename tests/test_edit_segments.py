"""Edited segments: what each operation does to known shapes, and that all still add up to one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.segments import SegmentMasks, segments_from_masks
from chunky_core.segments.edit_segments import (
    add_segment,
    feather_segments,
    fill_holes,
    grow_segments,
    keep_largest_parts,
    merge_segments,
    remove_segments,
    rename_segment,
    shrink_segments,
    smooth_segments,
)
from chunky_core.segments.masks import grow
from chunky_core.segments.symmetry import mirror_segments, mirrored, other_side

SIZE = 64


def rectangle(top: int, left: int, bottom: int, right: int) -> Tensor:
    mask = torch.zeros(SIZE, SIZE)
    mask[top:bottom, left:right] = 1
    return mask


def disc(row: float, column: float, radius: float) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return (((rows - row) ** 2 + (columns - column) ** 2).sqrt() <= radius).float()


def face(feather: float = 0.0) -> SegmentMasks:
    """A skin with two eyes and a mouth on a static background."""
    masks = {
        "skin": disc(32, 32, 28),
        "left_eye": disc(24, 20, 5),
        "right_eye": disc(24, 44, 4),
        "mouth": rectangle(42, 22, 48, 42),
    }
    return segments_from_masks(masks, feather=feather)


def mask_of(segments: SegmentMasks, name: str) -> Tensor:
    return segments.masks[segments.names.index(name), 0]


OPERATIONS: dict[str, Callable[[SegmentMasks], SegmentMasks]] = {
    "grow": lambda s: grow_segments(s, ["eyes"], 3),
    "grow all": lambda s: grow_segments(s, ["all"], 3, enter_static=True),
    "shrink": lambda s: shrink_segments(s, ["mouth"], 2),
    "shrink all": lambda s: shrink_segments(s, ["all"], 1, freed="static"),
    "smooth": lambda s: smooth_segments(s, ["all"], 1.5),
    "feather": lambda s: feather_segments(s, ["all"], 2.0),
    "fill holes": lambda s: fill_holes(s, ["all"]),
    "largest": lambda s: keep_largest_parts(s, ["all"]),
    "merge": lambda s: merge_segments(s, ["eyes"], "eyes"),
    "remove": lambda s: remove_segments(s, ["mouth"]),
    "mirror": lambda s: mirror_segments(s, ["left_eye"]),
    "add": lambda s: add_segment(s, "nose", disc(34, 32, 4), feather=1.0),
    "protect": lambda s: add_segment(s, "static", disc(34, 32, 4), feather=1.0),
}


@pytest.mark.parametrize("feather", [0.0, 1.5])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_all_weights_add_up_to_one_and_the_given_ones_stay(operation: str, feather: float) -> None:
    segments = face(feather)
    kept = segments.masks.clone(), segments.static.clone()
    result = OPERATIONS[operation](segments)
    total = result.masks.sum(dim=0, dtype=torch.float64) + result.static[0]
    assert (total - 1).abs().max() <= 1e-6 and result.masks.min() >= 0 and result.static.min() >= 0
    assert torch.equal(segments.masks, kept[0]) and torch.equal(segments.static, kept[1])


def test_growing_is_a_dilation_at_the_neighbours_cost() -> None:
    segments = face()
    grown = grow_segments(segments, ["mouth"], 3)
    wide = grow(mask_of(segments, "mouth"), 3)
    assert torch.equal(mask_of(grown, "mouth"), wide)
    assert torch.equal(mask_of(grown, "skin"), mask_of(segments, "skin") * (1 - wide))
    assert torch.equal(mask_of(grown, "left_eye"), mask_of(segments, "left_eye"))


def test_static_pixels_are_entered_only_if_wanted() -> None:
    segments = face()
    assert torch.equal(grow_segments(segments, ["skin"], 3).static, segments.static)
    entered = grow_segments(segments, ["skin"], 3, enter_static=True)
    assert torch.equal(entered.static[0, 0], 1 - grow(1 - segments.static[0, 0], 3))


def test_small_segments_grow_over_larger_ones() -> None:
    segments = grow_segments(face(), ["all"], 3)
    for name in ("left_eye", "right_eye"):
        assert torch.equal(mask_of(segments, name), grow(mask_of(face(), name), 3))
    skin = grow_segments(face(), ["skin"], 3, enter_static=True)
    assert torch.equal(skin.masks[1:], face().masks[1:])


@pytest.mark.parametrize(("freed", "heir"), [("nearest", "skin"), ("static", "static")])
def test_shrinking_frees_pixels(freed: str, heir: str) -> None:
    segments = face()
    smaller = shrink_segments(segments, ["mouth"], 2, freed=freed)
    assert torch.equal(mask_of(smaller, "mouth"), rectangle(44, 24, 46, 40))
    ring = (mask_of(segments, "mouth") - mask_of(smaller, "mouth")).bool()
    owner = smaller.static[0, 0] if heir == "static" else mask_of(smaller, heir)
    assert (owner[ring] == 1).all()


def test_the_images_border_is_no_edge() -> None:
    halves = segments_from_masks({"a": rectangle(0, 0, 64, 32), "b": rectangle(0, 32, 64, 64)})
    assert torch.equal(mask_of(shrink_segments(halves, ["a"], 4), "a"), rectangle(0, 0, 64, 28))
    assert torch.equal(mask_of(shrink_segments(halves, ["a"], 4), "b"), rectangle(0, 28, 64, 64))


def test_smoothing_takes_hairs_off_and_leaves_straight_edges() -> None:
    block = torch.maximum(rectangle(16, 0, 64, 64), rectangle(4, 30, 16, 31))  # a hair one pixel wide
    segments = segments_from_masks({"block": block, "rest": 1 - block})
    smooth = smooth_segments(segments, ["block"], 2.0)
    assert mask_of(smooth, "block")[:13].max() == 0
    far = mask_of(smooth, "block")[:, :20]
    assert ((far > 0.5) == (block[:, :20] > 0.5)).all() and (far[18:] == 1).all() and (far[:14] == 0).all()


def test_smoothing_all_leaves_no_static_gap() -> None:
    thirds = {"a": rectangle(0, 0, 32, 64), "b": rectangle(32, 0, 64, 32), "c": rectangle(32, 32, 64, 64)}
    segments = smooth_segments(segments_from_masks(thirds), ["all"], 3.0)
    assert segments.static.max() == 0


def test_feathering_all_is_a_blur() -> None:
    assert (feather_segments(face(), ["all"], 1.5).masks - face(1.5).masks).abs().max() < 0.01


def test_holes_are_filled_but_eyes_stay() -> None:
    skin = disc(32, 32, 28) - disc(24, 20, 7) - disc(46, 32, 3)  # a static ring round the eye, and a hole
    segments = segments_from_masks({"skin": skin, "left_eye": disc(24, 20, 5)}, feather=0.0)
    filled = fill_holes(segments, ["skin"])
    assert torch.equal(mask_of(filled, "left_eye"), disc(24, 20, 5))
    assert torch.equal(mask_of(filled, "skin"), disc(32, 32, 28) - disc(24, 20, 5))


def test_holes_with_soft_rims_are_filled_wholly() -> None:
    segments = segments_from_masks({"skin": disc(32, 32, 24) - disc(32, 32, 4)}, feather=1.5)
    filled = mask_of(fill_holes(segments, ["skin"]), "skin")
    assert torch.equal(filled[disc(32, 32, 15).bool()], torch.ones(int(disc(32, 32, 15).sum())))
    assert torch.equal(filled[disc(32, 32, 19) == 0], mask_of(segments, "skin")[disc(32, 32, 19) == 0])


def test_the_largest_part_is_kept() -> None:
    two = torch.maximum(disc(20, 20, 8), disc(48, 48, 5))
    segments = segments_from_masks({"eye": two, "skin": 1 - two}, feather=1.5)
    kept = keep_largest_parts(segments, ["eye"])
    assert mask_of(kept, "eye")[40:, 40:].max() == 0
    assert torch.equal(mask_of(kept, "eye")[:32, :32], mask_of(segments, "eye")[:32, :32])
    assert (mask_of(kept, "skin")[40:, 40:] - 1).abs().max() < 1e-6


def test_untouched_pixels_keep_their_weights_bit_for_bit() -> None:
    segments = face(1.5)
    grown = grow_segments(segments, ["mouth"], 3)
    far = ~grow(mask_of(segments, "mouth"), 3).bool()
    assert torch.equal(grown.masks[..., far], segments.masks[..., far])
    assert torch.equal(grown.static[..., far], segments.static[..., far])


def test_renaming_and_merging() -> None:
    segments = face(1.5)
    assert rename_segment(segments, "mouth", "lips").names == ("skin", "left_eye", "right_eye", "lips")
    merged = merge_segments(segments, ["right_eye", "left_eye"], "eyes")
    assert merged.names == ("skin", "eyes", "mouth")
    assert torch.equal(mask_of(merged, "eyes"), segments.masks[1, 0] + segments.masks[2, 0])
    assert torch.equal(merged.static, segments.static)


def test_removed_pixels_go_to_neighbours_or_the_static_part() -> None:
    segments = face()
    removed = remove_segments(segments, ["mouth"])
    assert torch.equal(mask_of(removed, "skin"), segments.masks[0, 0] + segments.masks[3, 0])
    removed = remove_segments(segments, ["mouth"], freed="static")
    assert torch.equal(removed.static[0], segments.static[0] + segments.masks[3])


def test_mirroring_is_exact_and_an_involution() -> None:
    mask = torch.rand(8, 11, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mirrored(mask), mask.flip(1))
    assert torch.equal(mirrored(mirrored(mask)), mask)
    shifted = mirrored(mask, axis=4 / 11)  # between the columns 3 and 4
    assert torch.equal(shifted[:, :8], mask[:, :8].flip(1)) and not shifted[:, 8:].any()


def test_a_mirrored_edge_lies_at_the_mirrored_place() -> None:
    edge = (torch.arange(40.0) - 10.3 + 1).clamp(0, 1).repeat(3, 1)  # covers 10.3 .. 40
    place = 40 - mirrored(edge, axis=(20 + 0.15) / 40).sum(dim=1)
    # what lies right of 10.3 lies left of 40.3 - 10.3 = 30; the first 0.3 pixels come from outside
    assert (place - (10 + 0.3)).abs().max() < 0.05


def test_the_other_eye_is_made_of_one() -> None:
    segments = mirror_segments(face(), ["left_eye"])
    assert torch.equal(mask_of(segments, "right_eye"), mask_of(face(), "left_eye").flip(1))
    assert segments.names == face().names
    fresh = mirror_segments(remove_segments(face(), ["right_eye"]), ["left_eye"])
    assert fresh.names[-1] == "right_eye"


@pytest.mark.parametrize(
    ("name", "other"),
    [("left_eye", "right_eye"), ("l_brow", "r_brow"), ("ear_R", "ear_L"), ("Right ear", "Left ear")],
)
def test_names_have_another_side(name: str, other: str) -> None:
    assert other_side(name) == other and other_side(other) == name


def test_segments_are_added_on_top_one_by_one() -> None:
    first = add_segment(None, "skin", disc(32, 32, 28))
    both = add_segment(first, "mouth", rectangle(42, 22, 48, 42))
    assert torch.equal(mask_of(both, "skin"), disc(32, 32, 28) - rectangle(42, 22, 48, 42))
    more = add_segment(both, "mouth", rectangle(42, 42, 48, 46))
    assert torch.equal(mask_of(more, "mouth"), rectangle(42, 22, 48, 46))
    other = add_segment(both, "mouth", rectangle(42, 42, 48, 46), extend=False)
    assert torch.equal(mask_of(other, "mouth"), rectangle(42, 42, 48, 46))
    assert (mask_of(other, "skin")[43, 24:40] == 1).all()
    kept = add_segment(both, "static", disc(32, 32, 5))
    assert torch.equal(kept.static[0, 0], first.static[0, 0] + disc(32, 32, 5))
    assert kept.names == both.names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: shrink_segments(s, ["mouth"], 9), "nothing is left of the segment 'mouth'"),
        (
            lambda s: add_segment(s, "x", torch.ones(SIZE, SIZE)),
            "nothing is left of the segment 'skin', 'left_eye'",
        ),
        (lambda s: grow_segments(s, ["nose"], 1), "no segment 'nose'"),
        (lambda s: grow_segments(s, ["all"], -1), "pixels is -1"),
        (lambda s: remove_segments(s, ["all"]), "leaves no segment"),
        (lambda s: rename_segment(s, "mouth", "skin"), "'skin' already"),
        (lambda s: rename_segment(s, "eyes", "x"), "no segment 'eyes' to rename"),
        (lambda s: rename_segment(s, "mouth", " "), "has no name"),
        (lambda s: merge_segments(s, ["eyes"], "skin"), "'skin' already"),
        (lambda s: mirror_segments(s, ["mouth"]), "no left or right in it"),
        (lambda s: mirror_segments(s, ["eyes"], new="x"), "2 segments for one new name"),
        (lambda s: mirror_segments(s, ["left_eye"], axis=0.0), "nothing is left of the segment 'right_eye'"),
        (lambda s: mirror_segments(s, ["left_eye"], axis=1.5), "a share of the width"),
        (lambda s: add_segment(s, "x", torch.zeros(64, 64)), "'x' is empty"),
        (lambda s: add_segment(s, "x", torch.ones(32, 64)), "the photo is 64x64"),
        (lambda s: add_segment(None, "static", torch.ones(64, 64)), "which is no segment"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    change: Callable[[SegmentMasks], SegmentMasks], message: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        change(face())
    assert message in str(caught.value).splitlines()[0]


def test_names_are_known_in_any_case() -> None:
    before = face()
    assert rename_segment(before, "MOUTH", "lips").names[-1] == "lips"
    assert rename_segment(before, "mouth", "Mouth").names[-1] == "Mouth"
    with pytest.raises(InvalidInputError, match="a segment 'skin' already"):
        rename_segment(before, "mouth", "Skin")
    extended = add_segment(before, "Mouth", rectangle(48, 22, 50, 42))
    assert extended.names == before.names
    assert torch.equal(mask_of(extended, "mouth"), rectangle(42, 22, 50, 42))
    assert add_segment(before, "Static", rectangle(42, 22, 48, 32)).names == before.names
    capital = rename_segment(before, "left_eye", "Left_Eye")
    assert mirror_segments(capital, ["LEFT_EYE"]).names == capital.names
    assert torch.equal(grow_segments(before, ["Eyes"], 2).masks, grow_segments(before, ["eyes"], 2).masks)
