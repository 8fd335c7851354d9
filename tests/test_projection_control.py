"""What the knobs of a projection do: spaces, resolutions, noise, boundaries, resting, the global code."""

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
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode
from chunky_core.inversion import (
    Inversion,
    LossConfig,
    ProjectionConfig,
    load_inversion,
    project,
    save_inversion,
)
from chunky_core.inversion.hooks import warm_up
from chunky_core.inversion.initialization import nearest_in_spaces
from chunky_core.inversion.validation import check_setup
from chunky_core.segments import SegmentMasks, segments_from_masks, single_segment
from tests.projection_tools import Interrupted, assert_same, codes, photo_of_parts, pieces, stopping_at

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


def test_segments_that_no_longer_improve_come_to_rest(
    generator: Generator, photo: Tensor, segments: SegmentMasks
) -> None:
    """With steps of no size nothing improves: a segment rests after the first step and as many as were asked for."""
    config = replace(SHORT, num_steps=40, learning_rate=1e-9, plateau=5, warmup=0.0)
    result = project(generator, photo, segments, config)
    assert {len(curve) for curve in result.losses.values()} == {6}
    assert result.stopped == "came to rest after step 6 of 40"
    more = project(generator, photo, segments, replace(config, num_steps=50), start=result, resume=True)
    assert {len(curve) for curve in more.losses.values()} == {12}  # more steps wake them
    again = project(generator, photo, segments, config, start=result, resume=True)
    assert_same(again, result)
    assert again.stopped == result.stopped
    joint = project(generator, photo, segments, replace(config, mode="joint"))
    assert {len(curve) for curve in joint.losses.values()} == {6}


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
    config = replace(SHORT, num_steps=60, plateau=2, learning_rate=0.1)
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
