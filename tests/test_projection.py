"""The projection on a small random generator: it converges, and keeps the project's invariants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.compositing.render import render
from chunky_core.errors import InvalidInputError, MissingWeightsError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.inversion import LossConfig, ProjectionConfig, project, watching
from chunky_core.losses import MaskedLoss
from chunky_core.segments import SegmentMasks, single_segment
from tests.projection_tools import assert_same, codes, photo_of_parts, pieces

SHORT = ProjectionConfig(num_steps=12, dilation=1)


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=32, channel_base=512, channel_max=32)


@pytest.fixture(scope="module")
def segments(generator: Generator) -> SegmentMasks:
    return pieces(generator.img_resolution)


@pytest.fixture(scope="module")
def photo(generator: Generator, segments: SegmentMasks) -> Tensor:
    return photo_of_parts(generator, segments).clamp(
        -20, 20
    )  # what a photo may hold; low precision goes beyond it


@pytest.mark.parametrize("mode", ["independent", "joint"])
def test_every_segment_converges_and_beats_the_global_code(
    generator: Generator, photo: Tensor, segments: SegmentMasks, mode: str
) -> None:
    """In joint mode small segments do so only with gradients that don't shrink with their area."""
    config = ProjectionConfig(mode=mode, num_steps=60, dilation=1)
    inversion = project(generator, photo, segments, config)
    whole = project(generator, photo, single_segment(segments.size), config)
    assert inversion.stopped is None and inversion.fingerprint == generator.fingerprint
    ours, globally = render(generator, inversion), render(generator, whole)
    for name, mask in zip(segments.names, segments.masks, strict=True):
        assert inversion.losses[name][-1] < 0.2 * inversion.losses[name][0]
        error, global_error = (((x - photo).square() * mask).sum() for x in (ours, globally))
        assert error < global_error
    assert torch.equal(ours[..., -1, :], photo[..., -1, :])  # static


@pytest.mark.parametrize("space", ["w", "s", "z"])
def test_other_spaces_converge_too(
    generator: Generator, photo: Tensor, segments: SegmentMasks, space: str
) -> None:
    inversion = project(generator, photo, segments, replace(SHORT, space=space, num_steps=25))
    assert all(segment.code.space == space for segment in inversion.segments)
    assert all(min(curve) < 0.8 * curve[0] for curve in inversion.losses.values())


def test_one_all_ones_segment_is_plain_global_projection(generator: Generator, photo: Tensor) -> None:
    """Against the textbook loop: Adam on the mean squared error of the whole picture, from w_avg."""
    steps = 8
    config = ProjectionConfig(num_steps=steps, lambda_reg=0.3, warmup=0.5)
    inversion = project(generator, photo, single_segment((photo.shape[-2], photo.shape[-1])), config)
    ws = generator.w_avg.repeat(1, generator.num_ws, 1).requires_grad_()
    optimizer = torch.optim.Adam([ws], betas=config.adam_betas)
    curve = []
    for step in range(steps):
        t = (step + 0.5) / steps
        optimizer.param_groups[0]["lr"] = 0.1 * min(1, t / 0.05) * (1 - math_cos(min(1, (1 - t) / 0.25))) / 2
        loss = (generator.synthesis(ws) - photo).square().mean()
        curve.append(loss.item())
        if step == steps - 1:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert inversion.losses["all"] == pytest.approx(curve, rel=1e-4)
    assert torch.allclose(codes(inversion)[0].to(ws), ws.detach(), atol=1e-3)


def math_cos(fraction: float) -> float:
    return torch.cos(torch.tensor(torch.pi * fraction, dtype=torch.float64)).item()


def test_same_seed_same_result_and_no_global_state(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    config = replace(SHORT, code_noise=0.05, seed=5)
    before = torch.random.get_rng_state()
    one, other = (project(generator, photo, segments, config) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert_same(one, other)
    different = project(generator, photo, segments, replace(config, seed=6))
    assert not torch.equal(codes(one)[0], codes(different)[0])


def test_inputs_are_not_modified(generator: Generator, photo: Tensor, segments: SegmentMasks) -> None:
    photo, masks, weights = photo.clone(), segments.masks.clone(), generator.w_avg.clone()
    kept = photo.clone()
    project(generator, photo, segments, replace(SHORT, num_steps=3))
    assert torch.equal(photo, kept) and torch.equal(segments.masks, masks)
    assert torch.equal(generator.w_avg, weights)
    assert all(parameter.grad is None for parameter in generator.module.parameters())


def test_runs_under_the_hosts_inference_mode(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    """Photo, masks and weights made in inference mode, as the host makes them; same result as outside."""
    outside = project(generator, photo, segments, SHORT)
    with torch.inference_mode():
        made_inside = SegmentMasks(segments.names, segments.masks.clone(), segments.static.clone())
        module = generator.architecture.empty_module()
        module.load_state_dict({k: v.clone() for k, v in generator.module.state_dict().items()}, assign=True)
        hosted = Generator(module, fingerprint=generator.fingerprint)
        assert hosted.w_avg.is_inference() and made_inside.masks.is_inference()
        inside = project(hosted, photo.clone(), made_inside, SHORT)
        again = project(hosted, photo.clone(), made_inside, replace(SHORT, num_steps=2), start=inside)
        render(hosted, again)
    assert_same(inside, outside)
    assert not any(code.requires_grad or code.is_inference() for code in codes(inside))


def test_callback_counts_every_step_and_gets_previews_by_time(
    generator: Generator, photo: Tensor, segments: SegmentMasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes a second here: a picture at the first, when three more seconds have passed, and at the end."""
    seen: list[tuple[int, int, Tensor | None]] = []
    clock = [0.0]
    monkeypatch.setattr(watching.time, "monotonic", lambda: clock[0])

    def callback(*report: Any) -> None:
        seen.append(report)
        clock[0] += 1

    project(generator, photo, segments, SHORT, callback=callback, preview_seconds=3)
    assert [(step, total) for step, total, _ in seen] == [(step, 12) for step in range(1, 13)]
    previews = {step: image for step, _, image in seen if image is not None}
    assert list(previews) == [1, 5, 9, 12]
    static = (segments.static == 1).expand_as(photo)
    for image in previews.values():
        assert image.shape == photo.shape and not image.requires_grad
        assert torch.equal(image[static], photo[static])
    assert (previews[12] - photo).square().mean() < (previews[1] - photo).square().mean()


class Interrupted(BaseException):
    """As the host's own, which is no Exception."""


def test_an_exception_of_the_callback_stops_within_the_step(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    steps = []

    def interrupt(step: int, total: int, image: Tensor | None) -> None:
        steps.append(step)
        if step == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        project(generator, photo, segments, SHORT, callback=interrupt)
    assert steps == [1, 2, 3]


def test_a_nan_stops_with_the_last_good_codes(
    generator: Generator, photo: Tensor, segments: SegmentMasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    healthy = MaskedLoss.__call__

    def failing(self: MaskedLoss, prediction: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        loss = healthy(self, prediction)
        return loss * float("nan") if calls == 20 else loss

    monkeypatch.setattr(MaskedLoss, "__call__", failing)
    inversion = project(generator, photo, segments, replace(SHORT, warmup=0.0))
    # 3 segments: call 20 is the second one of step 7.
    assert inversion.stopped is not None
    assert "step 7 of 12" in inversion.stopped and "'band'" in inversion.stopped
    assert [len(curve) for curve in inversion.losses.values()] == [6, 6, 6]
    assert all(torch.isfinite(code).all() for code in codes(inversion))
    assert torch.isfinite(render(generator, inversion)).all()


def test_an_absurd_learning_rate_never_ends_worse_than_the_start(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    inversion = project(generator, photo, segments, replace(SHORT, learning_rate=1e20, warmup=0.0))
    error = (render(generator, inversion) - photo).square().mean()
    start = render(generator, project(generator, photo, segments, replace(SHORT, num_steps=1, warmup=0.0)))
    assert all(torch.isfinite(code).all() for code in codes(inversion))
    assert error <= (start - photo).square().mean() * 1.0001


def test_the_pull_to_the_mean_code_pulls(generator: Generator, photo: Tensor, segments: SegmentMasks) -> None:
    def dispersion(weight: float) -> float:
        inversion = project(generator, photo, segments, replace(SHORT, num_steps=16, lambda_reg=weight))
        stacked = torch.stack(codes(inversion))
        return (stacked - stacked.mean(dim=0)).square().mean().item()

    free, pulled, tight = dispersion(0.0), dispersion(1.0), dispersion(100.0)
    assert tight < pulled < free


def test_going_on_from_an_earlier_inversion(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    first = project(generator, photo, segments, replace(SHORT, space="w", num_steps=30))
    second = project(generator, photo, segments, SHORT, start=first)
    for name, curve in second.losses.items():
        assert curve[0] == pytest.approx(min(first.losses[name]), rel=0.05)
    whole = project(generator, photo, single_segment(segments.size), SHORT)
    parts = project(generator, photo, segments, replace(SHORT, num_steps=1), start=whole)
    assert all(torch.equal(code, codes(whole)[0]) for code in codes(parts))


def test_a_start_that_does_not_fit_is_refused(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    first = project(generator, photo, segments, replace(SHORT, num_steps=1))
    with pytest.raises(WrongGeneratorError, match="0123"):
        project(generator, photo, segments, SHORT, start=replace(first, fingerprint="0123"))
    with pytest.raises(InvalidInputError, match="cannot become"):
        project(generator, photo, segments, replace(SHORT, space="w"), start=first)
    renamed = SegmentMasks(("rest", "band", "other"), segments.masks, segments.static)
    with pytest.raises(InvalidInputError, match=r"no segment other \(it has rest, band, block\)"):
        project(generator, photo, renamed, SHORT, start=first)


def test_a_start_with_nan_is_refused_before_the_first_step(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    """Whatever of it the run would go on with: codes, noise maps, state."""
    good = project(generator, photo, segments, replace(SHORT, num_steps=1, optimize_noise=True))
    assert good.state is not None
    first, *others = good.segments
    code = replace(first.code, tensor=torch.full_like(first.code.tensor, float("inf")))
    noise = (torch.full_like(good.noise[0], float("nan")), *good.noise[1:])
    tensors = {**good.state.tensors, "values/0": good.state.tensors["values/0"] * float("nan")}
    cases = {
        "code of segment 'rest'": {"segments": (replace(first, code=code), *others)},
        "noise map 0": {"noise": noise},
        "state's tensor 'values/0'": {"state": replace(good.state, tensors=tensors)},
    }
    for what, spoilt in cases.items():
        with pytest.raises(InvalidInputError, match=f"{what} holds NaN or infinite"):
            project(
                generator,
                photo,
                segments,
                replace(SHORT, optimize_noise=True),
                start=replace(good, **spoilt),
                resume="state" in what,
                callback=lambda *_: pytest.fail("a step was made"),
            )


def test_a_generator_without_a_finite_mean_is_refused(
    make_generator: Callable[..., Generator], photo: Tensor, segments: SegmentMasks
) -> None:
    spoilt = make_generator(seed=1, resolution=32, channel_base=512, channel_max=32)
    spoilt.w_avg.fill_(float("nan"))
    with pytest.raises(InvalidInputError, match="its mean code in w\\+ holds NaN"):
        project(spoilt, photo, segments, SHORT)


def test_bad_input_is_named(generator: Generator, photo: Tensor, segments: SegmentMasks) -> None:
    size = generator.img_resolution
    broken = photo.clone()
    broken[0, 0, 0, 0] = float("nan")
    cases = [
        (broken, segments, "NaN"),
        (torch.zeros(1, 3, size, 2 * size), segments, f"{2 * size}x{size}.*{size}x{size}"),
        (torch.zeros(2, 3, size, size), segments, "one by one"),
        (torch.full_like(photo, 255.0), segments, "255"),
        (photo, single_segment((2 * size, 2 * size)), f"{size}x{size}, the masks are {2 * size}x{2 * size}"),
    ]
    for bad_photo, bad_segments, message in cases:
        with pytest.raises(InvalidInputError, match=message):
            project(generator, bad_photo, bad_segments, SHORT)
    for seconds in ({"preview_seconds": -1.0}, {"autosave_seconds": float("nan")}):
        with pytest.raises(InvalidInputError, match="expected 0 or more"):
            project(generator, photo, segments, SHORT, **seconds)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": 0}, "steps is 0"),
        ({"space": "f"}, "w"),
        ({"mode": "both"}, "independent, joint"),
        ({"spaces": {"eyes": "f"}}, "z, w, w\\+, s"),
        ({"optimizer": "lbfgs"}, "for w and z"),
        ({"optimizer": "lbfgs", "space": "w", "code_noise": 0.1}, "stands still"),
        ({"coarse": 1.0}, "coarse is 1.0"),
        ({"lambda_reg": float("nan")}, "lambda_reg is nan"),
        ({"plateau": -1}, "plateau is -1"),
        ({"warmup": 1.5}, "warmup is 1.5"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"dilation": -1}, "dilation is -1"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ProjectionConfig(**settings)  # type: ignore[arg-type]


def test_lpips_without_weights_is_refused_before_the_first_step(
    generator: Generator,
    photo: Tensor,
    segments: SegmentMasks,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: object,
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(MissingWeightsError, match="vgg16"):
        project(generator, photo, segments, replace(SHORT, loss=LossConfig(lpips=1.0)), callback=pytest.fail)


def test_structural_losses_converge(generator: Generator, photo: Tensor, segments: SegmentMasks) -> None:
    inversion = project(
        generator, photo, segments, replace(SHORT, loss=LossConfig(l2=0.2, l1=0.5, ms_ssim=1.0), num_steps=30)
    )
    assert all(min(curve) < 0.6 * curve[0] for curve in inversion.losses.values())
