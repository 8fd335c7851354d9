"""A projection that is cut short, goes on, or is given more steps: the same codes to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.compositing.render import render
from chunky_core.errors import InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.inversion import (
    Alignment,
    Edit,
    Inversion,
    ProjectionConfig,
    StopProjection,
    load_inversion,
    project,
    save_inversion,
    watching,
)
from chunky_core.inversion.hooks import GlobalCode, WarmUp
from chunky_core.inversion.projection import Hook
from chunky_core.segments import SegmentMasks
from tests.projection_tools import Interrupted, assert_same, photo_of_parts, pieces, stopping_at

SHORT = ProjectionConfig(num_steps=12, dilation=1)


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=64, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def segments(generator: Generator) -> SegmentMasks:
    return pieces(generator.img_resolution)


@pytest.fixture(scope="module")
def photo(generator: Generator, segments: SegmentMasks) -> Tensor:
    return photo_of_parts(generator, segments)


@pytest.mark.parametrize("at", [2, 4, 7])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "joint", "lambda_reg": 0.1},
        {"code_noise": 0.1, "optimize_noise": True},
        {"coarse": 0.5, "spaces": {"block": "s"}, "learning_rate": 0.5},  # the companion's code is taken over
    ],
    ids=str,
)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    generator: Generator, photo: Tensor, segments: SegmentMasks, settings: dict, at: int, tmp_path: Path
) -> None:
    """Interrupted in the warm-up, at its end and after it, or stopped on request; saved, opened and continued: the
    same to the bit.
    """
    config = replace(SHORT, **settings)
    whole = project(generator, photo, segments, config)
    kept: list[Inversion] = []
    with pytest.raises(Interrupted):
        project(
            generator, photo, segments, config, callback=stopping_at(at, Interrupted()), autosave=kept.append
        )
    assert kept[0].stopped == f"interrupted after step {at} of 12"
    kept.append(project(generator, photo, segments, config, callback=stopping_at(at, StopProjection())))
    for one in kept:
        save_inversion(one, tmp_path / "kept.safetensors")
        opened = load_inversion(tmp_path / "kept.safetensors")
        going_on = project(generator, photo, segments, config, start=opened, resume=True)
        assert_same(going_on, whole)
        assert going_on.stopped is None
        assert all(torch.equal(a, b) for a, b in zip(going_on.noise, whole.noise, strict=True))


@pytest.mark.parametrize(
    "settings", [{}, {"plateau": 4, "code_noise": 0.1}, {"mode": "joint", "optimize_noise": True}], ids=str
)
def test_records_kept_on_the_way_leave_the_run_alone_and_can_be_continued(
    generator: Generator, photo: Tensor, segments: SegmentMasks, settings: dict
) -> None:
    config = replace(SHORT, **settings)
    whole = project(generator, photo, segments, config)
    kept: list[Inversion] = []
    watched = project(generator, photo, segments, config, autosave=kept.append, autosave_seconds=0)
    assert_same(watched, whole)
    assert [one.state.step for one in kept if one.state] == list(range(1, len(kept) + 1)) and len(kept) > 4
    assert kept[3].stopped == "interrupted after step 4 of 12"
    for record in kept[1::6]:
        going_on = project(generator, photo, segments, config, start=record, resume=True)
        assert_same(going_on, whole)


def test_a_record_is_kept_when_the_time_has_come(
    generator: Generator, photo: Tensor, segments: SegmentMasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock[0])

    def tick(*_: Any) -> None:
        clock[0] += 10

    kept: list[Inversion] = []
    project(generator, photo, segments, SHORT, callback=tick, autosave=kept.append)
    assert [one.state.step for one in kept if one.state] == [3, 6, 9]


@pytest.mark.parametrize(
    ("hook", "part", "fails_at"),
    [(GlobalCode, "before_step", 6), (GlobalCode, "_compare", 0), (WarmUp, "before_loss", 4)],
)
def test_an_error_in_the_middle_of_a_step_keeps_what_was_before_it(
    generator: Generator,
    photo: Tensor,
    segments: SegmentMasks,
    monkeypatch: pytest.MonkeyPatch,
    hook: type[Hook],
    part: str,
    fails_at: int,
) -> None:
    """As when memory runs out: after the global code's or the comparison's share of a step, or after the split."""
    config = replace(SHORT, code_noise=0.1)
    whole = project(generator, photo, segments, config)
    healthy, calls = getattr(hook, part), iter(range(100))

    def failing(*arguments: Any) -> None:
        healthy(*arguments)
        if next(calls) == fails_at:
            raise MemoryError("no memory left")

    kept: list[Inversion] = []
    with monkeypatch.context() as patch, pytest.raises(MemoryError, match="no memory left"):
        patch.setattr(hook, part, failing)
        project(generator, photo, segments, config, autosave=kept.append)
    (record,) = kept
    assert record.state is not None and {len(curve) for curve in record.losses.values()} == {
        record.state.step
    }
    assert_same(project(generator, photo, segments, config, start=record, resume=True), whole)


def test_what_is_kept_on_interruption_is_the_best_so_far(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    kept: list[Inversion] = []
    with pytest.raises(Interrupted):
        project(
            generator, photo, segments, SHORT, callback=stopping_at(9, Interrupted()), autosave=kept.append
        )
    begun = project(generator, photo, segments, replace(SHORT, num_steps=1))
    before, after = ((render(generator, one) - photo).square().mean() for one in (begun, kept[0]))
    assert after < 0.8 * before


def test_a_finished_run_can_be_given_more_steps(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    first = project(generator, photo, segments, SHORT)
    more = project(generator, photo, segments, replace(SHORT, num_steps=30), start=first, resume=True)
    none = project(generator, photo, segments, SHORT, start=first, resume=True)
    for name, curve in more.losses.items():
        assert len(curve) == 30 and curve[:12] == first.losses[name]
        assert max(curve[12:]) < 1.5 * curve[11]  # no second start with large steps
        assert min(curve) < min(first.losses[name])
    assert_same(none, first)


def test_a_callback_may_ask_for_the_result_so_far(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    result = project(generator, photo, segments, SHORT, callback=stopping_at(6, StopProjection()))
    assert result.stopped == "stopped on request after step 6 of 12"
    assert all(len(curve) == 6 for curve in result.losses.values())


def test_only_the_same_run_can_be_continued(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    first = project(generator, photo, segments, SHORT)
    for changed in ({"mode": "joint"}, {"space": "s"}, {"optimize_noise": True}):
        with pytest.raises(InvalidInputError, match="go on with the same ones"):
            project(generator, photo, segments, replace(SHORT, **changed), start=first, resume=True)
    turned = SegmentMasks(segments.names, segments.masks.flip(3), segments.static.flip(3))
    with pytest.raises(InvalidInputError, match="other masks"):
        project(generator, photo, turned, SHORT, start=first, resume=True)
    with pytest.raises(WrongGeneratorError):
        project(generator, photo, segments, SHORT, start=replace(first, fingerprint="0123"), resume=True)
    assert first.state is not None
    damaged = replace(first, state=replace(first.state, tensors={"rng": torch.zeros(16, dtype=torch.uint8)}))
    with pytest.raises(InvalidInputError, match="is damaged"):
        project(generator, photo, segments, SHORT, start=damaged, resume=True)
    with pytest.raises(InvalidInputError, match="of another photo"):
        project(generator, -photo, segments, SHORT, start=first, resume=True)
    with pytest.raises(InvalidInputError, match="no projection to go on with"):
        project(generator, photo, segments, SHORT, start=replace(first, state=None), resume=True)
    with pytest.raises(InvalidInputError, match="no projection to go on with"):
        project(generator, photo, segments, SHORT, resume=True)


def test_a_continued_run_never_falls_back_to_coarse_pictures(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    config = replace(SHORT, coarse=0.5)
    first = project(generator, photo, segments, config)
    more = project(generator, photo, segments, replace(config, num_steps=40), start=first, resume=True)
    before, after = ((render(generator, one) - photo).square().mean() for one in (first, more))
    assert after < before
    assert more.state is not None and more.state.numbers["resolution"] == generator.img_resolution


def test_what_the_earlier_record_carries_goes_on(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    first = project(generator, photo, segments, replace(SHORT, num_steps=4))
    alignment = Alignment(((0.0, 0.0), (0.0, 9.0), (9.0, 9.0), (9.0, 0.0)), (10, 10))
    edit = Edit(Direction("any", "w", torch.ones(generator.w_dim)), 1.0)
    carrying = replace(first, alignment=alignment, edits=(edit,))
    resumed = project(generator, photo, segments, SHORT, start=carrying, resume=True)
    anew = project(generator, photo, segments, replace(SHORT, num_steps=1), start=carrying)
    assert resumed.alignment == anew.alignment == alignment
    assert resumed.edits == (edit,) and anew.edits == ()
    noisy = replace(first, noise=tuple(torch.randn(r, r) for _, r in generator.noise_layout))
    with pytest.raises(InvalidInputError, match="optimize noise maps here"):
        project(generator, photo, segments, SHORT, start=noisy)
