"""Fill Region: an edit that has outgrown its segment goes on beyond the border and meets its surroundings."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from chunky_core.checkpoints.generators import load_generator
from chunky_core.compositing.correction_mask import (
    CorrectionPart,
    connected_component_masks,
    parse_correction_parts,
)
from chunky_core.compositing.fill import fill_region
from chunky_core.compositing.render import render
from chunky_core.demo.shipped import load_shipped_photo
from chunky_core.editing import load_directions
from chunky_core.errors import InvalidInputError
from chunky_core.evaluation.metrics import mse
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import convert
from chunky_core.inversion import (
    Edit,
    Inversion,
    ProjectionConfig,
    SegmentCode,
    load_inversion,
    project,
    save_inversion,
)
from chunky_core.segments import segments_from_masks
from tests.devices import tolerance
from tests.inversion_tools import make_inversion
from tests.projection_tools import same_picture

DEMO = Path(__file__).parent.parent / "chunky_core" / "demo" / "assets" / "generator.safetensors"
QUICK = ProjectionConfig(num_steps=3, learning_rate=0.02)


def area(size: int, top: int, left: int, bottom: int, right: int) -> Tensor:
    mask = torch.zeros(1, 1, size, size)
    mask[..., top:bottom, left:right] = 1
    return mask


def drawn(generator: Generator, inversion: Inversion, name: str) -> Tensor:
    """What segment `name` draws with its edits, tuning and noise, as a whole picture."""
    (segment,) = (one for one in inversion.segments if one.name == name)
    edits = [edit for edit in inversion.edits if name in inversion.masks.resolve(edit.segments)]
    alone = replace(
        inversion,
        segments=(replace(segment, mask=torch.ones_like(segment.mask)),),
        static_mask=torch.zeros_like(segment.mask),
        edits=tuple(replace(edit, segments=(name,)) for edit in edits),
    )
    return render(generator, alone)


@pytest.fixture
def inversion(generator: Generator) -> Inversion:
    """Eyes and skin, codes of several spaces, a tuned left eye, noise maps, edits of the eyes and of all."""
    record = make_inversion(generator)  # a random generator is blinding where edits are strong
    return replace(record, edits=tuple(replace(edit, strength=edit.strength / 4) for edit in record.edits))


@pytest.fixture
def parts(generator: Generator) -> list[CorrectionPart]:
    """Beside the left eye: a free area that is taken and one that is only fitted."""
    size = generator.img_resolution
    return [
        CorrectionPart(area(size, 5, 24, 15, 32), fit=False),
        CorrectionPart(area(size, 16, 24, 20, 32), take=False),
    ]


class Glasses(NamedTuple):
    """Glasses on the eyes of a demo photo, cut off by the band that the eyes have; what they lack; a ring around."""

    generator: Generator
    inversion: Inversion
    lacking: Tensor
    ring: Tensor


@cache
def glasses() -> Glasses:
    generator, photo = load_generator(DEMO), load_shipped_photo(1)
    band, around, outer = (
        area(256, top, left, 256 - bottom, 256 - right).to(photo.image.device)
        for top, left, bottom, right in ((96, 66, 130, 60), (84, 58, 114, 52), (78, 52, 108, 46))
    )
    segments = segments_from_masks({"eyes": band[0, 0]}, feather=1.5)
    plain = project(generator, photo.image, segments, ProjectionConfig(num_steps=15))
    edit = Edit(load_directions("demo")["glasses"], 2.5, ("eyes",))
    return Glasses(generator, plain.with_edits(edit), around - band, outer - around)


def test_glasses_go_on_beyond_their_segment_and_meet_the_photo() -> None:
    generator, inversion, lacking, ring = glasses()
    taken = CorrectionPart(lacking, fit=False)
    pasted = fill_region(generator, inversion, "eyes", [taken])
    config = ProjectionConfig(num_steps=20, learning_rate=0.02)
    filled = fill_region(generator, inversion, "eyes", [taken, CorrectionPart(ring, take=False)], config)
    assert inversion.photo is not None
    one, two = (drawn(generator, record, "eyes_fill") for record in (pasted, filled))
    before, after = mse(one, inversion.photo, ring), mse(two, inversion.photo, ring)
    assert after < 0.5 * before, (before, after)  # 0.027 -> 0.009: the ring is where a seam would show
    held = inversion.segments[0].mask
    assert mse(two, one, held) < 0.25 * mse(one, drawn(generator, inversion.without_edit(0), "eyes"), held)
    cut, shown = render(generator, inversion), render(generator, filled)
    frames = [((p - inversion.photo).mean(1, True) < -0.25)[lacking > 0].sum() for p in (cut, shown)]
    assert frames[0] < 50 and frames[1] > 500, frames  # pixels
    assert torch.equal(shown[(1 - lacking).expand_as(shown) > 0], cut[(1 - lacking).expand_as(cut) > 0])


def test_a_hole_takes_what_the_photo_shows() -> None:
    generator, inversion, lacking, _ = glasses()
    config = ProjectionConfig(num_steps=15, learning_rate=0.05)
    pasted = fill_region(generator, inversion, "eyes", [CorrectionPart(lacking, fit=False)])
    filled = fill_region(generator, inversion, "eyes", [CorrectionPart(lacking)], config)
    assert inversion.photo is not None
    before, after = (mse(render(generator, one), inversion.photo, lacking) for one in (pasted, filled))
    assert after < 0.2 * before, (before, after)  # 0.11 -> 0.008


def test_without_a_part_to_fit_the_segment_just_goes_on(
    generator: Generator, inversion: Inversion, parts: list[CorrectionPart]
) -> None:
    filled = fill_region(generator, inversion, "right_eye", parts[:1])
    shown, own = render(generator, filled), drawn(generator, inversion, "right_eye")
    assert torch.allclose(shown[..., 5:15, 24:32], own[..., 5:15, 24:32], atol=1e-5)
    assert filled.losses["right_eye_fill"] == []


def test_the_projection_sets_out_from_the_edited_tuned_picture_with_its_noise(
    generator: Generator, inversion: Inversion
) -> None:
    own = drawn(generator, inversion, "left_eye")
    picture = replace(inversion, photo=own)
    free = area(generator.img_resolution, 20, 20, 30, 30)
    config = ProjectionConfig(num_steps=1, learning_rate=1e-6)
    filled = fill_region(generator, picture, "left_eye", [CorrectionPart(free)], config)
    assert filled.losses["left_eye_fill"][0] < 1e-8 * own.square().mean()


def test_edits_hold_once_and_can_be_taken_away(
    generator: Generator, inversion: Inversion, parts: list[CorrectionPart]
) -> None:
    filled = fill_region(generator, inversion, "left_eye", parts, QUICK)
    assert [edit.segments for edit in filled.edits] == [
        ("left_eye", "right_eye", "left_eye_fill"),
        ("all",),
    ]
    assert torch.equal(render(generator, filled, edited=False), render(generator, replace(filled, edits=())))


def test_an_edit_of_another_segment_stays_there(
    generator: Generator, inversion: Inversion, parts: list[CorrectionPart]
) -> None:
    filled = fill_region(generator, inversion, "skin", parts, QUICK)
    assert [edit.segments for edit in filled.edits] == [("eyes",), ("all",)]
    elsewhere = CorrectionPart(area(64, 40, 40, 44, 44), fit=False)
    again = fill_region(generator, filled, "skin", [elsewhere])
    assert again.names == ("left_eye", "right_eye", "skin", "skin_fill", "skin_fill_2")
    fills = replace(filled.edits[0], segments=("fills",))  # a plural that the new segment would join
    kept = fill_region(generator, replace(filled, edits=(fills,)), "left_eye", [elsewhere])
    assert kept.masks.resolve(kept.edits[0].segments) == ("skin_fill",)


def test_only_taken_pixels_change(
    generator: Generator, inversion: Inversion, parts: list[CorrectionPart]
) -> None:
    photo = inversion.photo
    assert photo is not None
    before = photo.clone(), [segment.mask.clone() for segment in inversion.segments]
    filled = fill_region(generator, inversion, "left_eye", parts, QUICK)
    change = (render(generator, filled) - render(generator, inversion)).abs().amax(dim=1, keepdim=True)
    assert change[parts[0].mask == 0].max() == 0 and change[parts[0].mask == 1].min() > 0
    assert torch.equal(filled.segments[-1].mask, parts[0].mask)
    assert filled.state is None and len(filled.losses["left_eye_fill"]) == QUICK.num_steps
    assert torch.equal(photo, before[0])
    assert all(torch.equal(s.mask, m) for s, m in zip(inversion.segments, before[1], strict=True))


def test_the_result_is_saved_and_read_again(
    generator: Generator, inversion: Inversion, parts: list[CorrectionPart], tmp_path: Path
) -> None:
    filled = fill_region(generator, inversion, "left_eye", parts, QUICK, feather=1.0)
    save_inversion(filled, tmp_path / "filled.safetensors")
    again = load_inversion(tmp_path / "filled.safetensors")
    assert again.names == filled.names
    assert same_picture(render(generator, again), render(generator, filled))


def test_the_picture_as_target_asks_for_the_edits_of_others(
    generator: Generator, inversion: Inversion, parts: list[CorrectionPart]
) -> None:
    """The first value of the curve is the error of X_1 against the target."""
    ring = CorrectionPart(area(64, 20, 20, 30, 30), target="picture", take=False)
    filled = fill_region(generator, inversion, "right_eye", [parts[0], ring], QUICK, hold=0.0)
    own, shown = drawn(generator, inversion, "right_eye"), render(generator, inversion)
    assert filled.losses["right_eye_fill"][0] == pytest.approx(mse(own, shown, ring.mask), rel=1e-4)


def test_works_without_a_photo_unless_it_is_the_target(generator: Generator, inversion: Inversion) -> None:
    record = replace(
        inversion, static_mask=inversion.static_mask * 0, segments=covering(inversion)
    ).without_photo()
    free = area(64, 20, 20, 30, 30)
    filled = fill_region(generator, record, "left_eye", [CorrectionPart(free, "picture")], QUICK)
    assert filled.photo is None and filled.absent_photo == record.absent_photo
    with pytest.raises(InvalidInputError, match="without its photo"):
        fill_region(generator, record, "left_eye", [CorrectionPart(free)], QUICK)


def covering(inversion: Inversion) -> tuple[SegmentCode, ...]:
    """The segments, the last of which covers the static part too."""
    last = inversion.segments[-1]
    return (*inversion.segments[:-1], replace(last, mask=last.mask + inversion.static_mask))


def test_the_space_is_the_later_one(
    generator: Generator, inversion: Inversion, parts: list[CorrectionPart]
) -> None:
    free = replace(inversion, edits=())
    for name, space, expected in (("left_eye", "w", "w"), ("left_eye", "s", "s"), ("right_eye", "w", "s")):
        filled = fill_region(generator, free, name, parts, replace(QUICK, space=space))
        assert filled.segments[-1].code.space == expected


def test_inference_mode_leaves_ordinary_tensors(
    generator: Generator, inversion: Inversion, parts: list[CorrectionPart]
) -> None:
    with torch.inference_mode():
        filled = fill_region(generator, inversion, "left_eye", parts, QUICK)
    tensors = [
        filled.static_mask,
        *(s.mask for s in filled.segments),
        *(s.code.tensor for s in filled.segments),
    ]
    assert not any(tensor.is_inference() or tensor.requires_grad for tensor in tensors)


def test_what_cannot_be_filled_is_told(
    generator: Generator, inversion: Inversion, parts: list[CorrectionPart]
) -> None:
    eye = CorrectionPart(area(64, 0, 0, 30, 64), fit=False)
    wrong = CorrectionPart(area(32, 0, 0, 8, 8))
    cases = [
        ("nose", parts, {}, "no segment 'nose'; expected one of left_eye"),
        ("ALL", parts, {}, "'ALL' means .*left_eye.*; name one of them"),
        ("skin", parts[1:], {}, "none of the 1 parts is taken"),
        ("skin", [parts[0], wrong], {}, "part 2 is 32x32, the photo is 64x64"),
        ("skin", [eye], {}, "nothing is left of the segment 'left_eye'"),
        ("skin", parts, {"hold": 1.5}, "hold is 1.5"),
        ("skin", parts, {"feather": -1.0}, "feather is -1"),
        ("skin", parts, {"config": ProjectionConfig(optimize_noise=True)}, "noise maps belong to all"),
    ]
    for name, given, options, message in cases:
        with pytest.raises(InvalidInputError, match=message):
            fill_region(generator, inversion, name, given, **options)


def test_words_describe_the_parts() -> None:
    masks = list(torch.ones(2, 1, 1, 4, 4))
    read = parse_correction_parts(masks, "take\n\nFit, picture")
    assert [(part.fit, part.take, part.target) for part in read] == [
        (False, True, "photo"),
        (True, False, "picture"),
    ]
    assert all(part.fit and part.take for part in parse_correction_parts(masks, "fit take"))
    for text in ("fit take\nfit\ntake", "", "photo", "fit take hard", "fit photo picture"):
        with pytest.raises(InvalidInputError, match="expected|write one line"):
            parse_correction_parts(masks, text)


def test_bad_masks_are_refused() -> None:
    for mask in (torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), torch.nan), torch.ones(2, 4, 4)):
        with pytest.raises(InvalidInputError, match="part's mask"):
            CorrectionPart(mask)
    with pytest.raises(InvalidInputError, match="target is 'sky'"):
        CorrectionPart(torch.ones(1, 1, 4, 4), "sky")


def test_connected_areas_are_parts_from_the_top() -> None:
    low, high = area(9, 6, 0, 9, 3) * 0.5, area(9, 0, 4, 2, 9)
    corner = area(9, 2, 3, 3, 4)  # touches `high` at a corner
    first, second = connected_component_masks(low + high + corner)
    assert torch.equal(first, high + corner) and torch.equal(second, low)
    assert connected_component_masks(torch.zeros(1, 1, 4, 4)) == []


def test_x_2_is_x_1_before_the_first_step(generator: Generator, inversion: Inversion) -> None:
    """In each space the stored code is the segment's own, and the edits make of it the same picture once more."""
    nowhere = replace(QUICK, num_steps=1, learning_rate=1e-12)
    for segment in inversion.segments:
        filled = fill_region(
            generator, inversion, segment.name, [CorrectionPart(area(64, 40, 40, 44, 44))], nowhere
        )
        code = filled.segments[-1].code
        expected = convert(generator, segment.code, code.space).tensor
        assert torch.allclose(
            code.tensor, expected.to(code.tensor), atol=max(1e-4, tolerance(generator.dtype))
        )
        before = drawn(generator, inversion, segment.name)
        after = drawn(generator, filled, filled.names[-1])
        assert torch.allclose(before, after, atol=1e-3 * before.abs().max().item())
