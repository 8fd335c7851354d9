"""A saved state that holds nonsense is refused before a projection goes on with it, and a whole one is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.inversion import Inversion, ProjectionConfig, project
from chunky_core.inversion.record import ProjectionState
from chunky_core.inversion.validation import check_state
from chunky_core.segments import SegmentMasks, segments_from_label_map

STEPS = 6


@pytest.fixture(scope="module")
def segments(generator: Generator) -> SegmentMasks:
    size = generator.img_resolution
    labels = torch.zeros(size, size, dtype=torch.long)
    labels[size // 2 :] = 1
    return segments_from_label_map(labels, {0: "upper", 1: "lower"}, grow=0, feather=0.0)


@pytest.fixture(scope="module")
def photo(generator: Generator) -> torch.Tensor:
    size = generator.img_resolution
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def earlier(generator: Generator, photo: torch.Tensor, segments: SegmentMasks) -> Inversion:
    return project(generator, photo, segments, ProjectionConfig(num_steps=STEPS))


def with_numbers(earlier: Inversion, **changes: Any) -> ProjectionState:
    assert earlier.state is not None
    numbers = {**earlier.state.numbers, **changes}
    return replace(earlier.state, numbers={k: v for k, v in numbers.items() if v != "absent"})


NUMBERS: list[dict[str, Any]] = [
    {"resolution": "x"},
    {"resolution": 10**9},
    {"resolution": -1},
    {"resolution": True},
    {"spaces": ["w+"] * 3},
    {"spaces": []},
    {"spaces": "w+"},
    {"spaces": ["w+", "q"]},
    {"spaces": [["w+"], "w+"]},
    {"active": [True]},
    {"active": [1, 0]},
    {"best_losses": ["x", 1.0]},
    {"best_losses": [float("nan"), 1.0]},
    {"references": [None]},
    {"references": {"0": 1.0}},
    {"limits": []},
    {"limits": [10**310, 1.0]},
    {"improved_at": [1.5, 1]},
    {"improved_at": [-1, 1]},
    {"adam_steps": [-1.5, 1]},
    {"adam_steps": [6]},
    {"adam_steps": [6, 6, 6]},
    {"adam_steps": [6, 1 << 40]},
    {"companion": 3},
    {"companion": {}},
    {"active": "absent"},
    {"spaces": "absent"},
]


@pytest.mark.parametrize("change", NUMBERS, ids=lambda change: str(change)[:40])
def test_damaged_numbers(
    generator: Generator,
    photo: torch.Tensor,
    segments: SegmentMasks,
    earlier: Inversion,
    change: dict[str, Any],
) -> None:
    start = replace(earlier, state=with_numbers(earlier, **change))
    with pytest.raises(InvalidInputError, match=r"state is damaged: .*start from its codes only$") as caught:
        project(generator, photo, segments, ProjectionConfig(num_steps=STEPS + 2), start=start, resume=True)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["values/0", "best/1", "exp_avg/0", "exp_avg_sq/1", "companion/values/0"])
@pytest.mark.parametrize("damage", ["absent", "of another shape", "integers"])
def test_damaged_tensors(earlier: Inversion, generator: Generator, name: str, damage: str) -> None:
    assert earlier.state is not None
    tensors = dict(earlier.state.tensors)
    good = tensors.pop(name)
    if damage == "of another shape":
        tensors[name] = good[..., :-1]
    elif damage == "integers":
        tensors[name] = good.long()
    with pytest.raises(InvalidInputError, match="state is damaged"):
        check_state(replace(earlier.state, tensors=tensors), 2, generator.img_resolution)


def test_a_damaged_random_state(
    generator: Generator, photo: torch.Tensor, segments: SegmentMasks, earlier: Inversion
) -> None:
    assert earlier.state is not None
    tensors = {**earlier.state.tensors, "rng": torch.zeros(3, dtype=torch.uint8)}
    start = replace(earlier, state=replace(earlier.state, tensors=tensors))
    with pytest.raises(InvalidInputError, match="is damaged"):
        project(generator, photo, segments, ProjectionConfig(num_steps=STEPS + 2), start=start, resume=True)


def test_damaged_settings(
    generator: Generator, photo: torch.Tensor, segments: SegmentMasks, earlier: Inversion
) -> None:
    start = replace(earlier, settings={**earlier.settings, "steps": "x"})
    with pytest.raises(InvalidInputError, match="its steps are 'x'"):
        project(generator, photo, segments, ProjectionConfig(num_steps=STEPS + 2), start=start, resume=True)


@pytest.mark.parametrize(
    "config", [{}, {"mode": "joint"}, {"coarse": 0.5}, {"warmup": 0.9}, {"optimize_noise": True}]
)
def test_every_state_that_is_saved_can_be_gone_on_with(
    generator: Generator, photo: torch.Tensor, segments: SegmentMasks, config: dict[str, Any]
) -> None:
    saved: list[Inversion] = []
    whole = ProjectionConfig(num_steps=STEPS, **config)
    project(generator, photo, segments, whole, autosave=saved.append, autosave_seconds=0.0)
    assert len(saved) >= STEPS - 1
    for one in saved:
        assert one.state is not None
        check_state(one.state, 2, generator.img_resolution)
