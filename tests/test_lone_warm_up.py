"""One segment alone, everything around it static: it begins with the whole photo, and ends near it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.boxes import full_box
from chunky_core.checkpoints import load_generator
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.portraits import LABEL
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.inversion import Inversion, LossConfig, ProjectionConfig, fit_report, load_inversion, project
from chunky_core.inversion.assembly import begin
from chunky_core.inversion.config import EARLIER, plain_settings
from chunky_core.inversion.hooks import GlobalCode
from chunky_core.inversion.projection import warm_up_resolution
from chunky_core.inversion.projector import optimize
from chunky_core.segments import SegmentMasks, segments_from_label_map, segments_from_masks, single_segment
from tests.projection_tools import Interrupted, assert_same, photo_of_parts, stopping_at

SHORT = ProjectionConfig(num_steps=12, dilation=1)


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=128, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def masks(generator: Generator) -> SegmentMasks:
    block = torch.zeros(generator.img_resolution, generator.img_resolution)
    block[40:60, 40:70] = 1
    return segments_from_masks({"block": block})


@pytest.fixture(scope="module")
def photo(generator: Generator) -> Tensor:
    return photo_of_parts(generator, single_segment((generator.img_resolution, generator.img_resolution)))


def test_it_warms_up_on_the_whole_photo_at_a_low_resolution(
    generator: Generator, photo: Tensor, masks: SegmentMasks
) -> None:
    run = begin(generator, photo, masks, replace(SHORT, warmup=0.5))
    assert warm_up_resolution(generator) == 64
    seen = []
    for _ in optimize(run):
        seen.append((run.stage.level.resolution, run.stage.objective.boxes[0], run.is_shared))
    assert seen[:2] == [(64, full_box(64), True)] * 2
    assert {(resolution, shared) for resolution, _, shared in seen[2:]} == {(128, False)}
    assert seen[2][1] == (40, 40, 60, 70)  # and nothing of its static surroundings


def test_it_takes_few_of_the_steps_that_many_segments_take(
    generator: Generator, photo: Tensor, masks: SegmentMasks
) -> None:
    upper = torch.zeros(generator.img_resolution, generator.img_resolution)
    upper[:70] = 1
    counts = []
    for segments in (
        masks,
        segments_from_masks({"upper": upper}),
        segments_from_masks({"a": upper, "b": 1 - upper}),
    ):
        run = begin(generator, photo, segments, replace(SHORT, warmup=0.5))
        counts.append(sum(run.is_shared for _ in optimize(run)))
    assert counts == [2, 6, 6]  # two fifths, rounded
    run = begin(generator, photo, masks, replace(SHORT, warmup=1.0))
    assert all(run.is_shared for _ in optimize(run))


def test_the_photo_around_it_moves_the_code_in_the_warm_up_only(
    generator: Generator, photo: Tensor, masks: SegmentMasks
) -> None:
    other = photo.flip(3) * (masks.static == 1) + photo * (masks.static < 1)
    for warmup, same in ((0.5, False), (0.0, True)):
        config = replace(SHORT, warmup=warmup)
        one, two = (project(generator, image, masks, config) for image in (photo, other))
        assert torch.equal(one.segments[0].code.tensor, two.segments[0].code.tensor) == same


def test_its_own_code_goes_on_from_there_with_adams_memory(
    generator: Generator, photo: Tensor, masks: SegmentMasks
) -> None:
    run = begin(generator, photo, masks, replace(SHORT, warmup=0.5))
    steps = optimize(run)
    for _ in range(3):
        next(steps)
    shared = run.latents.codes[0].detach().clone()
    moment = run.latents.adam.state[run.latents.codes[0]]["exp_avg_sq"].clone()
    run.hooks[0].before_loss(run)
    assert not run.is_shared and torch.equal(run.latents.codes[0], shared)
    assert torch.equal(run.latents.adam.state[run.latents.codes[0]]["exp_avg_sq"], moment)


@pytest.mark.parametrize("without", ["warmup", "static", "start"])
def test_no_warm_up_without_surroundings_or_with_a_start(
    generator: Generator, photo: Tensor, masks: SegmentMasks, without: str
) -> None:
    config = replace(SHORT, num_steps=2, warmup=0.0 if without == "warmup" else 0.5)
    segments = single_segment(masks.size) if without == "static" else masks
    start = project(generator, photo, segments, replace(config, warmup=0.0)) if without == "start" else None
    assert not begin(generator, photo, segments, config, start).is_shared


def test_no_second_code_goes_on_beside_a_lone_one(
    generator: Generator, photo: Tensor, masks: SegmentMasks
) -> None:
    run = begin(generator, photo, masks, SHORT)
    for _ in optimize(run):
        pass
    hook = run.hook(GlobalCode)
    assert hook is not None and hook.latents is None and run.shared_latents is None


@pytest.mark.parametrize("at", [2, 4, 9])
@pytest.mark.parametrize("settings", [{}, {"mode": "joint"}, {"coarse": 0.5, "space": "w"}], ids=str)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    generator: Generator,
    photo: Tensor,
    masks: SegmentMasks,
    settings: dict[str, Any],
    at: int,
    tmp_path: Path,
) -> None:
    config = replace(SHORT, warmup=0.4, **settings)
    whole = project(generator, photo, masks, config)
    kept: list[Inversion] = []
    with pytest.raises(Interrupted):
        project(
            generator, photo, masks, config, callback=stopping_at(at, Interrupted()), autosave=kept.append
        )
    kept[0].save(tmp_path / "kept.safetensors")
    opened = load_inversion(tmp_path / "kept.safetensors")
    going_on = project(generator, photo, masks, config, start=opened, resume=True)
    assert_same(going_on, whole)
    assert going_on.fits == whole.fits


def test_a_run_of_before_goes_on_as_it_was_begun(
    generator: Generator, photo: Tensor, masks: SegmentMasks
) -> None:
    """With Adam's usual moments, all of the dilation, and no look at the static parts; and once more after that."""
    before = replace(SHORT, **EARLIER)
    whole = project(generator, photo, masks, before)
    assert plain_settings(before) != plain_settings(SHORT)
    kept: list[Inversion] = []
    for at in (3, 6):
        start = kept[-1] if kept else None
        with pytest.raises(Interrupted):
            project(
                generator,
                photo,
                masks,
                before if start is None else SHORT,
                callback=stopping_at(at, Interrupted()),
                autosave=kept.append,
                start=start,
                resume=start is not None,
            )
        if at == 3:
            settings = {name: value for name, value in kept[-1].settings.items() if name not in EARLIER}
            kept[-1] = replace(kept[-1], settings=settings)
    assert_same(project(generator, photo, masks, SHORT, start=kept[-1], resume=True), whole)


def test_a_damaged_state_is_refused(generator: Generator, photo: Tensor, masks: SegmentMasks) -> None:
    first = project(generator, photo, masks, replace(SHORT, num_steps=2))
    assert first.state is not None
    damaged = replace(first, state=replace(first.state, numbers={**first.state.numbers, "shared": "yes"}))
    with pytest.raises(InvalidInputError, match="shared"):
        project(generator, photo, masks, SHORT, start=damaged, resume=True)


@pytest.mark.parametrize("space", ["w+", "s"])
def test_a_hard_masked_mouth_is_found(space: str) -> None:
    """Alone from the mean code, this one lost its mouth: its error at the end was that at the start."""
    demo = demo_photo(7112)
    mouth = segments_from_label_map((demo.labels == LABEL["mouth"]).int(), {1: "mouth"}, gaps="static")
    config = ProjectionConfig(num_steps=30, space=space, loss=LossConfig(l2=1, lpips=1, lpips_net="demo"))
    found = project(load_generator("demo"), demo.image, mouth, config)
    assert not found.poor_fits, fit_report(found)
    assert found.fits["mouth"].end < 0.4 * found.fits["mouth"].start
