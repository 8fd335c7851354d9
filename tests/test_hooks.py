"""Each heuristic of the projection by itself, on a projection of two or three quadratics instead of photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.generator.generator import Generator
from chunky_core.inversion import Inversion, ProjectionConfig, load_inversion, project
from chunky_core.inversion.assembly import begin, default_hooks
from chunky_core.inversion.hooks import (
    BoundaryRefinement,
    CoarseToFine,
    Divergence,
    EarlyStopping,
    GlobalCode,
    LossCurves,
    PreviewBuffer,
    WarmUp,
)
from chunky_core.inversion.objectives import LossAndGrads
from chunky_core.inversion.projection import Hook, Projection, restore, state_of
from chunky_core.inversion.projector import optimize
from chunky_core.segments import SegmentMasks
from tests.projection_tools import assert_same, photo_of_parts, pieces


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=64, channel_base=512, channel_max=16)


@pytest.fixture(scope="module")
def masks(generator: Generator) -> SegmentMasks:
    return pieces(generator.img_resolution)


@pytest.fixture(scope="module")
def photo(generator: Generator, masks: SegmentMasks) -> Tensor:
    return photo_of_parts(generator, masks)


@pytest.fixture
def started(generator: Generator, photo: Tensor, masks: SegmentMasks) -> Callable[..., Projection]:
    def make(
        *,
        start: Inversion | None = None,
        left_out: tuple[type[Hook], ...] = (),
        more: Sequence[Hook] = (),
        **options: Any,
    ) -> Projection:
        config = ProjectionConfig(**{"num_steps": 10, "dilation": 1, **options})
        hooks = [hook for hook in default_hooks(config) if not isinstance(hook, left_out)]
        return begin(generator, photo, masks, config, start, resume=start is not None, hooks=[*hooks, *more])

    return make


def found(*losses: float, grad: float = 1.0) -> LossAndGrads:
    tensors = [torch.tensor(loss) for loss in losses]
    grads = [torch.full((1, 4), grad) for _ in losses]
    return LossAndGrads(tensors, [], grads, (), [torch.zeros(1, 3, 64, 64) for _ in losses])


def kinds(config: ProjectionConfig) -> list[type[Hook]]:
    return [type(hook) for hook in default_hooks(config)]


def test_what_is_switched_off_is_not_in_the_list() -> None:
    watching = [Divergence, PreviewBuffer, LossCurves]
    plain = ProjectionConfig(global_code=False, warmup=0.0)
    assert kinds(plain) == watching
    assert kinds(replace(plain, warmup=0.3)) == [WarmUp, *watching]
    assert GlobalCode in kinds(ProjectionConfig())
    assert GlobalCode not in kinds(ProjectionConfig(mode="joint"))
    assert GlobalCode not in kinds(ProjectionConfig(space="w", optimizer="lbfgs"))
    assert BoundaryRefinement in kinds(replace(plain, refine_every=2))
    assert CoarseToFine in kinds(replace(plain, coarse=0.5))
    assert EarlyStopping in kinds(replace(plain, plateau=2))


@pytest.mark.parametrize("mode", ["independent", "joint"])
def test_a_warm_up_of_all_steps_gives_every_segment_the_same_code(
    generator: Generator, photo: Tensor, masks: SegmentMasks, mode: str
) -> None:
    config = ProjectionConfig(num_steps=6, dilation=1, warmup=1.0, mode=mode, coarse=0.5)
    made = project(generator, photo, masks, config)
    first, *others = (segment.code.tensor for segment in made.segments)
    assert all(torch.equal(one, first) for one in others)
    assert not torch.equal(first[0, 0], generator.w_avg)
    again = project(generator, photo, masks, config, start=made, resume=True)
    assert torch.equal(again.segments[0].code.tensor, first)


def test_a_run_does_without_any_hook(started: Callable[..., Projection]) -> None:
    run = started(warmup=0.0)
    run.hooks = []
    before = [code.detach().clone() for code in run.latents.codes]
    assert len(list(optimize(run))) == 10 and not run.stopped
    assert not any(torch.equal(one, other) for one, other in zip(before, run.latents.codes, strict=True))


def test_the_warm_up_splits_the_shared_code_once(started: Callable[..., Projection]) -> None:
    run = started(warmup=0.3, space="w+", spaces={"block": "w"}, left_out=(GlobalCode,))
    counts = []
    for _ in optimize(run):
        counts.append(len(run.latents.codes))
    assert counts == [1] * 3 + [3] * 7
    assert run.shared_latents is not None and run.latents.spaces == run.spaces


def test_split_codes_start_where_the_shared_one_stood(started: Callable[..., Projection]) -> None:
    run = started(warmup=0.3, space="w+", spaces={"block": "w"})
    hook = run.hook(WarmUp)
    assert hook is not None and run.is_shared
    run.step = 3
    (shared,) = run.latents.latent_codes()
    hook.before_loss(run)
    assert run.losses_changed and not run.is_shared
    for name, code in zip(run.names, run.latents.latent_codes(), strict=True):
        expected = shared.tensor.mean(1) if name == "block" else shared.tensor
        assert torch.equal(code.tensor, expected)


def test_coarse_to_fine_raises_the_resolution_and_never_lowers_it(started: Callable[..., Projection]) -> None:
    run = started(warmup=0.0, coarse=0.4)
    sizes = []
    for _ in optimize(run):
        sizes.append(run.stage.level.resolution)
    assert sizes == [32] * 4 + [64] * 6
    run.step = 0
    hook = run.hook(CoarseToFine)
    assert hook is not None
    hook.before_loss(run)
    assert run.resolution == 64


LEFT_OUT = [
    (WarmUp, {"warmup": 0.3}, {"warmup": 0.0}),
    (CoarseToFine, {"coarse": 0.4}, {"coarse": 0.0}),
    (GlobalCode, {"global_code": True}, {"global_code": False}),
    (EarlyStopping, {"plateau": 1, "learning_rate": 1e-9}, {"plateau": 0, "learning_rate": 1e-9}),
    (BoundaryRefinement, {"refine_every": 2}, {"refine_every": 0}),
]


@pytest.mark.parametrize(("kind", "on", "off"), LEFT_OUT, ids=lambda one: getattr(one, "__name__", ""))
def test_leaving_a_hook_out_is_switching_it_off(
    generator: Generator, photo: Tensor, masks: SegmentMasks, kind: type[Hook], on: Any, off: Any
) -> None:
    config = ProjectionConfig(num_steps=6, dilation=1)
    wanted, other = replace(config, **on), replace(config, **off)
    hooks = [hook for hook in default_hooks(wanted) if not isinstance(hook, kind)]
    assert len(hooks) < len(default_hooks(wanted))
    assert_same(
        project(generator, photo, masks, wanted, hooks=hooks), project(generator, photo, masks, other)
    )


def test_a_run_without_divergence_can_be_gone_on_with(
    generator: Generator, photo: Tensor, masks: SegmentMasks
) -> None:
    config = ProjectionConfig(num_steps=3, dilation=1)
    hooks = [hook for hook in default_hooks(config) if not isinstance(hook, Divergence)]
    first = project(generator, photo, masks, config, hooks=hooks)
    more = project(generator, photo, masks, replace(config, num_steps=5), start=first, resume=True)
    assert more.stopped is None and {len(curve) for curve in more.losses.values()} == {5}


def test_divergence_measures_each_code_by_its_own_first_loss(started: Callable[..., Projection]) -> None:
    run, hook = started(warmup=0.0), Divergence()
    hook.before_step(run, found(1.0, 1000.0, 0.0))
    hook.before_step(run, found(150.0, 1001.0, 0.0))
    assert not run.stopped
    hook.before_step(run, found(1.0, 150_000.0, 0.0))
    assert run.stopped.startswith(f"diverged at step 1 of 10: segment {run.names[1]!r} had loss 1.5e+05")


@pytest.mark.parametrize("bad", [found(1.0, 1.0, float("nan")), found(1.0, 1.0, 1.0, grad=float("inf"))])
def test_divergence_is_also_what_is_not_finite(started: Callable[..., Projection], bad: LossAndGrads) -> None:
    run = started(warmup=0.0)
    Divergence().before_step(run, bad)
    assert "diverged" in run.stopped


def test_limits_are_saved_and_forgotten_with_the_losses(started: Callable[..., Projection]) -> None:
    run, hook, other = started(warmup=0.0), Divergence(), Divergence()
    hook.before_step(run, found(1.0, 2.0, 3.0))
    numbers: dict[str, Any] = {"spaces": list(run.spaces)}
    hook.store(numbers, {})
    other.restore(run, numbers, {})
    assert other.limits == hook.limits == {0: 200.0, 1: 300.0, 2: 400.0}
    run.stage = replace(run.stage, losses_are_new=True)
    hook.at_stage(run)
    assert not hook.limits


def test_codes_rest_once_they_no_longer_improve(started: Callable[..., Projection]) -> None:
    run, hook = started(warmup=0.0), EarlyStopping(4)
    for step in range(10):
        moving = run.latents.moving()
        run.latents.remember(moving, [(0.9**step, 1.0, 0.9**step)[i] for i in moving], step)
        run.step = step + 1
        hook.after_step(run)
    assert [one.resting for one in run.latents.history] == [False, True, False] and not run.stopped
    run.step = 100
    hook.after_step(run)
    assert run.stopped == "came to rest after step 100 of 10"


def test_nothing_rests_at_a_lower_resolution(started: Callable[..., Projection]) -> None:
    run = started(warmup=0.0, coarse=0.5)
    run.step = 100
    EarlyStopping(1).after_step(run)
    assert run.latents.moving() == [0, 1, 2]


def test_a_code_led_astray_adopts_the_global_one(started: Callable[..., Projection]) -> None:
    """Only the one that fits worse, and only with the hook."""
    ends = []
    for kept in (True, False):
        left_out = () if kept else (GlobalCode,)
        run = started(warmup=0.5, num_steps=10, space="w", left_out=left_out)
        steps = optimize(run)
        for _ in range(5):
            next(steps)
        next(steps)  # split
        with torch.no_grad():
            run.latents.codes[1].add_(3.0)
            run.latents.best_values[1].add_(3.0)
        run.latents.history[1].best_loss = float("inf")
        for _ in steps:
            pass
        ends.append(run.latents.history[1].best_loss)
    assert ends[0] < 0.5 * ends[1]


def test_the_global_code_is_part_of_the_state(started: Callable[..., Projection]) -> None:
    run = started(warmup=0.3)
    steps = optimize(run)
    for _ in range(6):
        next(steps)
    hook, other = run.hook(GlobalCode), GlobalCode(10)
    state = state_of(run)
    other.restore(run, state.numbers, state.tensors)
    assert hook is not None and hook.latents is not None and other.latents is not None
    assert torch.equal(hook.latents.codes[0], other.latents.codes[0])
    assert hook.divergence.limits == other.divergence.limits
    alone = {key: value for key, value in state.numbers.items() if key != "companion"}
    other.restore(run, alone, state.tensors)
    assert other.latents is None


def test_boundaries_move_every_so_many_steps(started: Callable[..., Projection]) -> None:
    run = started(warmup=0.0, num_steps=6, refine_every=2, refine=("block",), refine_distance=2.0)
    moved = []
    before = run.full.masks
    for _ in optimize(run):
        moved.append(run.full.masks is not before)
        before = run.full.masks
        total = before.masks.sum(0) + before.static[0]
        assert (total - 1).abs().max() < 1e-6
    assert moved == [False, False, True, False, True, False]


def test_previews_show_every_segment(started: Callable[..., Projection], photo: Tensor) -> None:
    run = started(warmup=0.0)
    preview = run.hook(PreviewBuffer)
    assert preview is not None
    from_scratch = preview.image(run)  # nothing was synthesised yet
    next(optimize(run))
    assert torch.allclose(preview.image(run), from_scratch, atol=1e-5)  # of the codes as they were judged
    assert preview.image(run).shape == photo.shape


def test_curves_have_a_value_for_every_step_that_was_made(started: Callable[..., Projection]) -> None:
    run = started(warmup=0.0)
    curves = run.hook(LossCurves)
    assert curves is not None
    curves.before_step(run, found(1.0, 2.0, 3.0))
    assert not any(run.curves.values())  # as after an error in the middle of a step
    curves.after_step(run)
    curves.before_step(run, found(4.0, 5.0, 6.0))
    curves.after_step(run)
    assert list(run.curves.values()) == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]


def test_a_state_brings_a_run_back(started: Callable[..., Projection]) -> None:
    run = started(warmup=0.3, code_noise=0.1, refine_every=0)
    steps = optimize(run)
    for _ in range(5):
        next(steps)
    state = state_of(run)
    other = started(warmup=0.3, code_noise=0.1)
    restore(other, state)
    again = state_of(other)
    assert again.step == 5 and again.numbers == state.numbers
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in state.tensors.items())


class Watching(Hook):
    """Writes down what it is asked, counts steps in the projection's state, and may stop or break the run."""

    def __init__(self, stops_at: int = -1, breaks_at: int = -1) -> None:
        self.calls: list[str] = []
        self.count, self.stops_at, self.breaks_at = 0, stops_at, breaks_at

    def before_loss(self, run: Projection) -> None:
        self.calls.append("before_loss")

    def at_stage(self, run: Projection) -> None:
        self.calls.append("at_stage")

    def before_step(self, run: Projection, found: LossAndGrads) -> None:
        self.calls.append("before_step")
        if run.step == self.stops_at:
            run.stopped = "stopped by a hook"

    def after_step(self, run: Projection) -> None:
        self.calls.append("after_step")
        self.count += 1
        if run.step == self.breaks_at:
            raise KeyboardInterrupt

    def at_end(self, run: Projection) -> None:
        self.calls.append("at_end")

    def store(self, numbers: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        numbers["count"] = self.count

    def restore(self, run: Projection, numbers: Any, tensors: Any) -> None:
        self.count = numbers["count"]


def test_a_hook_of_ones_own_is_asked_at_every_place(started: Callable[..., Projection]) -> None:
    own = Watching()
    list(optimize(started(warmup=0.0, num_steps=2, more=[own])))
    step = ["before_loss", "before_step", "after_step"]
    assert own.calls == ["at_stage", *step, *step, "at_end"]


def test_its_state_goes_on_with_the_projection(
    generator: Generator, photo: Tensor, masks: SegmentMasks, tmp_path: Path
) -> None:
    config = ProjectionConfig(num_steps=3, dilation=1)
    first = project(generator, photo, masks, config, hooks=[*default_hooks(config), Watching()])
    first.save(tmp_path / "first.safetensors")
    own, longer = Watching(), replace(config, num_steps=5)
    opened = load_inversion(tmp_path / "first.safetensors")
    hooks = [*default_hooks(longer), own]
    project(generator, photo, masks, longer, start=opened, resume=True, hooks=hooks)
    assert own.count == 5


@pytest.mark.parametrize("way", [{"stops_at": 4}, {"breaks_at": 5}], ids=str)
def test_what_it_ends_has_a_loss_for_each_step(
    generator: Generator, photo: Tensor, masks: SegmentMasks, way: dict[str, int]
) -> None:
    config = ProjectionConfig(num_steps=8, dilation=1)
    hooks, kept = [*default_hooks(config), Watching(**way)], list[Inversion]()
    with suppress(KeyboardInterrupt):
        kept.append(project(generator, photo, masks, config, hooks=hooks, autosave=kept.append))
    (record,) = kept
    assert record.state is not None and record.state.step == 4
    assert {len(curve) for curve in record.losses.values()} == {4}
