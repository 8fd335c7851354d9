"""Incremental editing: a composite is the next step's photo, and what no step edits stays the photo to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chunky_core.compositing import composite
from chunky_core.compositing.incremental import append_step, changed_segments, next_photo, replay
from chunky_core.errors import InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.images import from_uint8, load_image, save_image, to_uint8
from chunky_core.inversion import Edit, Inversion, SegmentCode, load_inversion
from chunky_core.losses import LossConfig
from tests.inversion_tools import read_file

PIXELS_ALONE = LossConfig(lpips=0, l2=1)


def some_photo(size: int) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return from_uint8(torch.randint(0, 256, (1, size, size, 3), generator=rng, dtype=torch.uint8))


def inverted(generator: Generator, photo: Tensor, name: str, number: int) -> Inversion:
    """A soft square of the photo with a random code."""
    size, rng = generator.img_resolution, torch.Generator().manual_seed(number)
    mask = torch.zeros(1, 1, size, size)
    unit = size // 16
    left = 2 * unit * (number % 4)
    mask[..., 4 * unit : 12 * unit, left : left + 8 * unit] = 0.5
    mask[..., 5 * unit : 11 * unit, left + unit : left + 7 * unit] = 1
    code = LatentCode("w+", generator.mapping(torch.randn(1, generator.z_dim, generator=rng)).contiguous())
    return Inversion(photo, [SegmentCode(name, mask, code)], 1 - mask, generator.fingerprint)  # type: ignore[arg-type]


def edited(generator: Generator, inversion: Inversion, strength: float) -> Inversion:
    rng = torch.Generator().manual_seed(9)
    direction = Direction("smile", "w", torch.randn(generator.w_dim, generator=rng))
    return inversion.with_edits(Edit(direction, strength))


def chain_of(generator: Generator, count: int, strength: float = 1.5) -> Inversion:
    current = edited(
        generator, inverted(generator, some_photo(generator.img_resolution), "part0", 0), strength
    )
    for number in range(1, count):
        photo, step = next_photo(generator, current)
        made = edited(generator, inverted(generator, photo, f"part{number}", number), strength)
        current = append_step(generator, step, made)
    return current


def test_ten_rounds_change_nothing_outside_of_what_they_edit(generator: Generator, tmp_path: Path) -> None:
    """By a single gray level, although every round's picture is saved and opened again."""
    last = chain_of(generator, 10)
    assert len(last.steps) == 10 and "step 10" in repr(last)
    first = to_uint8(some_photo(generator.img_resolution))
    save_image(composite(generator, last), tmp_path / "ten.png")
    final = to_uint8(load_image(tmp_path / "ten.png"))
    touched = sum(step.segments[0].mask for step in last.steps)[0, 0] > 0
    assert torch.equal(final[0][~touched], first[0][~touched])
    assert (final[0][touched] != first[0][touched]).any()
    assert 0.2 < touched.float().mean() < 0.8


def test_a_photo_between_gray_levels_is_rounded_once(generator: Generator) -> None:
    """By half a level at most; what comes after keeps that to the bit."""
    first = chain_of(generator, 1)
    still = replace(first, photo=first.photo * 0.997, edits=())
    rounded, _ = next_photo(generator, still)
    assert 0 < 127.5 * (rounded - still.photo).abs().max() < 0.501
    assert torch.equal(next_photo(generator, replace(still, photo=rounded))[0], rounded)


def test_each_step_sees_what_the_step_before_made(generator: Generator) -> None:
    last = chain_of(generator, 3)
    for before, after in zip(last.steps, last.steps[1:], strict=False):
        assert torch.equal(to_uint8(composite(generator, before)), to_uint8(after.photo))
        assert torch.equal(after.photo, from_uint8(to_uint8(after.photo)))


def test_an_earlier_step_is_changed_and_the_later_ones_follow(generator: Generator) -> None:
    """As if the whole chain had been made with the other edit from the start."""
    last = chain_of(generator, 4)
    second = last.steps[1]
    changed = second.with_edit_replaced(0, replace(second.edits[0], strength=-2.0))
    played = replay(generator, last, 2, changed)
    assert [step.names for step in played.steps] == [step.names for step in last.steps]
    assert played.steps[0].photo_digest == last.steps[0].photo_digest
    photo = some_photo(generator.img_resolution)
    for before, step in zip(last.steps, played.steps, strict=True):
        assert torch.equal(step.photo, photo)
        assert step.segments[0].code is before.segments[0].code
        photo, _ = next_photo(generator, step)
    assert not torch.equal(composite(generator, played), composite(generator, last))


def test_a_muted_step_leaves_no_trace(generator: Generator) -> None:
    last = chain_of(generator, 3)
    for number in (1, 2, 3):
        step = last.steps[number - 1]
        last = replay(
            generator, last, number, step.with_edit_replaced(0, replace(step.edits[0], enabled=False))
        )
    assert torch.equal(composite(generator, last), some_photo(generator.img_resolution))


def test_unchanged_it_is_the_same_to_the_bit(generator: Generator) -> None:
    last = chain_of(generator, 3)
    again = replay(generator, last, 1, last.steps[0], refit_steps=5)
    assert torch.equal(composite(generator, again), composite(generator, last))
    assert [s.segments[0].code for s in again.steps] == [s.segments[0].code for s in last.steps]


def test_codes_are_fitted_anew_where_the_photo_differs_beneath_them(
    make_generator: Callable[..., Generator],
) -> None:
    generator = make_generator(seed=4, resolution=16, w_dim=8, channel_base=64, channel_max=8)
    last = chain_of(generator, 3, strength=3.0)
    changed = last.steps[0].without_edit(0)
    kept = replay(generator, last, 1, changed)
    assert changed_segments(last.steps[1], kept.steps[1].photo) == ("part1",)
    seen: list[tuple[int, int]] = []
    fitted = replay(
        generator,
        last,
        1,
        changed,
        refit_steps=4,
        loss=PIXELS_ALONE,
        callback=lambda step, total, _: seen.append((step, total)),
    )
    assert seen[:4] == [(1, 8), (2, 8), (3, 8), (4, 8)] and seen == sorted(seen)
    code, before = (chain.steps[1].segments[0].code.tensor for chain in (fitted, kept))
    assert not torch.equal(code, before) and len(fitted.steps[1].losses["part1"]) == 4
    assert fitted.steps[1].edits == kept.steps[1].edits


def test_a_chain_is_kept_in_the_file(generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "chain.safetensors"
    last = chain_of(generator, 3)
    last.save(path)
    opened = load_inversion(path)
    assert [step.names for step in opened.steps] == [step.names for step in last.steps]
    assert [step.photo_digest for step in opened.steps] == [step.photo_digest for step in last.steps]
    changed = opened.steps[0].without_edit(0)
    again = composite(generator, replay(generator, opened, 1, changed))
    assert torch.equal(again, composite(generator, replay(generator, last, 1, changed)))

    last.save(path, with_photo=False)
    assert all(step.photo is None for step in load_inversion(path).steps)
    assert not any("photo" in name for name in read_file(path)[1])


def test_what_does_not_fit_together_is_refused(
    generator: Generator, make_generator: Callable[..., Generator]
) -> None:
    last = chain_of(generator, 2)
    photo, step = next_photo(generator, last)
    other = inverted(generator, some_photo(generator.img_resolution), "part9", 9)
    words = r"another photo than the picture that the step before made \(.* differently\); project the photo that Next"
    with pytest.raises(InvalidInputError, match=words) as raised:
        append_step(generator, step, other)
    assert str(raised.value).count("project") == 1  # one thing to do
    with pytest.raises(WrongGeneratorError, match="the steps of a chain need the same"):
        replace(inverted(generator, photo, "part9", 9), fingerprint="0" * 64, earlier=step)
    with pytest.raises(InvalidInputError, match="no step 3; the chain has 2, counted from 1"):
        replay(generator, last, 3, last)
    with pytest.raises(InvalidInputError, match="is of another photo"):
        replay(generator, last, 2, last.steps[0])
    with pytest.raises(
        InvalidInputError, match="a step's composite has no option 'colour'; there are replace,"
    ):
        next_photo(generator, last, colour="red")
