"""A tuning that is cut short and goes on: the same weights to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.inversion import (
    Inversion,
    ProjectionConfig,
    StopProjection,
    load_inversion,
    project,
    save_inversion,
    tune,
)
from chunky_core.inversion.tuning.delta_optimizer import DeltaOptimizer
from chunky_core.inversion.tuning.objective import TuningObjective
from tests.projection_tools import Interrupted, photo_of_parts, pieces, stopping_at
from tests.tuning_tools import QUICK, same_deltas

PROJECTION = ProjectionConfig(num_steps=12, dilation=1)


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=64, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def inversion(generator: Generator) -> Inversion:
    segments = pieces(generator.img_resolution)
    return project(generator, photo_of_parts(generator, segments), segments, PROJECTION)


@pytest.fixture(scope="module")
def tuned(generator: Generator, inversion: Inversion) -> Inversion:
    return tune(generator, inversion, QUICK)


def assert_same(one: Inversion, other: Inversion) -> None:
    assert same_deltas(one, other) and one.losses == other.losses
    pairs = zip(one.segments, other.segments, strict=True)
    assert all(torch.equal(a.code.tensor, b.code.tensor) for a, b in pairs)


@pytest.mark.parametrize("at", [1, 6])
@pytest.mark.parametrize(
    "options",
    [{}, {"shared": False, "plateau": 3}, {"segments": "block", "locality": 0.5}, {"tune_codes": True}],
    ids=str,
)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    generator: Generator, inversion: Inversion, options: dict, at: int, tmp_path: Path
) -> None:
    config = replace(QUICK, **{"size": 0.5, **options})
    whole = tune(generator, inversion, config)
    kept: list[Inversion] = []
    with pytest.raises(Interrupted):
        tune(generator, inversion, config, callback=stopping_at(at, Interrupted()), autosave=kept.append)
    assert kept[0].stopped == f"interrupted after step {at} of 12" and kept[0].is_unfinished
    kept.append(tune(generator, inversion, config, callback=stopping_at(at, StopProjection())))
    assert kept[1].stopped == f"stopped on request after step {at} of 12"
    for one in kept:
        save_inversion(one, tmp_path / "kept.safetensors")
        going_on = tune(generator, load_inversion(tmp_path / "kept.safetensors"), config, resume=True)
        assert_same(going_on, whole)
        assert going_on.stopped == whole.stopped


def test_records_kept_on_the_way_leave_the_run_alone(
    generator: Generator, inversion: Inversion, tuned: Inversion
) -> None:
    kept: list[Inversion] = []
    watched = tune(generator, inversion, QUICK, autosave=kept.append, autosave_seconds=0)
    assert_same(watched, tuned)
    assert [one.state.step for one in kept if one.state] == list(range(1, 12))
    assert_same(tune(generator, kept[4], QUICK, resume=True), tuned)


@pytest.mark.parametrize(
    "part", [(DeltaOptimizer, "receive"), (DeltaOptimizer, "move"), (TuningObjective, "__call__")]
)
def test_an_error_in_the_middle_of_a_step_keeps_what_was_before_it(
    generator: Generator, inversion: Inversion, monkeypatch: pytest.MonkeyPatch, part: tuple[type, str]
) -> None:
    config = replace(QUICK, shared=False, size=0.5, locality=0.5)
    whole = tune(generator, inversion, config)
    kind, name = part
    healthy, calls = getattr(kind, name), iter(range(1000))

    def failing(*arguments: Any) -> Any:
        found = healthy(*arguments)
        if next(calls) == 10:  # in step 4, of the second of three segments
            raise MemoryError("no memory left")
        return found

    kept: list[Inversion] = []
    with monkeypatch.context() as patch, pytest.raises(MemoryError, match="no memory left"):
        patch.setattr(kind, name, failing)
        tune(generator, inversion, config, autosave=kept.append)
    (record,) = kept
    assert record.state is not None and record.state.step == 3
    assert {len(record.losses[f"{name}, tuning"]) for name in record.names} == {3}
    assert_same(tune(generator, record, config, resume=True), whole)


def test_a_finished_run_can_be_given_more_steps(generator: Generator, tuned: Inversion) -> None:
    more = tune(generator, tuned, QUICK, num_steps=24, resume=True)
    assert_same(tune(generator, tuned, QUICK, resume=True), tuned)
    for name in tuned.names:
        before, after = tuned.losses[f"{name}, tuning"], more.losses[f"{name}, tuning"]
        assert len(after) == 24 and list(after[:12]) == list(before)
    assert min(
        sum(step) for step in zip(*(more.losses[f"{n}, tuning"] for n in more.names), strict=True)
    ) < min(sum(step) for step in zip(*(tuned.losses[f"{n}, tuning"] for n in tuned.names), strict=True))


def test_projections_and_tunings_are_told_apart(
    generator: Generator, inversion: Inversion, tuned: Inversion
) -> None:
    with pytest.raises(InvalidInputError, match="state of a tuning, which `tune` goes on with"):
        project(generator, tuned.photo, tuned.masks, PROJECTION, start=tuned, resume=True)
    with pytest.raises(InvalidInputError, match="state of a projection, which `project` goes on with"):
        tune(generator, inversion, QUICK, resume=True)
    with pytest.raises(InvalidInputError, match="no tuning to go on with"):
        tune(generator, replace(tuned, state=None), QUICK, resume=True)


@pytest.mark.parametrize(
    "options", [{"shared": False}, {"tune_codes": True}, {"size": 0.5}, {"segments": "block"}], ids=str
)
def test_only_the_same_run_can_be_continued(generator: Generator, tuned: Inversion, options: dict) -> None:
    with pytest.raises(InvalidInputError, match="go on with the same ones, or tune anew"):
        tune(generator, tuned, QUICK, resume=True, **options)


def damaged(record: Inversion, change: Callable[[dict, dict], None]) -> Inversion:
    assert record.state is not None
    numbers = dict(record.state.numbers["tuning"])
    tensors = dict(record.state.tensors)
    change(numbers, tensors)
    return replace(record, state=replace(record.state, numbers={"tuning": numbers}, tensors=tensors))


@pytest.mark.parametrize(
    "change",
    [
        lambda numbers, tensors: numbers.pop("parts"),
        lambda numbers, tensors: numbers.update(parts=[]),
        lambda numbers, tensors: numbers.update(parts=[{"history": {"x": 1}, "adam_steps": 2}]),
        lambda numbers, tensors: numbers.update(limits=["a"]),
        lambda numbers, tensors: numbers.update(limits=3),
        lambda numbers, tensors: tensors.pop("rng"),
        lambda numbers, tensors: tensors.update(rng=torch.zeros(3)),
        lambda numbers, tensors: tensors.pop(next(iter(tensors))),
        lambda numbers, tensors: tensors.update({next(iter(tensors)): torch.zeros(2, 2)}),
    ],
    ids=range(9),
)
def test_a_damaged_state_is_named(generator: Generator, tuned: Inversion, change: Callable) -> None:
    with pytest.raises(
        InvalidInputError, match="earlier tuning is damaged|earlier tuning was of other segments"
    ):
        tune(generator, damaged(tuned, change), QUICK, resume=True)
