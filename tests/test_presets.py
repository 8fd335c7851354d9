"""Presets: phases one after the other as one run, with one progress, resumed to the bit in any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from chunky_core.compositing.render import render
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.inversion import (
    Inversion,
    LossConfig,
    ProjectionConfig,
    StopProjection,
    TuningConfig,
    load_inversion,
    presets,
    save_inversion,
    tune,
)
from chunky_core.inversion.presets import (
    PRESETS,
    preset_phases,
    preset_steps,
    preset_steps_done,
    project_preset,
)
from chunky_core.segments import SegmentMasks
from tests.devices import on_device
from tests.projection_tools import Interrupted, photo_of_parts, pieces, stopping_at
from tests.test_stylegan3 import RECORDED, made_from

SHORT = (
    ProjectionConfig(space="s", num_steps=6, warmup=0.5, mode="joint"),
    TuningConfig(num_steps=4, size=0.2, tune_codes=True),
)


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=64, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def segments(generator: Generator) -> SegmentMasks:
    return pieces(generator.img_resolution)


@pytest.fixture(scope="module")
def photo(generator: Generator, segments: SegmentMasks) -> Tensor:
    return photo_of_parts(generator, segments)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a preset of a few steps."""
    monkeypatch.setitem(presets._PHASES, "short", SHORT)
    return "short"


def test_presets_go_from_cheap_to_dear_and_hold_what_they_are_given() -> None:
    assert PRESETS == ("draft", "good", "best")
    loss = LossConfig(l1=2.0)
    for name in PRESETS:
        phases = preset_phases(name, loss, seed=7)
        assert isinstance(phases[0], ProjectionConfig)
        assert all((phase.loss, phase.seed) == (loss, 7) for phase in phases)
        assert isinstance(phases[-1], TuningConfig)
    assert preset_steps("draft") < preset_steps("good") < preset_steps("best")


def test_an_unknown_preset_is_refused_by_the_names_that_exist(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    with pytest.raises(InvalidInputError, match="'ultra' is unknown; choose one of draft, good, best"):
        project_preset(generator, photo, segments, "ultra")


def test_one_progress_counts_the_steps_of_all_phases(
    generator: Generator, photo: Tensor, segments: SegmentMasks, short: str
) -> None:
    told: list[tuple[int, int]] = []
    made = project_preset(
        generator, photo, segments, short, callback=lambda step, total, image: told.append((step, total))
    )
    assert told == [(step, 10) for step in range(1, 11)]
    assert (made.settings["preset"], made.settings["phase"], made.stopped) == ("short", 1, None)
    assert made.delta


def test_each_phase_comes_nearer_and_fits_count_from_the_first_start(
    generator: Generator, photo: Tensor, segments: SegmentMasks, short: str
) -> None:
    kept: list[Inversion] = []
    with pytest.raises(Interrupted):
        project_preset(
            generator, photo, segments, short, callback=stopping_at(7, Interrupted()), autosave=kept.append
        )
    made = project_preset(generator, photo, segments, short)
    first = presets.project(generator, photo, segments, SHORT[0])
    error = [(render(generator, one) - photo).square().mean().item() for one in (first, made)]
    assert error[1] < error[0]
    assert made.fits.keys() == first.fits.keys()
    for name, fit in made.fits.items():
        assert fit.start == first.fits[name].start
    assert sum(fit.end for fit in made.fits.values()) < sum(fit.end for fit in first.fits.values())


@pytest.mark.parametrize("at", [2, 4, 6, 8])
def test_an_interrupted_preset_goes_on_as_if_it_had_not_been(
    generator: Generator, photo: Tensor, segments: SegmentMasks, short: str, at: int, tmp_path: Path
) -> None:
    whole = project_preset(generator, photo, segments, short)
    kept: list[Inversion] = []
    with pytest.raises(Interrupted):
        project_preset(
            generator, photo, segments, short, callback=stopping_at(at, Interrupted()), autosave=kept.append
        )
    stopped = project_preset(generator, photo, segments, short, callback=stopping_at(at, StopProjection()))
    for one in (kept[-1], stopped):
        save_inversion(one, tmp_path / "kept.safetensors")
        again = project_preset(
            generator,
            photo,
            segments,
            short,
            start=load_inversion(tmp_path / "kept.safetensors"),
            resume=True,
        )
        assert torch.equal(render(generator, again), render(generator, whole))
        assert [again.settings[name] for name in ("preset", "phase")] == ["short", 1]
        assert again.losses == whole.losses


def test_a_finished_preset_has_a_small_file_and_comes_back_as_it_is(
    generator: Generator, photo: Tensor, segments: SegmentMasks, short: str, tmp_path: Path
) -> None:
    made = project_preset(generator, photo, segments, short)
    assert made.state is None
    assert preset_steps_done(made) == preset_steps(short) == 10
    save_inversion(made, tmp_path / "made.safetensors")
    opened = load_inversion(tmp_path / "made.safetensors")
    assert project_preset(generator, photo, segments, short, start=opened, resume=True) is opened
    with pytest.raises(InvalidInputError, match="was of another photo"):
        project_preset(generator, -photo, segments, short, start=opened, resume=True)


@pytest.mark.parametrize("at", [4, 8])
def test_going_on_with_something_else_is_refused_in_every_phase(
    generator: Generator, photo: Tensor, segments: SegmentMasks, short: str, at: int
) -> None:
    kept = project_preset(generator, photo, segments, short, callback=stopping_at(at, StopProjection()))
    moved = replace(segments, masks=segments.masks.roll(3, -1), static=segments.static.roll(3, -1))
    for given, masks, loss, what in (
        (-photo, segments, None, "photo"),
        (photo, moved, None, "masks"),
        (photo, segments, LossConfig(l1=1.0), "loss"),
    ):
        with pytest.raises(InvalidInputError, match=f"(had|was of) another {what}"):
            project_preset(generator, given, masks, short, loss=loss, start=kept, resume=True)


def test_what_another_tuning_made_of_a_preset_is_none_of_its_phases(
    generator: Generator, photo: Tensor, segments: SegmentMasks, short: str
) -> None:
    made = project_preset(generator, photo, segments, short)
    again = tune(generator, made, SHORT[1], num_steps=2)
    assert preset_steps_done(again) == 0
    with pytest.raises(InvalidInputError, match="the state of a tuning"):
        project_preset(generator, photo, segments, short, start=again, resume=True)


def test_a_record_of_another_preset_is_no_state_to_go_on_with(
    generator: Generator, photo: Tensor, segments: SegmentMasks, short: str
) -> None:
    made = project_preset(generator, photo, segments, short)
    with pytest.raises(InvalidInputError, match="preset 'short', now 'draft'"):
        project_preset(generator, photo, segments, "draft", start=made, resume=True)
    plain = replace(made, settings={"steps": 6})
    with pytest.raises(InvalidInputError, match="preset 'none', now 'short'"):
        project_preset(generator, photo, segments, short, start=plain, resume=True)
    damaged = replace(made, settings={**made.settings, "phase": 9})
    with pytest.raises(InvalidInputError, match="its phase is 9, expected 0 to 1"):
        project_preset(generator, photo, segments, short, start=damaged, resume=True)


def test_a_generator_of_one_resolution_gets_phases_that_it_can_do(short: str) -> None:
    generator = made_from(on_device(load_file(RECORDED)))
    for name in PRESETS:
        phase = preset_phases(name, LossConfig(), generator=generator)[0]
        assert isinstance(phase, ProjectionConfig) and phase.coarse == 0.0
    photo = generator.synthesis(generator.w_avg[None] + 0.3)
    made = project_preset(generator, photo, pieces(generator.img_resolution), short)
    assert made.delta and not made.stopped
