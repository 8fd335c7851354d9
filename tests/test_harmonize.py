"""Harmonize: edited neighbours agree where they meet, for the edits that it was made for and no others."""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor

import chunky_core as cg
from chunky_core.compositing import agreement, composite, fill_region, harmonize, render
from chunky_core.compositing.correction_mask import CorrectionPart
from chunky_core.compositing.render import render_segment
from chunky_core.editing import describe_edits
from chunky_core.editing.edits import applicable_edits
from chunky_core.editing.harmonies import (
    edits_digest,
    edits_in_force,
    leaves_harmonies_out,
    without_harmonies,
)
from chunky_core.errors import InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.images import load_image, to_uint8
from chunky_core.inversion import Inversion, StopProjection, load_inversion, save_inversion
from chunky_core.segments.masks import grow
from tests.cli_tools import edit
from tests.inversion_tools import make_inversion

STEPS = 6
WIDTH = 12.0  # of a picture of 256: 3 pixels here


@pytest.fixture(scope="module")
def edited(generator: Generator) -> Inversion:
    """Codes of w, s and w+, one with a tuning, two edits, a static row."""
    inversion = make_inversion(generator)
    segments = [
        replace(one, delta={name: 0.1 * d for name, d in one.delta.items()}) for one in inversion.segments
    ]
    return replace(inversion, segments=tuple(segments), state=None, stopped=None)


@pytest.fixture(scope="module")
def harmonized(generator: Generator, edited: Inversion) -> Inversion:
    return harmonize(generator, edited, num_steps=STEPS, width=WIDTH)


def changes(generator: Generator, inversion: Inversion) -> list[Tensor]:
    """What its edits change of each segment's own picture, [1,3,H,W]."""
    found = []
    for segment in inversion.segments:
        edits = applicable_edits(inversion.masks, segment.name, inversion.edits)
        after, before = (render_segment(generator, inversion, segment, some) for some in (edits, []))
        found.append((after - before).detach())
    return found


def apart(generator: Generator, inversion: Inversion) -> float:
    """sum over pairs a_i a_j |D_i - D_j|^2, and a_X |D_i|^2 toward the photo: what neighbours disagree about."""
    masks, pictures = inversion.masks, changes(generator, inversion)
    shares = [grow(mask, 3).to(pictures[0]) for mask in [*masks.masks, masks.static[0]]]
    pictures.append(torch.zeros_like(pictures[0]))
    total = 0.0
    for i, (one, own) in enumerate(zip(pictures, shares, strict=True)):
        for other, others in zip(pictures[:i], shares[:i], strict=True):
            total += (own * others * (one - other).square()).sum().item()
    return total


def test_neighbours_come_together_and_the_inside_stays(
    generator: Generator, edited: Inversion, harmonized: Inversion
):
    assert apart(generator, harmonized) < 0.7 * apart(generator, edited)
    held = harmonize(generator, edited, num_steps=STEPS, width=WIDTH, hold=50.0)
    inside = 1 - torch.stack([grow(one, 3) for one in [*edited.masks.masks[:2], edited.static_mask[0]]]).amax(
        dim=0
    )
    before, loose, firm = (changes(generator, one)[2] for one in (edited, harmonized, held))
    moved = [(inside.to(one) * (one - before)).square().sum().item() for one in (loose, firm)]
    assert moved[1] < moved[0] < 0.5 * (inside.to(before) * before).square().sum().item()


def test_each_segment_has_a_harmony_beside_the_edits(edited: Inversion, harmonized: Inversion):
    assert harmonized.edits[:2] == edited.edits
    digest = edits_digest(edited.masks, edited.edits)
    harmonies = harmonized.edits[2:]
    assert [one.segments for one in harmonies] == [(name,) for name in edited.names]
    assert all(one.harmonizes == digest and one.strength == 1.0 for one in harmonies)
    assert {one.direction.name for one in harmonies} == {"harmony"}


def test_a_harmony_holds_for_its_edits_alone(generator: Generator, edited: Inversion, harmonized: Inversion):
    muted = harmonized.with_edit_replaced(0, replace(harmonized.edits[0], enabled=False))
    assert leaves_harmonies_out(muted) and not leaves_harmonies_out(harmonized)
    plain = edited.with_edit_replaced(0, replace(edited.edits[0], enabled=False))
    for draw in (render, composite):
        with pytest.warns(UserWarning, match="harmonize anew"):
            picture = draw(generator, muted)
        assert torch.equal(picture, draw(generator, plain))
    again = muted.with_edit_replaced(0, edited.edits[0])
    assert torch.equal(render(generator, again), render(generator, harmonized))
    stronger = harmonized.with_edit_replaced(1, replace(edited.edits[1], strength=0.8))
    elsewhere = harmonized.with_edit_replaced(1, replace(edited.edits[1], segments=("skin",)))
    for other in (stronger, elsewhere, harmonized.without_edit(0), harmonized.with_edits(edited.edits[0])):
        assert not any(edit.harmonizes for edit in edits_in_force(other.masks, other.edits))
    assert describe_edits(muted).count("made for other edits") == 3
    assert "made for other edits" not in describe_edits(harmonized)
    turned = harmonized.with_edit_order((1, 0, 3, 4, 2))
    assert len(edits_in_force(turned.masks, turned.edits)) == 5


def test_taken_away_it_leaves_no_trace(generator: Generator, edited: Inversion, harmonized: Inversion):
    assert not torch.equal(render(generator, harmonized), render(generator, edited))
    muted = replace(harmonized, edits=tuple(replace(e, enabled=not e.harmonizes) for e in harmonized.edits))
    for bare in (without_harmonies(harmonized), muted):
        assert torch.equal(composite(generator, bare), composite(generator, edited))
    still = replace(
        harmonized, edits=tuple(replace(e, strength=0.0) for e in harmonized.edits[:2]) + harmonized.edits[2:]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # without any edit none is missed
        assert torch.equal(render(generator, still), render(generator, edited, edited=False))


def test_made_anew_it_takes_the_earlier_ones_place(
    generator: Generator, edited: Inversion, harmonized: Inversion
):
    again = harmonize(generator, harmonized, num_steps=STEPS, width=WIDTH, strength=0.5)
    assert len(again.edits) == len(harmonized.edits)
    for one, other in zip(again.edits[2:], harmonized.edits[2:], strict=True):
        assert one.strength == 0.5 and torch.equal(one.direction.tensor, other.direction.tensor)
    assert harmonize(generator, harmonized, strength=0.0).edits == edited.edits


def test_chosen_segments_move_and_others_are_as_they_were(generator: Generator, edited: Inversion):
    found = harmonize(generator, edited, "eyes", num_steps=3, width=WIDTH, hold=0.5)
    assert [one.segments for one in found.edits[2:]] == [("left_eye",), ("right_eye",)]
    before, after = changes(generator, edited), changes(generator, found)
    assert torch.equal(before[2], after[2]) and not torch.equal(before[0], after[0])


def test_only_what_is_edited_moves_and_is_replaced(generator: Generator, edited: Inversion):
    eyes = replace(edited, edits=edited.edits[:1])
    found = harmonize(generator, eyes, num_steps=3, width=WIDTH, hold=0.5)
    assert [one.segments for one in found.edits[1:]] == [("left_eye",), ("right_eye",)]
    picture, before = composite(generator, found), composite(generator, eyes)
    untouched = (edited.masks.masks[:2].sum(dim=0, keepdim=True) == 0).expand_as(picture)
    assert torch.equal(picture[untouched], edited.backdrop()[untouched])
    assert not torch.equal(picture, before)


def test_without_edits_there_is_nothing_to_do(generator: Generator, edited: Inversion):
    muted = replace(edited, edits=tuple(replace(edit, enabled=False) for edit in edited.edits))
    assert harmonize(generator, muted).edits == muted.edits


def test_without_its_photo_the_renderings_agree(generator: Generator, edited: Inversion):
    masks = edited.masks
    whole = tuple(
        replace(one, mask=one.mask + (one.name == "skin") * masks.static) for one in edited.segments
    )
    bare = replace(edited, segments=whole, static_mask=torch.zeros_like(masks.static)).without_photo()
    found = harmonize(generator, bare, num_steps=STEPS, width=WIDTH)

    def disagreement(inversion: Inversion) -> float:
        masks, total = inversion.masks, 0.0
        skin, eye = inversion.segments[2], inversion.segments[0]
        pictures = [
            render_segment(generator, inversion, one, applicable_edits(masks, one.name, inversion.edits))
            for one in (skin, eye)
        ]
        band = grow(skin.mask, 3) * grow(eye.mask, 3)
        total += (band.to(pictures[0]) * (pictures[0] - pictures[1]).square()).sum().item()
        return total

    assert disagreement(found) < 0.7 * disagreement(bare)


def test_saved_and_reopened_it_is_in_force(generator: Generator, harmonized: Inversion, tmp_path: Path):
    save_inversion(harmonized, tmp_path / "one.safetensors")
    reopened = load_inversion(tmp_path / "one.safetensors")
    assert torch.equal(render(generator, reopened), render(generator, harmonized))
    assert len(edits_in_force(reopened.masks, reopened.edits)) == 5


def test_a_fill_keeps_it_in_force(generator: Generator, harmonized: Inversion):
    mask = torch.zeros_like(harmonized.static_mask)
    mask[..., 9:11, 4:9] = 1
    filled = fill_region(generator, harmonized, "left_eye", [CorrectionPart(mask, fit=False, take=True)])
    assert not leaves_harmonies_out(filled)
    outside = (filled.segments[-1].mask == 0).expand(-1, 3, -1, -1)
    before, after = (render(generator, one)[outside] for one in (harmonized, filled))
    assert torch.allclose(before, after, atol=1e-4)


def test_nothing_given_changes_and_the_host_may_be_in_inference_mode(generator: Generator, edited: Inversion):
    codes = [one.code.tensor.clone() for one in edited.segments]
    with torch.inference_mode():
        photo = edited.backdrop().clone()
        found = harmonize(generator, replace(edited, photo=photo), num_steps=3, width=WIDTH, hold=0.5)
    assert not any(edit.direction.tensor.is_inference() for edit in found.edits[2:])
    again = harmonize(generator, edited, num_steps=3, width=WIDTH, hold=0.5)
    assert len(found.edits) == 5
    for one, other in zip(found.edits[2:], again.edits[2:], strict=True):
        assert torch.equal(one.direction.tensor, other.direction.tensor)
    assert all(torch.equal(one, other.code.tensor) for one, other in zip(codes, edited.segments, strict=True))


def test_it_reports_its_steps_and_can_be_stopped(generator: Generator, edited: Inversion):
    seen: list[tuple[int, int, bool]] = []

    def watch(step: int, total: int, image: Tensor | None) -> None:
        seen.append((step, total, image is not None and image.shape == edited.backdrop().shape))
        if step == 3:
            raise StopProjection

    quick = {"num_steps": 6, "width": WIDTH, "hold": 0.5}
    found = harmonize(generator, edited, **quick, callback=watch, preview_seconds=1e9)
    assert seen == [(1, 6, True), (2, 6, False), (3, 6, False)]
    assert len(found.edits) == 5 and found.stopped == "stopped on request after step 3 of 6"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harmonize(generator, edited, num_steps=4, callback=interrupt)


def test_a_run_that_diverges_keeps_the_best(
    generator: Generator, edited: Inversion, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(import_module("chunky_core.compositing.harmonize"), "_RATE", 1e20)
    found = cg.harmonize(generator, edited, num_steps=3, width=WIDTH)
    assert found.stopped is not None and "as it diverged to a loss of" in found.stopped
    assert all(edit.direction.tensor.isfinite().all() for edit in found.edits)


def test_nothing_is_added_with_a_warning(generator: Generator, edited: Inversion):
    with pytest.warns(UserWarning, match="nothing better than the start in 3 steps; nothing was added"):
        found = harmonize(generator, edited, num_steps=3)
    assert found.edits == edited.edits


def test_the_mean_is_weighted_by_shares(edited: Inversion):
    photo = edited.backdrop()
    scene = agreement.Agreement(photo, edited.masks, 3)
    pictures = [
        torch.full((1, 3, one.box.height, one.box.width), float(i)) for i, one in enumerate(scene.reaches)
    ]
    scene.start(pictures)
    shares = [grow(mask, 3) for mask in [*edited.masks.masks, edited.static_mask[0]]]
    expected = sum(i * share for i, share in enumerate(shares[:3])) + shares[3] * photo
    assert torch.allclose(scene.mean(), expected / sum(shares), atol=1e-5)


def test_the_command_line_harmonizes(studio: Path):
    assert edit(studio, "--no-global", "--edit", "smile=3", "--harmonize", masks="masks") == 0
    out = studio / "out"
    found, plain = (
        load_inversion(out / "harmonized.safetensors"),
        load_inversion(out / "inversion.safetensors"),
    )
    assert any(one.harmonizes for one in found.edits) and [one.direction.name for one in plain.edits] == [
        "smile"
    ]
    generator = cg.load_generator(studio / "tiny.safetensors")
    expected, unlike = (to_uint8(composite(generator, one)) for one in (found, plain))
    picture = to_uint8(load_image(out / "composite.png"))
    assert torch.equal(picture, expected) and not torch.equal(picture, unlike)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segments": "nose"}, "nose"),
        ({"num_steps": 2}, "num_steps is 2; expected a whole number from 3; the first two overshoot"),
        ({"num_steps": 2.5}, "num_steps is 2.5"),
        ({"strength": 1.5}, "strength is 1.5; expected 0 to 1"),
        ({"hold": float("nan")}, "hold is nan; expected 0 or more"),
        ({"width": -1.0}, "width is -1"),
        ({"preview_seconds": -1.0}, "preview_seconds is -1"),
    ],
)
def test_bad_input_is_refused(generator: Generator, edited: Inversion, change: dict, message: str):
    with pytest.raises(InvalidInputError, match=message):
        harmonize(generator, edited, **change)


def test_codes_that_are_not_finite_and_other_generators_are_refused(
    generator: Generator, edited: Inversion, make_generator
):
    code = replace(edited.segments[0].code, tensor=edited.segments[0].code.tensor * float("nan"))
    broken = replace(edited, segments=(replace(edited.segments[0], code=code), *edited.segments[1:]))
    with pytest.raises(InvalidInputError, match="'left_eye', edited, holds NaN"):
        harmonize(generator, broken)
    with pytest.raises(WrongGeneratorError):
        harmonize(make_generator(1), edited)
