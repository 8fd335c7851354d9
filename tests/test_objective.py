"""Both ways of judging codes, against plain autograd over full pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode, convert
from chunky_core.inversion import LossConfig, ProjectionConfig
from chunky_core.inversion.hooks import resolution_schedule
from chunky_core.inversion.loss_regions import PyramidLevel, loss_mask
from chunky_core.inversion.objectives import JointObjective, LossAndGrads, segment_objective
from chunky_core.losses import load_networks
from chunky_core.segments import SegmentMasks
from tests.projection_tools import photo_of_parts, pieces

SPACES = ("w+", "s", "w")


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    made = make_generator(seed=1, resolution=32, channel_base=512, channel_max=32)
    return made.to(dtype=torch.float64)


@pytest.fixture(scope="module")
def level(generator: Generator) -> PyramidLevel:
    """Three segments and a static part in float64."""
    segments = pieces(generator.img_resolution)
    photo = photo_of_parts(generator, segments).double()
    doubled = SegmentMasks(segments.names, segments.masks.double(), segments.static.double())
    return PyramidLevel(photo, doubled, loss_mask(doubled, ProjectionConfig(dilation=1)))


def random_codes(generator: Generator, seed: int = 0) -> tuple[list[Tensor], list[LatentCode]]:
    """One code in each of SPACES."""
    z = torch.randn(3, generator.z_dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ws = generator.mapping(z)[:, 0]
    codes = [convert(generator, LatentCode("w", w[None]), space) for w, space in zip(ws, SPACES, strict=True)]
    leaves = [code.tensor.detach().clone().requires_grad_() for code in codes]
    return leaves, [LatentCode(space, leaf) for space, leaf in zip(SPACES, leaves, strict=True)]


def pictures(generator: Generator, codes: list[LatentCode]) -> list[Tensor]:
    """Every code's whole picture, in one graph."""
    styles = [convert(generator, code, "s").tensor for code in codes]
    channels = [count for _, count in generator.style_layout]
    return [generator.synthesis(list(style.split(channels, dim=1))) for style in styles]


def assert_gradients(found: LossAndGrads, loss: Tensor, leaves: list[Tensor]) -> None:
    for grad, expected in zip(found.grads, torch.autograd.grad(loss, leaves), strict=True):
        assert (grad - expected).abs().max() <= 1e-10 * expected.abs().max()


def test_joint_gradients_are_those_of_one_big_graph(generator: Generator, level: PyramidLevel) -> None:
    """P2 eq. 2 and 3 written out over whole pictures, against two passes over boxes."""
    leaves, codes = random_codes(generator)
    config = ProjectionConfig(mode="joint", loss=LossConfig(l2=0.7, l1=0.3))
    found = segment_objective(generator, level, config, load_networks(config.loss), range(3))(
        codes, leaves, ()
    )
    static = level.masks.static
    parts = zip(level.masks.masks, pictures(generator, codes), strict=True)
    picture = static * level.photo + sum(mask * image for mask, image in parts)
    moving = (static < 1).double()
    difference = picture - level.photo
    errors = 0.7 * difference.square().mean(1) + 0.3 * difference.abs().mean(1)
    loss = (errors * moving[0]).sum() / moving.sum()
    assert all(one.item() == pytest.approx(loss.item(), rel=1e-12) for one in found.losses)
    assert_gradients(found, loss, leaves)


@pytest.mark.parametrize("room", [0.0, 0.3, 1.0, 100.0])
def test_it_does_not_matter_which_graphs_are_held(
    generator: Generator, level: PyramidLevel, room: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chunky_core.inversion import objectives

    leaves, codes = random_codes(generator)
    config = ProjectionConfig(mode="joint", loss=LossConfig(ms_ssim=1.0))
    arguments = (generator, level, config, load_networks(config.loss), range(3))
    expected = segment_objective(*arguments)(codes, leaves, ())
    fitting = objectives._fitting
    monkeypatch.setattr(objectives, "_fitting", lambda groups, full: fitting(groups, round(room * full)))
    changed = segment_objective(*arguments)
    assert isinstance(changed, JointObjective)
    found = changed(codes, leaves, ())
    for one, other in zip(found.grads, expected.grads, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=0)


def test_independent_gradients_are_those_of_whole_pictures(generator: Generator, level: PyramidLevel) -> None:
    """P1 2.1: each code's loss is the mean over its own dilated mask."""
    leaves, codes = random_codes(generator)
    config = ProjectionConfig(dilation=1)
    found = segment_objective(generator, level, config, load_networks(config.loss), range(3))(
        codes, leaves, ()
    )
    errors = [(image - level.photo).square().mean(1, keepdim=True) for image in pictures(generator, codes)]
    losses = [(e * m).sum() / m.sum() for e, m in zip(errors, level.loss_mask[:, None], strict=True)]
    assert [one.item() for one in found.losses] == pytest.approx([one.item() for one in losses], rel=1e-12)
    assert_gradients(found, torch.stack(losses).sum(), leaves)


@pytest.mark.parametrize("mode", ["independent", "joint"])
def test_gradients_by_shared_noise_maps(generator: Generator, level: PyramidLevel, mode: str) -> None:
    """Against a finite difference of the summed loss along a random change of all maps."""
    leaves, codes = random_codes(generator)
    rng = torch.Generator().manual_seed(4)
    maps, change = (
        [torch.randn(r, r, generator=rng, dtype=torch.float64) for _, r in generator.noise_layout]
        for _ in "ab"
    )
    config = ProjectionConfig(mode=mode, dilation=1)
    objective = segment_objective(generator, level, config, load_networks(config.loss), range(3))

    def total(shift: float) -> tuple[float, LossAndGrads]:
        moved = [(m + shift * c).requires_grad_() for m, c in zip(maps, change, strict=True)]
        found = objective(codes, leaves, moved)
        return (found.losses[0] if mode == "joint" else torch.stack(found.losses).sum()).item(), found

    slope = (total(1e-5)[0] - total(-1e-5)[0]) / 2e-5
    grads = total(0.0)[1].noise_grads
    assert sum((g * c).sum().item() for g, c in zip(grads, change, strict=True)) == pytest.approx(
        slope, rel=1e-5
    )
    assert abs(slope) > 1e-6


def test_what_the_loss_of_a_segment_reaches() -> None:
    masks = torch.zeros(1, 1, 40, 40)
    masks[..., 18:22, 18:22] = 1
    segments = SegmentMasks(("block",), masks, 1 - masks)
    whole = ProjectionConfig(dilation=2, dilation_weight=1.0)
    plain = loss_mask(segments, whole)
    around = loss_mask(segments, replace(whole, neighborhood=0.25, neighborhood_width=5))
    assert plain[0, 0, 16, 20] == 1 and plain[0, 0, 15, 20] == 0  # two pixels further, and no more
    assert torch.equal(around == 1, plain == 1)
    assert around[0, 0, 11, 20] == 0.25 and around[0, 0, 10, 20] == 0
    soft = loss_mask(segments, replace(whole, feather=1.0))
    assert (soft >= masks).all() and 0 < soft[0, 0, 15, 20] < soft[0, 0, 16, 20] < 1


def test_dilation_counts_less_than_the_mask_and_not_at_all_in_static_parts() -> None:
    """Three rows: a segment, its neighbor, and one that the photo keeps."""
    masks = torch.zeros(2, 1, 3, 8)
    masks[0, 0, 1], masks[1, 0, 2] = 1, 1
    segments = SegmentMasks(("one", "other"), masks, 1 - masks.sum(0, keepdim=True))
    found = loss_mask(segments, ProjectionConfig(dilation=1, dilation_weight=0.25))
    assert found[0, 0, :, 4].tolist() == [0, 1, 0.25]
    assert found[1, 0, :, 4].tolist() == [0, 0.25, 1]
    alone = SegmentMasks(("one",), masks[:1], 1 - masks[:1])
    assert torch.equal(loss_mask(alone, ProjectionConfig(dilation=1, dilation_weight=0.25)), masks[:1])


def test_resolutions_run_from_coarse_to_fine() -> None:
    assert resolution_schedule(0.4, 100, 256) == ((0, 64), (20, 128), (40, 256))
    assert resolution_schedule(0.4, 100, 64) == ((0, 32), (40, 64))  # 16 pixels are too few
    assert resolution_schedule(0.4, 100, 32) == ((0, 32),)
    assert resolution_schedule(0.0, 100, 256) == ((0, 256),)


def test_a_coarser_view_still_adds_up_to_one(level: PyramidLevel) -> None:
    small = level.at(level.resolution // 4)
    total = small.masks.masks.sum(0) + small.masks.static[0]
    assert (total - 1).abs().max() < 1e-6
    assert small.photo.mean().item() == pytest.approx(level.photo.mean().item(), abs=1e-9)
