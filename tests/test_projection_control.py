"""Going on, stopping, resting: how a projection is controlled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import chunky_core
from chunky_core.compositing.render import render
from chunky_core.errors import InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.inversion import (
    Alignment,
    Edit,
    Inversion,
    LossConfig,
    ProjectionConfig,
    StopProjection,
    load_inversion,
    project,
    projector,
    save_inversion,
)
from chunky_core.inversion.hooks import GlobalCode, WarmUp, warm_up
from chunky_core.inversion.initialization import nearest_in_spaces
from chunky_core.inversion.projection import Hook
from chunky_core.inversion.validation import check_setup
from chunky_core.segments import SegmentMasks, segments_from_masks, single_segment
from tests.projection_tools import assert_same, codes, photo_of_parts, pieces

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


class Interrupted(BaseException):
    """As the host's own, which is no Exception."""


def stopping_at(step: int, exception: BaseException) -> Callable[[int, int, Tensor | None], None]:
    def callback(done: int, total: int, image: Tensor | None) -> None:
        if done == step:
            raise exception

    return callback


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
    monkeypatch.setattr(projector.time, "monotonic", lambda: clock[0])

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


def test_segments_that_no_longer_improve_come_to_rest(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    """With steps of no size nothing improves: every segment rests after as many steps as were asked for."""
    config = replace(SHORT, num_steps=40, learning_rate=1e-9, plateau=5, warmup=0.0)
    result = project(generator, photo, segments, config)
    assert {len(curve) for curve in result.losses.values()} == {5}
    assert result.stopped == "came to rest after step 5 of 40"
    more = project(generator, photo, segments, replace(config, num_steps=50), start=result, resume=True)
    assert {len(curve) for curve in more.losses.values()} == {10}  # more steps wake them
    again = project(generator, photo, segments, config, start=result, resume=True)
    assert_same(again, result)
    assert again.stopped == result.stopped
    joint = project(generator, photo, segments, replace(config, mode="joint"))
    assert {len(curve) for curve in joint.losses.values()} == {5}


def test_coarse_steps_help_at_full_size(generator: Generator, photo: Tensor, segments: SegmentMasks) -> None:
    """Its previews have the photo's size; the steps at low resolution are no waste."""
    shapes = []
    config = replace(SHORT, num_steps=30, coarse=0.5)
    result = project(
        generator,
        photo,
        segments,
        config,
        callback=lambda *report: shapes.append(report[2].shape),
        preview_seconds=0,
    )
    assert set(shapes) == {photo.shape}
    started = project(generator, photo, segments, replace(SHORT, num_steps=1))
    before, after = ((render(generator, one) - photo).square().mean() for one in (started, result))
    assert after < 0.5 * before


def test_mixed_spaces(generator: Generator, photo: Tensor, segments: SegmentMasks) -> None:
    config = replace(SHORT, space="w", spaces={"block": "s", "band": "w+"}, lambda_reg=0.01, num_steps=20)
    result = project(generator, photo, segments, config)
    assert [s.code.space for s in result.segments] == ["w", "w+", "s"]
    assert all(min(curve) < 0.9 * curve[0] for curve in result.losses.values())
    with pytest.raises(InvalidInputError, match="nose"):
        project(generator, photo, segments, replace(SHORT, spaces={"nose": "s"}))


def test_torgb_styles_rest_where_they_shall(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    config = replace(SHORT, space="s", torgb=False, warmup=0.0)
    result = project(generator, photo, segments, config)
    begun = project(generator, photo, segments, replace(config, num_steps=1, learning_rate=1e-12))
    place = 0
    for name, channels in generator.style_layout:
        pairs = zip(codes(result), codes(begun), strict=True)
        moved = any(
            not torch.equal(a[:, place : place + channels], b[:, place : place + channels]) for a, b in pairs
        )
        assert moved != name.endswith("torgb")
        place += channels


def test_lbfgs_beats_adam_in_w(generator: Generator, photo: Tensor, segments: SegmentMasks) -> None:
    config = ProjectionConfig(space="w", num_steps=15, dilation=1, warmup=0.2)
    for mode in ("independent", "joint"):
        results = [
            project(generator, photo, segments, replace(config, optimizer=name, mode=mode))
            for name in ("lbfgs", "adam")
        ]
        lbfgs, adam = ((render(generator, one) - photo).square().mean() for one in results)
        assert lbfgs < adam


def test_noise_maps_are_fitted_kept_white_and_saved(
    generator: Generator, photo: Tensor, segments: SegmentMasks, tmp_path: Path
) -> None:
    config = replace(SHORT, num_steps=40, optimize_noise=True, noise_reg=10.0)
    result = project(generator, photo, segments, config)
    plain = project(generator, photo, segments, replace(config, optimize_noise=False))
    assert len(result.noise) == len(generator.noise_layout)
    for map_ in result.noise:
        assert map_.mean().abs() < 1e-4 and map_.square().mean().item() == pytest.approx(1.0, abs=1e-3)
    ours, without = ((render(generator, one) - photo).square().mean() for one in (result, plain))
    assert ours < without
    save_inversion(result, tmp_path / "noise.safetensors")
    opened = load_inversion(tmp_path / "noise.safetensors")
    assert torch.equal(render(generator, opened), render(generator, result))


def test_joint_projection_fits_the_picture(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    result = project(generator, photo, segments, replace(SHORT, mode="joint", num_steps=60))
    assert set(result.losses) == {*segments.names, "together"}
    together = result.losses["together"]
    picture = render(generator, result)
    moving = (segments.static < 1).float()
    error = ((picture - photo).square().mean(1, keepdim=True) * moving).sum() / moving.sum()
    assert all(curve[0] < 2 * together[0] for curve in result.losses.values())
    assert min(together) < 0.15 * together[0]
    assert error.item() == pytest.approx(min(together), rel=1e-3)


def test_settings_name_files_but_not_where_they_lie(
    generator: Generator, photo: Tensor, segments: SegmentMasks, tmp_path: Path
) -> None:
    """Inversions are shared; the path of a network's file is nobody's business."""
    network = tmp_path / "mine.safetensors"
    network.write_bytes(
        (Path(chunky_core.__file__).parent / "demo/assets/perceptual.safetensors").read_bytes()
    )
    config = replace(SHORT, num_steps=1, loss=LossConfig(lpips=0.1, lpips_net=str(network)))
    result = project(generator, photo, segments, config)
    assert result.settings["losses"]["lpips_net"] == "mine.safetensors"
    assert str(tmp_path) not in str(result.settings)


@pytest.mark.parametrize("mode", ["independent", "joint"])
def test_boundaries_move_while_codes_are_fitted(
    generator: Generator, photo: Tensor, segments: SegmentMasks, mode: str, tmp_path: Path
) -> None:
    """P1 2.3: the named segment grows, the others give way, and it can be interrupted like any other run."""
    config = replace(SHORT, mode=mode, refine_every=3, refine=("block",), refine_distance=2.0)
    moved = project(generator, photo, segments, config)
    areas = [
        one.masks.masks.sum(dim=(1, 2, 3)) for one in (moved, project(generator, photo, segments, SHORT))
    ]
    block = segments.names.index("block")
    assert areas[0][block] > areas[1][block]
    total = moved.masks.masks.sum(0) + moved.static_mask[0]
    assert (total - 1).abs().max() <= 1e-6
    assert torch.equal(moved.static_mask == 1, segments.static == 1)
    kept: list[Inversion] = []
    with pytest.raises(Interrupted):
        project(
            generator, photo, segments, config, callback=stopping_at(6, Interrupted()), autosave=kept.append
        )
    save_inversion(kept[0], tmp_path / "kept.safetensors")
    opened = load_inversion(tmp_path / "kept.safetensors")
    going_on = project(generator, photo, segments, config, start=opened, resume=True)
    assert_same(going_on, moved)
    assert torch.equal(going_on.masks.masks, moved.masks.masks)


def test_some_segments_rest_while_others_go_on(
    generator: Generator, photo: Tensor, segments: SegmentMasks, tmp_path: Path
) -> None:
    """Cut while one rests, saved and continued with previews: the same to the bit."""
    config = replace(SHORT, num_steps=60, plateau=3, learning_rate=0.05)
    images: list[Tensor] = []

    def watch(done: int, total: int, image: Tensor | None) -> None:
        if image is not None:
            images.append(image)

    whole = project(generator, photo, segments, config, callback=watch, preview_seconds=0)
    lengths = sorted(len(curve) for curve in whole.losses.values())
    assert lengths[0] < lengths[-1] - 2 and len(images) == lengths[-1]
    kept: list[Inversion] = []
    cut = stopping_at(lengths[0] + 1, Interrupted())
    with pytest.raises(Interrupted):
        project(generator, photo, segments, config, callback=cut, autosave=kept.append)
    save_inversion(kept[0], tmp_path / "kept.safetensors")
    opened = load_inversion(tmp_path / "kept.safetensors")
    rest = project(
        generator, photo, segments, config, start=opened, resume=True, callback=watch, preview_seconds=0
    )
    assert_same(rest, whole)
    assert (images[-1] - images[lengths[-1] - 1]).square().mean() < 1e-3


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


def test_one_segment_in_another_space_does_not_change_the_warm_up(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    """The shared code lives in the space of most; what it can't be carried into starts from near it."""
    mixed = project(generator, photo, segments, replace(SHORT, spaces={"block": "w"}))
    plain = project(generator, photo, segments, SHORT)
    shared = round(SHORT.warmup * SHORT.num_steps)
    assert mixed.losses["rest"][:shared] == plain.losses["rest"][:shared]
    only = project(generator, photo, segments, replace(SHORT, spaces={"block": "z"}))
    assert only.losses["rest"][:shared] == plain.losses["rest"][:shared]


def test_lbfgs_keeps_what_its_last_step_found(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    config = replace(SHORT, space="w", optimizer="lbfgs", num_steps=1, warmup=0.0)
    result = project(generator, photo, segments, config)
    assert all(len(curve) == 2 and curve[1] < curve[0] for curve in result.losses.values())
    assert not torch.equal(codes(result)[0], generator.w_avg[None])


def test_half_precision_with_a_segment_in_s(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    half = generator.to(dtype=torch.bfloat16)
    result = project(half, photo, segments, replace(SHORT, spaces={"block": "s"}, lambda_reg=0.01))
    assert result.stopped is None
    assert all(code.dtype == torch.float32 and code.isfinite().all() for code in codes(result))


def test_what_a_generator_cannot_do_is_named(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    with pytest.raises(InvalidInputError, match="rename it"):
        names = ("together", *segments.names[1:])
        renamed = SegmentMasks(names, segments.masks, segments.static)
        project(generator, photo, renamed, replace(SHORT, mode="joint"))
    assert generator.out_resolutions == (4, 8, 16, 32, 64)
    one_size: Any = SimpleNamespace(c_dim=0, img_resolution=256, out_resolutions=(256,))
    with pytest.raises(InvalidInputError, match="set coarse to 0"):
        check_setup(one_size, segments, ("w",), replace(SHORT, coarse=0.5))
    classes: Any = SimpleNamespace(c_dim=5, img_resolution=64, out_resolutions=(64,))
    with pytest.raises(InvalidInputError, match="choose w, w\\+ or s"):
        check_setup(classes, segments, ("z",), SHORT)


def test_a_segment_that_goes_astray_is_taken_home_by_the_shared_code(
    generator: Generator, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every segment is thrown far off after the warm-up; alone they stay there, accompanied none ends worse than
    one code for everything.
    """
    size = generator.img_resolution
    masks = {name: torch.zeros(size, size) for name in ("rest", "band", "block")}
    masks["rest"][:], masks["band"][size // 2 :], masks["block"][8:14, 8:15] = 1, 1, 1
    segments = segments_from_masks(masks)
    config = ProjectionConfig(num_steps=20, dilation=0, space="w", learning_rate=0.05)
    whole = render(generator, project(generator, photo, single_segment(segments.size), config))
    rng = torch.Generator().manual_seed(0)

    def astray(*arguments: Any) -> list[LatentCode]:
        codes = nearest_in_spaces(*arguments)
        moves = [3 * torch.randn(code.tensor.shape, generator=rng) for code in codes]
        return [replace(code, tensor=code.tensor + move) for code, move in zip(codes, moves, strict=True)]

    monkeypatch.setattr(warm_up, "nearest_in_spaces", astray)

    def ratios(companion: bool) -> list[float]:
        ours = render(generator, project(generator, photo, segments, replace(config, global_code=companion)))
        pairs = [[((one - photo).square() * mask).sum() for one in (ours, whole)] for mask in segments.masks]
        return [(error / other).item() for error, other in pairs]

    assert max(ratios(companion=True)) <= 1.001
    assert max(ratios(companion=False)) > 1.5


@pytest.mark.parametrize("pull", [{"lambda_mean": 5.0}, {"lambda_reg": 500.0}], ids=str)
def test_the_companion_respects_the_pulls(
    generator: Generator, photo: Tensor, segments: SegmentMasks, pull: dict[str, float]
) -> None:
    """What a segment is judged by, pulls included, never ends higher for its company."""
    config = replace(SHORT, num_steps=30, **pull)
    totals = []
    for companion in (True, False):
        result = project(generator, photo, segments, replace(config, global_code=companion))
        final = project(
            generator, photo, segments, replace(config, num_steps=1, learning_rate=1e-12), start=result
        )
        totals.append(sum(curve[0] for curve in final.losses.values()))
    assert totals[0] <= 1.05 * totals[1]  # each takeover moves the mean that the others are pulled to


def test_resting_segments_keep_their_codes_when_boundaries_move(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    config = replace(SHORT, num_steps=40, plateau=4, refine_every=8, refine=("band",))
    errors = []
    for companion in (True, False):
        result = project(generator, photo, segments, replace(config, global_code=companion))
        errors.append((render(generator, result) - photo).square().mean())
    assert errors[0] <= 1.1 * errors[1]
