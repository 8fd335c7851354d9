"""What must hold whatever is done, each along the whole way from photo to saved picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chunky_core.compositing.composite import composite
from chunky_core.compositing.render import render
from chunky_core.errors import WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.images import from_uint8, load_image, save_image, to_uint8
from chunky_core.inversion import (
    Edit,
    Inversion,
    LossConfig,
    ProjectionConfig,
    load_inversion,
    project,
    save_inversion,
)
from chunky_core.segments import SegmentMasks, single_segment
from tests.projection_tools import assert_same, codes, photo_of_parts, pieces, same_picture

MODES = ("independent", "joint")


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=32, channel_base=512, channel_max=32)


@pytest.fixture(scope="module")
def segments(generator: Generator) -> SegmentMasks:
    return pieces(generator.img_resolution)


@pytest.fixture(scope="module")
def photo(generator: Generator, segments: SegmentMasks) -> Tensor:
    """With every grey level in its static rows, on the 8-bit grid."""
    drawn = photo_of_parts(generator, segments).clamp(-1, 1)
    levels = torch.arange(drawn[..., -3:, :].numel()).reshape(drawn[..., -3:, :].shape) % 256
    drawn[..., -3:, :] = levels / 127.5 - 1
    return from_uint8(to_uint8(drawn))


def edit_of(generator: Generator, strength: float, seed: int = 0) -> Edit:
    tensor = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(seed))
    return Edit(Direction("any", "w", tensor), strength, ("block", "band"))


@pytest.fixture(scope="module", params=MODES)
def inversion(
    request: pytest.FixtureRequest, generator: Generator, photo: Tensor, segments: SegmentMasks
) -> Inversion:
    config = ProjectionConfig(mode=request.param, num_steps=8, dilation=1, spaces={"band": "s"})
    return project(generator, photo, segments, config)


def test_1_masks_and_static_add_up_to_one(inversion: Inversion) -> None:
    masks = inversion.masks
    assert (masks.masks.sum(0) + masks.static[0] - 1).abs().max() <= 1e-6
    assert masks.masks.min() >= 0 and masks.static.min() >= 0


@pytest.mark.parametrize("finish", [render, composite])
def test_2_static_pixels_survive_rounds_of_editing_and_saving(
    generator: Generator, photo: Tensor, segments: SegmentMasks, tmp_path: Path, finish: Callable[..., Tensor]
) -> None:
    current = photo
    static = (segments.static == 1).expand_as(photo).movedim(1, -1).cpu()
    for round_ in range(5):
        config = ProjectionConfig(mode=MODES[round_ % 2], num_steps=2, dilation=1)
        edited = project(generator, current, segments, config).with_edits(edit_of(generator, 1.0, round_))
        save_image(finish(generator, edited), tmp_path / "round.png")
        current = load_image(tmp_path / "round.png")
    assert torch.equal(to_uint8(current)[static], to_uint8(photo)[static])
    assert not torch.equal(current, photo)


@pytest.mark.parametrize("losses", [LossConfig(), LossConfig(l1=0.5, ms_ssim=0.5)], ids=["l2", "structural"])
def test_3_one_all_ones_segment_is_a_global_projection_in_both_modes(
    generator: Generator, photo: Tensor, losses: LossConfig
) -> None:
    config = ProjectionConfig(num_steps=6, loss=losses, seed=3)
    size = (photo.shape[-2], photo.shape[-1])
    one, other = (
        project(generator, photo, single_segment(size), replace(config, mode=mode)) for mode in MODES
    )
    assert torch.allclose(codes(one)[0], codes(other)[0], atol=1e-4)
    assert one.losses["all"] == pytest.approx(other.losses["together"], rel=1e-4)


def test_5_edits_leave_no_trace(generator: Generator, inversion: Inversion) -> None:
    plain = render(generator, inversion)
    edited = inversion.with_edits(edit_of(generator, 2.0), edit_of(generator, 0.0, seed=1))
    assert not torch.equal(render(generator, edited), plain)
    assert torch.equal(render(generator, edited.without_edit(0)), plain)
    assert torch.equal(render(generator, edited, edited=False), plain)


def test_6_reopened_it_renders_the_same_pixels(
    generator: Generator, make_generator: Callable[..., Generator], inversion: Inversion, tmp_path: Path
) -> None:
    edited = inversion.with_edits(edit_of(generator, 2.0))
    save_inversion(edited, tmp_path / "one.safetensors")
    opened = load_inversion(tmp_path / "one.safetensors")
    assert same_picture(render(generator, opened), render(generator, edited))
    with pytest.raises(WrongGeneratorError, match="generator"):
        render(make_generator(seed=2, resolution=32, channel_base=512, channel_max=32), opened)


@pytest.mark.parametrize("mode", MODES)
def test_7_the_same_seed_gives_the_same_and_nothing_global_moves(
    generator: Generator, photo: Tensor, segments: SegmentMasks, mode: str
) -> None:
    config = ProjectionConfig(mode=mode, num_steps=4, code_noise=0.1, optimize_noise=True, seed=9)
    before, kept = torch.random.get_rng_state(), photo.clone()
    one, other = (project(generator, photo, segments, config) for _ in range(2))
    assert_same(one, other)
    assert all(torch.equal(a, b) for a, b in zip(one.noise, other.noise, strict=True))
    assert torch.equal(before, torch.random.get_rng_state()) and torch.equal(photo, kept)
    assert all(parameter.grad is None for parameter in generator.module.parameters())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 1e30},
        {"learning_rate": 1e30, "space": "s", "optimize_noise": True, "noise_reg": 1e30},
        {"space": "w", "optimizer": "lbfgs", "lambda_reg": 1e30, "warmup_photo": False},
        {"code_noise": 1e30},
    ],
    ids=str,
)
@pytest.mark.single("other dtypes overflow at other numbers")
def test_8_a_diverging_run_ends_with_good_codes_and_says_why(
    generator: Generator, photo: Tensor, segments: SegmentMasks, mode: str, settings: dict, tmp_path: Path
) -> None:
    config = ProjectionConfig(mode=mode, num_steps=6, dilation=1, **settings)
    result = project(generator, photo, segments, config)
    everything = [*codes(result), *result.noise, result.masks.masks]
    assert all(torch.isfinite(tensor).all() for tensor in everything)
    assert torch.isfinite(render(generator, result)).all()
    assert result.stopped is not None and result.stopped.startswith("diverged at step")
    save_inversion(result, tmp_path / "diverged.safetensors")
    assert same_picture(
        render(generator, load_inversion(tmp_path / "diverged.safetensors")), render(generator, result)
    )
