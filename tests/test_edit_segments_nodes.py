"""Edit Segments, Add Segment, Painted Segments and Refine Boundaries on the double of the host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.pack_on_double import SIZE, TINY, Pack

EDIT, ADD = "ChunkyGAN_EditSegments", "ChunkyGAN_AddSegment"
PAINTED, REFINE = "ChunkyGAN_PaintedSegments", "ChunkyGAN_RefineBoundaries"


def square(top: int, left: int, side: int) -> Tensor:
    """Host MASK [1,H,W]."""
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, top : top + side, left : left + side] = 1
    return mask


def grey(count: int = 1) -> Tensor:
    return torch.full((count, SIZE, SIZE, 3), 128 / 255)


@pytest.fixture(scope="module")
def chained(pack: Pack) -> Any:
    """Three Add Segment in a chain."""
    segments = None
    for name, mask in (
        ("skin", square(4, 4, 56)),
        ("left_eye", square(12, 10, 12)),
        ("mouth", square(40, 24, 16)),
    ):
        (segments,) = pack.run(ADD, mask=mask, name=name, feather=0.0, segments=segments)
    return segments


def test_masks_chain_to_segments(chained: Any) -> None:
    (segments,) = chained
    assert segments.names == ("skin", "left_eye", "mouth")
    assert torch.equal(segments.masks[2], square(40, 24, 16)) and not segments.masks.is_inference()


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"operation": "grow", "names": "left_eye, mouth"}, "skin left_eye mouth"),
        ({"operation": "shrink", "names": "mouth", "freed": "static"}, "skin left_eye mouth"),
        ({"operation": "smooth"}, "skin left_eye mouth"),
        ({"operation": "feather"}, "skin left_eye mouth"),
        ({"operation": "fill holes", "names": "skin"}, "skin left_eye mouth"),
        ({"operation": "keep largest part"}, "skin left_eye mouth"),
        ({"operation": "mirror", "names": "left_eye"}, "skin left_eye mouth right_eye"),
        ({"operation": "rename", "names": "mouth", "new_name": "lips"}, "skin left_eye lips"),
        ({"operation": "merge", "names": "skin, mouth", "new_name": "face"}, "face left_eye"),
        ({"operation": "remove", "names": "eyes"}, "skin mouth"),
    ],
)
def test_every_operation_runs_on_every_photos_segments(
    pack: Pack,
    chained: Any,
    given: dict[str, Any],
    names: str,
) -> None:
    (made,) = pack.run(EDIT, segments=chained * 2, **given)
    assert [" ".join(one.names) for one in made] == [names] * 2
    assert torch.equal(made[0].masks, made[1].masks)


def test_the_list_of_operations_is_complete(pack: Pack) -> None:
    (entry,) = [one for one in pack.schemas[EDIT].inputs if one.id == "operation"]
    assert len(entry.widget["options"]) == 10


def test_one_mask_serves_all_photos_and_each_may_have_its_own(pack: Pack, chained: Any) -> None:
    (made,) = pack.run(ADD, mask=square(30, 30, 5), name="mole", feather=0.0, segments=chained * 2)
    assert len(made) == 2 and torch.equal(made[0].masks[3], made[1].masks[3])
    both = torch.cat([square(30, 30, 5), square(30, 40, 5)])
    (made,) = pack.run(ADD, mask=both, name="mole", feather=0.0, segments=chained)
    assert torch.equal(torch.cat([one.masks[3] for one in made]), both)


def test_strokes_become_segments(pack: Pack) -> None:
    painted = grey(2)
    painted[0, 10:20, 10:20] = torch.tensor([1.0, 0, 0])
    painted[1, 30:40, 30:44] = torch.tensor([0, 1.0, 0])
    painted[1, 50:60, 30:44] = torch.tensor([1.0, 0, 0])
    (made,) = pack.run(PAINTED, original=grey(), painted=painted, feather=0.0, gaps="nearest")
    assert [one.names for one in made] == [("mouth",), ("mouth", "left_eye")]
    assert (made[0].masks == 1).all() and made[1].masks[1, 0, 30, 30] == 1
    (made,) = pack.run(
        PAINTED, original=grey(), painted=painted[1:], palette="#f00 mouth\n#0f0 static", feather=0.0
    )
    assert made[0].names == ("mouth",) and torch.equal(made[0].masks[0, 0], (painted[1, ..., 1] == 0).float())
    rest = "#f00 mouth\n#0f0 Rest\n#00f Rest"  # found in any case, though two colours have the name
    (made,) = pack.run(
        PAINTED, original=grey(), painted=painted[1:], palette=rest, static="REST", feather=0.0
    )
    assert made[0].names == ("mouth",)


def test_nodes_find_names_in_any_case(pack: Pack, chained: Any) -> None:
    name = chained[0].names[-1]
    (expected,) = pack.run(EDIT, segments=chained, operation="grow", names=name, pixels=2.0)
    (made,) = pack.run(EDIT, segments=chained, operation="grow", names=f" {name.upper()} ", pixels=2.0)
    assert torch.equal(made[0].masks, expected[0].masks)
    assert not torch.equal(made[0].masks, chained[0].masks)
    speed = torch.ones(1, SIZE, SIZE)
    moved = [
        pack.run(REFINE, segments=chained, speed=speed, names=given)[1] for given in (name, name.title())
    ]
    assert torch.equal(moved[0][0].masks, moved[1][0].masks)


@pytest.fixture(scope="module")
def inverted(pack: Pack, chained: Any) -> tuple[Any, Any]:
    """A generator, and an inversion whose mouth is edited."""
    (generator,) = pack.run("ChunkyGAN_LoadStyleGAN", name=TINY)
    inversion, _ = pack.run(
        "ChunkyGAN_SegmentedProjection", generator=generator, image=grey(), segments=chained, steps=2
    )
    edited = pack.run("ChunkyGAN_LatentEdit", generator=generator, inversion=inversion, direction=f"{TINY}/smile",
                      segments="mouth", strength=2.0)  # fmt: skip
    return generator, edited[0]


def test_an_inversions_boundaries_follow_its_edit(pack: Pack, inverted: tuple[Any, Any]) -> None:
    generator, inversion = inverted
    moved, segments, curves, speed = pack.run(REFINE, generator=generator, inversion=inversion, distance=8.0)
    assert torch.equal(moved[0].masks.masks, segments[0].masks) and moved[0].edits == inversion[0].edits
    assert segments[0].masks[2].sum() > inversion[0].masks.masks[2].sum() + 5
    assert curves.shape[0] == 1 and curves.shape[1] == curves.shape[2] >= 768
    assert speed.shape == (1, SIZE, SIZE) and speed.min() >= 0 and 0.9 < speed.max() <= 1
    (shrunk, *_) = pack.run(REFINE, generator=generator, inversion=inversion, distance=3.0, sign="shrink")
    assert shrunk[0].masks.masks[2].sum() < inversion[0].masks.masks[2].sum() - 5


def test_a_given_speed_needs_neither_generator_nor_photo(pack: Pack, inverted: tuple[Any, Any]) -> None:
    (record,) = inverted[1]
    right = torch.ones(1, SIZE, SIZE)
    right[..., :32] = 0  # F only on the right half
    given = {"inversion": (record.without_photo(),), "names": "mouth", "speed": right, "curvature": 0.0}
    _, segments, _, speed = pack.run(REFINE, **given, distance=5.0)
    assert torch.equal(speed, right)
    mouth = segments[0].masks[2, 0, 48]
    assert torch.equal(mouth[:32], record.masks.masks[2, 0, 48, :32])
    assert abs(mouth[32:].sum() - 13) < 0.5


def test_segments_can_be_refined_without_an_inversion(pack: Pack, chained: Any) -> None:
    picture = grey()
    picture[:, :, 20:] = 1
    given = {"segments": chained, "image": grey(), "picture": picture, "names": "left_eye"}
    blocked, segments, _, speed = pack.run(REFINE, **given, distance=4.0, speed_from="colours")
    assert "no inversion" in blocked.message
    assert speed[0, 30, 40] == 1 and speed[0, 30, 5] == 0
    assert segments[0].masks[1].sum() > chained[0].masks[1].sum() + 20
    by_network = pack.run(REFINE, **given, distance=4.0, speed_from="demo")
    assert by_network[1][0].masks[1].sum() > chained[0].masks[1].sum() + 20


@pytest.mark.parametrize(
    ("node", "given", "message"),
    [
        (
            EDIT,
            {"operation": "rename", "names": "left_eye, mouth", "new_name": "x"},
            "no segment 'left_eye, mouth'",
        ),
        (
            EDIT,
            {"operation": "shrink", "names": "mouth", "pixels": 30.0},
            "nothing is left of the segment 'mouth'",
        ),
        (ADD, {"mask": torch.zeros(1, 64, 64), "name": "x"}, "'x' is empty"),
        (ADD, {"mask": square(1, 1, 5), "name": " "}, "has no name"),
        (ADD, {"mask": square(1, 1, 5)[:, :32], "name": "x"}, "64x32"),
        (PAINTED, {"original": grey(), "painted": grey()}, "there are no strokes"),
        (PAINTED, {"original": grey(), "painted": grey(), "static": "hair"}, "static names hair are not in"),
        (PAINTED, {"original": grey(2), "painted": grey(3)}, "2 originals for 3 photos"),
        (REFINE, {}, "without both image and picture"),
        (REFINE, {"segments": None}, "neither inversion nor segments"),
        (REFINE, {"speed": torch.ones(3, SIZE, SIZE)}, "3 speeds for 1 photo"),
    ],
)
def test_bad_input_is_refused_in_plain_words(
    pack: Pack,
    chained: Any,
    node: str,
    given: dict[str, Any],
    message: str,
) -> None:
    segments = {} if node == PAINTED else {"segments": chained}
    with pytest.raises(pack.errors.ChunkyError) as caught:
        pack.run(node, **segments | given)
    assert message in str(caught.value).splitlines()[0], caught.value


def test_an_inversion_wants_its_generator(pack: Pack, chained: Any, inverted: tuple[Any, Any]) -> None:
    generator, inversion = inverted
    with pytest.raises(pack.errors.ChunkyError, match="no generator to draw it with"):
        pack.run(REFINE, inversion=inversion)
    with pytest.raises(pack.errors.ChunkyError, match="connected together"):
        pack.run(REFINE, inversion=inversion, segments=chained)
    plain = tuple(replace(one, edits=()) for one in inversion)
    with pytest.raises(pack.errors.ChunkyError, match="has an edit"):
        pack.run(REFINE, inversion=plain, generator=generator)
