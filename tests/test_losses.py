"""Losses of one segment: against small references, blind outside of the mask, indifferent to its area."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chunky_core.boxes import Box, full_box
from chunky_core.errors import InvalidInputError
from chunky_core.losses import (
    MS_SSIM_WEIGHTS,
    LossConfig,
    LossNetworks,
    MaskedLoss,
    ms_ssim,
    perceptual_distance,
)
from chunky_core.losses.resize import input_size, resize
from tests.toy_networks import Colours, Means, networks, only, picture


def reference_ms_ssim(x: np.ndarray, y: np.ndarray, scales: int) -> float:
    """MS-SSIM of two [C,h,w] arrays in [-1,1] by direct summation over windows, in plain NumPy."""
    axis = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(axis, axis) / axis.sum() ** 2
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    weights = np.array(MS_SSIM_WEIGHTS[:scales]) / sum(MS_SSIM_WEIGHTS[:scales])
    result = 1.0
    for scale in range(scales):
        patches_x = np.lib.stride_tricks.sliding_window_view(x, (11, 11), axis=(1, 2))
        patches_y = np.lib.stride_tricks.sliding_window_view(y, (11, 11), axis=(1, 2))
        mean_x, mean_y = (patches_x * window).sum((-1, -2)), (patches_y * window).sum((-1, -2))
        off_x, off_y = patches_x - mean_x[..., None, None], patches_y - mean_y[..., None, None]
        covariance = (off_x * off_y * window).sum((-1, -2))
        spread = ((off_x**2 + off_y**2) * window).sum((-1, -2))
        term = (2 * covariance + c2) / (spread + c2)
        if scale == scales - 1:
            term = term * (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        result *= term.mean() ** weights[scale]
        x, y = (
            a[:, : a.shape[1] // 2 * 2, : a.shape[2] // 2 * 2]
            .reshape(3, a.shape[1] // 2, 2, -1, 2)
            .mean((2, 4))
            for a in (x, y)
        )
    return result


@pytest.mark.parametrize(("size", "scales"), [((24, 20), 1), ((48, 40), 2), ((176, 192), 5)])
def test_ms_ssim_equals_an_independent_reference(size: tuple[int, int], scales: int) -> None:
    x = picture(0, *size)
    y = (x + 0.3 * picture(1, *size)).clamp(-1, 1)
    assert ms_ssim(x, y).item() == pytest.approx(
        reference_ms_ssim(x[0].numpy(), y[0].numpy(), scales), rel=1e-9
    )


def test_ms_ssim_is_one_for_identical_pictures_and_less_otherwise() -> None:
    x = picture(2, 60, 50)
    assert ms_ssim(x, x).item() == pytest.approx(1.0, abs=1e-12)
    assert ms_ssim(x, -x).item() < 0.5


def whole(config: LossConfig, photo: Tensor, mask: Tensor) -> MaskedLoss:
    return MaskedLoss(config, networks(), photo, Box(0, 0, *photo.shape[-2:]), mask)


EVERY = ("l2", "l1", "ms_ssim", "lpips", "identity")


def test_an_all_ones_mask_gives_the_ordinary_losses() -> None:
    x, y = picture(3, 40, 30), picture(4, 40, 30)
    expected = {
        "l2": (x - y).square().mean(),
        "l1": (x - y).abs().mean(),
        "ms_ssim": 1 - ms_ssim(x, y),
        "lpips": perceptual_distance(Colours().features(x), Colours().features(y)),
        "identity": 1 - (Means().embed(x) * Means().embed(y)).sum(),
    }
    for name in EVERY:
        value = whole(only(name), y, torch.ones_like(x[:, :1]))(x)
        assert value.shape == () and value.item() == pytest.approx(expected[name].item(), rel=1e-12)


def test_the_losses_are_summed_by_their_weights() -> None:
    x, y, mask = picture(3, 40, 30), picture(4, 40, 30), torch.ones(1, 1, 40, 30, dtype=torch.float64)
    weights: dict[str, Any] = {"l2": 0.5, "l1": 0.25, "ms_ssim": 2.0, "lpips": 3.0, "identity": 5.0}
    parts = sum(weight * whole(only(name), y, mask)(x) for name, weight in weights.items())
    assert whole(LossConfig(**weights), y, mask)(x).item() == pytest.approx(float(parts), rel=1e-12)


@pytest.mark.parametrize("resolution", [0, 32])
@pytest.mark.parametrize("name", EVERY)
def test_nothing_outside_of_the_mask_has_a_gradient_or_a_say(name: str, resolution: int) -> None:
    photo, box = picture(6, 60, 60), Box(8, 10, 50, 54)
    mask = torch.zeros(1, 1, 42, 44, dtype=torch.float64)
    mask[..., 12:25, 10:30] = 1
    mask[..., 12, :] *= 0.5
    loss = MaskedLoss(only(name, resolution=resolution), networks(), photo, box, mask)
    rendering = picture(5, 42, 44).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(rendering), rendering)
    outside = (mask == 0).expand_as(gradient)
    assert gradient[outside].abs().max() == 0
    assert gradient[~outside].abs().max() > 0
    altered = rendering.detach() + 5 * (mask == 0)
    assert loss(altered).item() == pytest.approx(loss(rendering).item(), rel=1e-12)
    assert loss(photo[..., 8:50, 10:54]).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["l2", "l1", "lpips"])
def test_the_loss_and_its_gradient_do_not_depend_on_the_area(name: str) -> None:
    """Brightness counts the same whether a mask covers 4x4 or 40x40 pixels of equal error."""
    found = []
    for side in (4, 40):
        mask = torch.zeros(1, 1, 40, 40)
        mask[..., :side, :side] = 1
        brightness = torch.tensor(0.25, requires_grad=True)
        loss = whole(only(name), torch.zeros(1, 3, 40, 40), mask)(brightness.expand(1, 3, 40, 40))
        found.append((loss.item(), torch.autograd.grad(loss, brightness)[0].item()))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_ms_ssim_judges_a_small_segment_like_a_large_one() -> None:
    """A wrong eye counts as much as a wrong face: the surrounding photo doesn't dilute it."""
    target, wrong = picture(7, 64, 64), picture(8, 64, 64)
    losses = []
    for half in (6, 30):
        mask = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
        mask[..., 32 - half : 32 + half, 32 - half : 32 + half] = 1
        losses.append(whole(only("ms_ssim"), target, mask)(wrong).item())
    assert losses[0] > 0.3 * losses[1]  # the areas are as 1 to 25


def test_ms_ssim_keeps_gradients_bounded_for_opposite_pictures() -> None:
    x = picture(9, 48, 48)
    rendering = (-x).requires_grad_()
    (gradient,) = torch.autograd.grad(1 - ms_ssim(rendering, x), rendering)
    assert torch.isfinite(gradient).all() and gradient.abs().max() < 1


def test_identity_sees_the_whole_photo_with_the_segment_set_into_it() -> None:
    photo, box, crop = picture(6, 60, 60), Box(8, 10, 50, 54), picture(5, 42, 44)
    mask = (picture(4, 42, 44)[:, :1] > 0).double()
    composite = photo.clone()
    composite[..., 8:50, 10:54] += mask * (crop - photo[..., 8:50, 10:54])
    expected = 1 - (Means().embed(composite) * Means().embed(photo)).sum()
    loss = MaskedLoss(only("identity"), networks(), photo, box, mask)
    assert loss(crop).item() == pytest.approx(expected.item(), rel=1e-9)


def test_the_photo_is_looked_at_once() -> None:
    parts = networks()
    loss = MaskedLoss(
        LossConfig(lpips=1, identity=1),
        parts,
        picture(1, 40, 40),
        Box(0, 0, 20, 30),
        torch.ones(1, 1, 20, 30),
    )
    for _ in range(3):
        loss(picture(2, 20, 30))
    assert len(parts.perceptual.sizes) == 1 + 3 and parts.identity.asked == 1 + 3  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("size", "longest", "smallest", "expected"),
    [
        ((100, 80), 0, 16, (100, 80)),
        ((100, 80), 50, 16, (50, 40)),
        ((40, 30), 50, 16, (40, 30)),  # never enlarged to `longest`
        ((8, 10), 50, 16, (16, 20)),
        ((200, 20), 50, 16, (160, 16)),  # thin: the network's least counts
    ],
)
def test_the_networks_see_the_crop_at_the_resolution_asked_for(
    size: tuple[int, int], longest: int, smallest: int, expected: tuple[int, int]
) -> None:
    assert input_size(size, longest, smallest) == expected
    config = only("lpips", resolution=longest)
    parts = networks()
    photo = picture(1, *size)
    MaskedLoss(config, parts, photo, Box(0, 0, *size), torch.ones(1, 1, *size))(photo)
    assert set(parts.perceptual.sizes) == {expected}  # type: ignore[union-attr]


def test_shrinking_averages_and_leaves_no_aliases() -> None:
    stripes = torch.ones(1, 3, 64, 64)
    stripes[..., ::2] = -1
    assert resize(stripes, (16, 16))[..., 2:-2].abs().max() < 0.05


def test_a_region_loss_works_on_tensors_of_inference_mode_and_changes_none() -> None:
    with torch.inference_mode():
        photo, mask = picture(1, 40, 40).float(), torch.ones(1, 1, 40, 40)
    before = photo.clone()
    loss = MaskedLoss(LossConfig(ms_ssim=1, lpips=1, identity=1), networks(), photo, full_box(40), mask)
    rendering = picture(2, 40, 40).float().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(rendering), rendering)
    assert gradient.isfinite().all() and torch.equal(photo, before)


def test_impossible_regions_are_refused() -> None:
    photo, box = picture(1, 40, 40), Box(0, 0, 20, 30)
    with pytest.raises(InvalidInputError, match=r"\[1,1,20,30\]"):
        MaskedLoss(LossConfig(), LossNetworks(), photo, box, torch.ones(1, 1, 30, 20))
    with pytest.raises(InvalidInputError, match="empty"):
        MaskedLoss(LossConfig(), LossNetworks(), photo, box, torch.zeros(1, 1, 20, 30))
    with pytest.raises(InvalidInputError, match="LPIPS .* isn't loaded"):
        MaskedLoss(LossConfig(lpips=1), LossNetworks(), photo, box, torch.ones(1, 1, 20, 30))


@pytest.mark.parametrize(
    "wrong",
    [
        {"l2": -1},
        {"l2": 0},
        {"l2": float("nan")},
        {"margin": 3},
        {"resolution": 8},
        {"identity_channels": "x"},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="expected|none below"):
        LossConfig(**wrong)
