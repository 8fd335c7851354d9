from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chunky_core.boxes import Box
from chunky_core.errors import InvalidInputError
from chunky_core.segments import (
    SegmentMasks,
    mask_box,
    segments_from_label_map,
    segments_from_masks,
    single_segment,
)
from chunky_core.segments.masks import grow


def disc(size: int, row: float, column: float, radius: float) -> Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((y - row) ** 2 + (x - column) ** 2 <= radius**2).float()


def random_masks(seed: int, size: int = 40, count: int = 5) -> dict[str, Tensor]:
    """Smooth or hard random masks that overlap and leave gaps."""
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 1, 6, 6, generator=rng)
    masks = (F.interpolate(noise, (size, size), mode="bicubic")[:, 0] * 2).clamp(0, 1)
    return {f"part{i}": mask if (seed + i) % 2 else (mask > 0.5).float() for i, mask in enumerate(masks)}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("gaps", ["static", "nearest"])
@pytest.mark.parametrize(("radius", "sigma"), [(0, 0.0), (3, 0.0), (0, 1.5), (2, 2.0)])
def test_weights_add_up_to_one(seed: int, gaps, radius: int, sigma: float) -> None:
    masks = random_masks(seed)
    before = {name: mask.clone() for name, mask in masks.items()}
    static = ("part0",) if seed % 3 == 0 else ()
    made = segments_from_masks(masks, static=static, grow=radius, feather=sigma, gaps=gaps)
    weights = torch.cat([made.masks, made.static]).double()
    assert (weights.sum(dim=0) - 1).abs().max() <= 1e-6
    assert weights.min() >= 0
    assert ((weights == 0) | (weights >= 1 / 512)).all()
    assert all(torch.equal(mask, before[name]) for name, mask in masks.items())


@pytest.mark.parametrize("seed", range(4))
def test_static_is_exactly_one_out_of_reach(seed: int) -> None:
    masks = random_masks(seed, count=3)
    reach = 2 + 3 * 2 + 1  # grow, three sigma of the feather, one pixel for rounding its kernel
    made = segments_from_masks(masks, grow=2, feather=2.0)
    far = torch.stack([grow(mask, 2 * reach) for mask in masks.values()]).amax(dim=0) == 0
    assert (made.static[0, 0][far] == 1).all()
    assert (made.masks[:, 0, far] == 0).all()


def test_grow_does_not_enter_static_parts_but_enters_gaps() -> None:
    labels = torch.zeros(20, 20, dtype=torch.uint8)
    labels[8:12, 8:12] = 1
    kept = segments_from_label_map(labels, {0: "rest", 1: "eye"}, static=("rest",), grow=3)
    assert torch.equal(kept.static[0, 0], (labels == 0).float())
    entered = segments_from_label_map(labels, {1: "eye"}, grow=3)
    assert torch.equal(entered.masks[0, 0], grow((labels == 1).float(), 3))


def test_smaller_segments_lie_on_top() -> None:
    masks = {"face": disc(40, 20, 20, 15), "eye": disc(40, 20, 20, 4)}
    made = segments_from_masks(masks, grow=2)
    grown_eye = grow(masks["eye"], 2)
    assert torch.equal(made.masks[1, 0], grown_eye)
    assert torch.equal(made.masks[0, 0], grow(masks["face"], 2) * (1 - grown_eye))


def test_a_soft_partition_stays_as_it_is() -> None:
    weights = torch.softmax(torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(0)), dim=0)
    made = segments_from_masks({str(i): weight for i, weight in enumerate(weights)})
    seen = weights >= 1 / 512
    assert torch.allclose(made.masks[:, 0][seen], weights[seen], atol=2e-3)
    assert made.static.max() == 0


def test_gaps_go_to_the_nearest_segment() -> None:
    left, right = torch.zeros(4, 11), torch.zeros(4, 11)
    left[:, 0], right[:, 10] = 1, 1
    made = segments_from_masks({"left": left, "right": right}, gaps="nearest")
    assert made.static.max() == 0
    assert (made.masks[0, 0, :, :5] == 1).all() and (made.masks[1, 0, :, 6:] == 1).all()


def test_feather_matches_the_gaussian_integral_and_keeps_image_borders() -> None:
    mask = torch.zeros(9, 41)
    mask[:, :20] = 1
    made = segments_from_masks({"left": mask}, feather=3.0)
    x = torch.arange(41, dtype=torch.float64)
    expected = 0.5 * torch.erfc((x - 19.5) / (3 * 2**0.5))
    assert (made.masks[0, 0].double() - expected).abs().max() < 5e-3
    assert (made.masks[0, 0, :, :10] == 1).all()


@pytest.mark.parametrize("radius", [1, 2, 5, 9])
def test_grow_is_a_dilation_with_a_disc(radius: int) -> None:
    mask = torch.zeros(30, 24)
    mask[3, 4], mask[20, 12] = 1, 0.5
    expected = torch.maximum(disc(30, 3, 4, radius)[:, :24], 0.5 * disc(30, 20, 12, radius)[:, :24])
    assert torch.equal(grow(mask, radius), expected)
    assert torch.equal(grow(mask, 0), mask)
    assert torch.equal(grow(mask, 100), torch.ones_like(mask))


def test_label_map_merges_labels_of_one_name_and_skips_absent_ones() -> None:
    labels = torch.tensor([[0, 1, 2], [0, 3, 3]])
    names = {0: "background", 1: "brow", 2: "brow", 3: "hair", 9: "glasses"}
    made = segments_from_label_map(labels, names, static=("background",))
    assert made.names == ("brow", "hair")
    assert torch.equal(made.masks[0, 0], ((labels == 1) | (labels == 2)).float())
    assert torch.equal(made.static[0, 0], (labels == 0).float())


def test_single_segment_is_the_whole_photo() -> None:
    whole = single_segment((4, 6))
    assert whole.names == ("all",) and whole.size == (4, 6)
    assert (whole.masks == 1).all() and (whole.static == 0).all()


def test_blanks_underscores_and_hyphens_are_the_same_in_names() -> None:
    names = ("left_eye", "right-eye", "upper lip", "a_b", "a b")
    made = segments_from_masks({name: (torch.arange(5) == i).expand(4, -1) for i, name in enumerate(names)})
    assert made.resolve(["Left Eye", "right_eye", "upper-lip", "left  eye"]) == (
        "left_eye",
        "right-eye",
        "upper lip",
    )
    assert made.resolve(["eyes"]) == ("left_eye", "right-eye") and made.resolve(["a b", "a_b"]) == (
        "a b",
        "a_b",
    )
    with pytest.raises(
        InvalidInputError, match="'a-b' could be 'a_b' or 'a b', which differ in .*hyphens only"
    ):
        made.resolve(["a-b"])


def test_resolve() -> None:
    names = ("left_eye", "right_eye", "left_brow", "mouth", "glasses")
    made = segments_from_masks(
        {name: F.one_hot(torch.tensor([i]), 5).float() for i, name in enumerate(names)}
    )
    assert made.resolve(["eyes"]) == ("left_eye", "right_eye")
    assert made.resolve(["mouth", "brows", "mouth"]) == ("mouth", "left_brow")
    assert made.resolve(["glasses"]) == ("glasses",)
    assert made.resolve(("eyes", "all")) == names
    assert made.resolve("mouth") == ("mouth",)
    assert torch.equal(made.planes()["mouth"], made["mouth"][0, 0]) and tuple(made.planes()) == made.names
    with pytest.raises(InvalidInputError, match="no segment 'nose'; expected one of left_eye, right_eye"):
        made.resolve(["nose"])


def test_names_are_known_in_any_case_and_exact_ones_first() -> None:
    names = ("Mouth", "left_eye", "Right_Eye", "MOUTH", "hair")
    made = segments_from_masks(
        {name: F.one_hot(torch.tensor([i]), 5).float() for i, name in enumerate(names)}
    )
    assert made.resolve([" HAIR "]) == ("hair",)
    assert made.resolve(["Mouth", "MOUTH"]) == ("Mouth", "MOUTH")
    assert made.resolve(["EYES"]) == ("left_eye", "Right_Eye")
    assert made.resolve([" All"]) == names
    with pytest.raises(InvalidInputError, match="'mouth' could be 'Mouth' or 'MOUTH'.*exactly"):
        made.resolve(["mouth"])
    with pytest.raises(InvalidInputError, match="no segment ' '"):
        made.resolve([" "])


def test_only_leaves_the_rest_to_the_photo_and_lets_grow_enter_it() -> None:
    masks = {"skin": disc(40, 20, 20, 18), "left_eye": disc(40, 14, 12, 3), "mouth": disc(40, 28, 20, 4)}
    made = segments_from_masks(masks, grow=3, only=("Mouth", "eyes"))
    assert made.names == ("left_eye", "mouth")
    assert torch.equal(made.masks[1, 0], grow(masks["mouth"], 3))  # into the skin, which is left out
    assert torch.equal(made.static[0, 0], 1 - made.masks.sum(dim=0)[0])
    beside = {"skin": masks["skin"] * (1 - masks["mouth"]), "mouth": masks["mouth"]}
    kept = segments_from_masks(beside, grow=3, static=("skin",))
    assert torch.equal(kept.masks[0, 0], masks["mouth"])  # what is named static is not entered


@pytest.mark.parametrize("seed", range(6))
def test_what_only_leaves_out_is_static_out_of_reach(seed: int) -> None:
    masks = random_masks(seed)
    made = segments_from_masks(masks, grow=2, feather=0.5, only=("part1",))
    far = grow(masks["part1"], 2 + 2 + 1) == 0
    assert made.names == ("part1",) and far.any()
    assert (made.static[0, 0][far] == 1).all() and (made.masks[0, 0][far] == 0).all()
    filled = segments_from_masks(masks, grow=2, gaps="nearest", only=("part1",))
    others = torch.stack([mask for name, mask in masks.items() if name != "part1"]).amax(dim=0)
    left_out = (grow(masks["part1"], 2) == 0) & (others == 1)
    assert left_out.any() and (filled.static[0, 0][left_out] == 1).all()
    for one in (made, filled):
        weights = torch.cat([one.masks, one.static]).double()
        assert (weights.sum(dim=0) - 1).abs().max() <= 1e-6 and weights.min() >= 0


def test_only_with_every_name_changes_nothing() -> None:
    masks = random_masks(1)
    plain = segments_from_masks(masks, static=("part0",), grow=2, feather=1.5, gaps="nearest")
    named = segments_from_masks(masks, static=("part0",), grow=2, feather=1.5, gaps="nearest", only=("all",))
    assert named.names == plain.names
    assert torch.equal(named.masks, plain.masks) and torch.equal(named.static, plain.static)


def test_a_smaller_area_that_is_left_out_is_no_part_of_the_segment_below() -> None:
    masks = {"skin": disc(40, 20, 20, 18), "eye": disc(40, 14, 14, 5), "mole": torch.zeros(40, 40)}
    for gaps in ("static", "nearest"):
        made = segments_from_masks(masks, grow=0, gaps=gaps, only=("skin",))
        inside = masks["eye"] == 1
        assert (made.static[0, 0][inside] == 1).all() and (made.masks[0, 0][inside] == 0).all()
        assert (made.masks[0, 0][(masks["skin"] == 1) & ~inside] == 1).all()


def test_only_by_labels() -> None:
    labels = torch.zeros(30, 30, dtype=torch.uint8)
    labels[3:27, 3:27] = 1
    labels[12:16, 12:16] = 2
    names = {0: "background", 1: "skin", 2: "mouth", 7: "glasses"}
    made = segments_from_label_map(
        labels, names, static=("Background",), grow=2, gaps="nearest", only=("mouth", "glasses")
    )
    assert made.names == ("mouth",)
    assert torch.equal(made.masks[0, 0], grow((labels == 2).float(), 2))
    with pytest.raises(InvalidInputError, match=r"labels \[0, 1, 2\].*expected at least one of \[7\]"):
        segments_from_label_map(labels, names, only=("glasses",))
    with pytest.raises(InvalidInputError, match="only: there is no area 'nose'; expected one of background"):
        segments_from_label_map(labels, names, only=("nose",))
    with pytest.raises(InvalidInputError, match="only and static both name 'SKIN'"):
        segments_from_label_map(labels, names, static=("skin",), only=("SKIN",))


def test_mask_box() -> None:
    mask = torch.zeros(2, 1, 20, 30)
    mask[0, 0, 5, 7], mask[1, 0, 9, 20] = 0.01, 1
    assert mask_box(mask) == Box(5, 7, 10, 21)
    assert mask_box(mask, margin=2) == Box(3, 5, 12, 23)
    assert mask_box(mask, margin=2, multiple=8) == Box(0, 0, 16, 24)
    assert mask_box(mask, margin=100) == Box(0, 0, 20, 30)
    with pytest.raises(InvalidInputError, match="30x20 is empty"):
        mask_box(torch.zeros(20, 30))


ONE = torch.zeros(8, 8)
ONE[2:4, 2:4] = 1


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"eye": ONE * torch.nan}, "'eye' contains NaN"),
        ({"eye": ONE * 2}, r"'eye' has values in 0\.\.2, expected 0\.\.1"),
        ({"eye": ONE - 0.5}, r"'eye' has values in -0\.5\.\.0\.5"),
        ({"eye": ONE * 0}, "'eye' is empty"),
        ({"eye": ONE[None]}, r"'eye' has the shape \[1, 8, 8\]; expected one mask \[H,W\]"),
        ({"eye": ONE, "hair": torch.ones(8, 9)}, "'hair' is 9x8, the mask of 'eye' is 8x8; resize"),
        (
            {"hair": torch.zeros(64, 64), "eye": ONE},
            "'hair' is a constant 64x64 placeholder.*real mask of 8x8",
        ),
        ({"face": torch.ones(8, 8), "eye": ONE, "lid": ONE}, "nothing is left of the segment 'lid'"),
        ({}, "give at least one"),
    ],
)
def test_bad_masks_are_named(masks: dict[str, Tensor], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        segments_from_masks(masks)


def test_bad_options_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="is 8x8, the photo is 32x16; resize"):
        segments_from_masks({"eye": ONE}, size=(16, 32))
    with pytest.raises(InvalidInputError, match="nothing is left of the segment 'eye'.*static part"):
        segments_from_masks({"eye": ONE, "photo": torch.ones(8, 8)}, static=("photo",))
    with pytest.raises(InvalidInputError, match="static: there is no area 'nose'; expected one of eye"):
        segments_from_masks({"eye": ONE}, static=("nose",))
    with pytest.raises(InvalidInputError, match="grow is -1"):
        segments_from_masks({"eye": ONE}, grow=-1)
    with pytest.raises(InvalidInputError, match='"static" or "nearest"'):
        segments_from_masks({"eye": ONE}, gaps="none")  # type: ignore[arg-type]
    dot = F.pad(torch.ones(1, 1), (49, 49, 49, 49))
    with pytest.raises(
        InvalidInputError, match="nothing is left of the segment 'dot': it is too thin for a feather"
    ):
        segments_from_masks({"dot": dot}, feather=20.0)


def test_bad_label_maps_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"float32 \[8, 8\]; expected whole numbers"):
        segments_from_label_map(ONE, {1: "eye"})
    with pytest.raises(InvalidInputError, match="static: there is no area 'nose'; expected one of eye"):
        segments_from_label_map(ONE.long(), {1: "eye"}, static=("nose",))
    with pytest.raises(
        InvalidInputError, match=r"labels \[0, 1\] and leaves no segment; expected at least one of \[5\]"
    ):
        segments_from_label_map(ONE.long(), {5: "eye", 0: "rest"}, static=("rest",))


def test_record_checks_itself() -> None:
    good, rest = ONE[None, None], 1 - ONE[None, None]
    SegmentMasks(("eye",), good, rest)
    with pytest.raises(InvalidInputError, match="add up to 1 only within 0.5"):
        SegmentMasks(("eye",), good * 0.5, rest)
    with pytest.raises(InvalidInputError, match="'static' contains NaN"):
        SegmentMasks(("eye",), good, rest * torch.nan)
    with pytest.raises(InvalidInputError, match="'eye' is empty"):
        SegmentMasks(("eye",), good * 0, torch.ones_like(rest))
    with pytest.raises(InvalidInputError, match=r"expected \[N,1,H,W\]"):
        SegmentMasks(("eye",), good[0], rest)
    with pytest.raises(InvalidInputError, match="different one for each"):
        SegmentMasks(("eye", "eye"), torch.cat([good, good]), rest)


def two_segments() -> SegmentMasks:
    """The rows of 12x16: a quarter static, a quarter "left_eye", half "mouth"."""
    rows = torch.arange(12)[:, None].expand(12, 16)
    return segments_from_masks({"left_eye": (rows >= 3) & (rows < 6), "mouth": rows >= 6})


def test_masks_by_name() -> None:
    made = two_segments()
    assert len(made) == 2 and list(made) == ["left_eye", "mouth"]
    assert "mouth" in made and "nose" not in made
    assert torch.equal(made["mouth"], made.masks[1:]) and made["mouth"].shape == (1, 1, 12, 16)
    assert torch.equal(made["Left Eye"], made["eyes"]) and torch.equal(made["eyes"][0], made.masks[0])
    assert torch.equal(sum(made[name] for name in made) + made.static, torch.ones(1, 1, 12, 16))
    assert torch.equal(made.planes()["mouth"], made["mouth"][0, 0]) and tuple(made.planes()) == made.names
    with pytest.raises(InvalidInputError, match="no segment 'nose'; expected one of left_eye, mouth"):
        made["nose"]
    with pytest.raises(InvalidInputError, match="'all' means left_eye, mouth"):
        made["all"]


def test_a_record_in_one_short_line() -> None:
    assert repr(two_segments()) == "SegmentMasks(2 segments, static 25%, 16x12)"
    assert repr(single_segment((4, 8))) == "SegmentMasks(1 segment, static 0%, 8x4)"


def test_a_call_gives_the_record_itself_and_warns() -> None:
    made = two_segments()
    with pytest.warns(DeprecationWarning, match=r"property now; write \.masks without \(\)"):
        assert made() is made


def test_a_radius_beyond_the_picture_reaches_everything_at_once() -> None:
    mask = torch.zeros(6, 9)
    mask[2, 3] = 0.5
    assert torch.equal(grow(mask, 10**12), torch.full((6, 9), 0.5))


def test_a_feather_beyond_any_picture_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"feather is 1e.308 .*16x12; expected pixels, 0 to 6 \(half"):
        segments_from_masks({"a": torch.ones(12, 16)}, feather=1e308)
    with pytest.raises(InvalidInputError, match="feather is 6.5"):
        segments_from_masks({"a": torch.ones(12, 16)}, feather=6.5)
    with pytest.raises(InvalidInputError, match="grow is 7"):
        segments_from_masks({"a": torch.ones(12, 16)}, grow=7)
    assert segments_from_masks({"a": torch.ones(12, 16)}, feather=6, grow=6).masks.min() == 1


def test_the_check_of_a_record_changes_none_of_its_tensors() -> None:
    masks, static = (
        torch.full((2, 1, 4, 4), 0.25, dtype=torch.float64),
        torch.full((1, 1, 4, 4), 0.5).double(),
    )
    made = SegmentMasks(("a", "b"), masks, static)
    assert (made.masks == 0.25).all() and (made.static == 0.5).all()
