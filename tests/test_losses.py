"""Losses of one segment: against small references, blind outside of the mask, indifferent to its area."""

from __future__ import annotations

import builtins
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError, MissingWeightsError
from chunky_core.inversion import perceptual
from chunky_core.inversion.losses import MS_SSIM_WEIGHTS, SegmentLoss, l1_loss, l2_loss, ms_ssim


def picture(seed: int, height: int, width: int) -> Tensor:
    """Smooth noise in [-1,1]."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 4 + 1, width // 4 + 1, generator=rng, dtype=torch.float64) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


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


def test_an_all_ones_mask_changes_no_loss() -> None:
    x, y = picture(3, 40, 30), picture(4, 40, 30)
    ones = torch.ones_like(x[:, :1])
    assert l2_loss(x, y, ones).item() == pytest.approx((x - y).square().mean().item(), rel=1e-12)
    assert l1_loss(x, y, ones).item() == pytest.approx((x - y).abs().mean().item(), rel=1e-12)
    assert ms_ssim(x, y, ones).item() == pytest.approx(ms_ssim(x, y).item(), rel=1e-12)


@pytest.mark.parametrize("weights", [{"l2": 1.0}, {"l2": 0.0, "l1": 1.0}, {"l2": 0.0, "ms_ssim": 1.0}])
def test_nothing_outside_of_the_mask_has_a_gradient_or_a_say(weights: dict[str, float]) -> None:
    prediction, target = picture(5, 40, 40).requires_grad_(), picture(6, 40, 40)
    mask = torch.zeros(1, 1, 40, 40, dtype=torch.float64)
    mask[..., 12:25, 10:30] = 1
    mask[..., 12, :] *= 0.5
    loss = SegmentLoss(**weights)(prediction, target, mask)
    (gradient,) = torch.autograd.grad(loss, prediction)
    outside = (mask == 0).expand_as(gradient)
    assert gradient[outside].abs().max() == 0
    assert gradient[~outside].abs().max() > 0
    altered = prediction.detach() + 5 * (mask == 0)
    assert SegmentLoss(**weights)(altered, target, mask).item() == loss.item()


@pytest.mark.parametrize("weights", [{"l2": 1.0}, {"l2": 0.0, "l1": 1.0}])
def test_the_gradient_does_not_depend_on_the_area(weights: dict[str, float]) -> None:
    """Brightness has the same gradient whether a mask covers 4x4 or 40x40 pixels of equal error."""
    gradients = []
    for side in (4, 40):
        mask = torch.zeros(1, 1, 40, 40)
        mask[..., :side, :side] = 1
        brightness = torch.tensor(0.25, requires_grad=True)
        loss = SegmentLoss(**weights)(brightness.expand(1, 3, 40, 40), torch.zeros(1, 3, 40, 40), mask)
        gradients.append(torch.autograd.grad(loss, brightness)[0].item())
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-5)


def test_ms_ssim_judges_a_small_segment_like_a_large_one() -> None:
    """A wrong eye counts as much as a wrong face: the surrounding photo doesn't dilute it."""
    target, wrong = picture(7, 64, 64), picture(8, 64, 64)
    losses = []
    for half in (6, 30):
        mask = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
        mask[..., 32 - half : 32 + half, 32 - half : 32 + half] = 1
        losses.append(SegmentLoss(l2=0, ms_ssim=1)(wrong, target, mask).item())
    assert losses[0] > 0.3 * losses[1]  # the areas are as 1 to 25


def test_ms_ssim_keeps_gradients_bounded_for_opposite_pictures() -> None:
    x = picture(9, 48, 48)
    prediction = (-x).requires_grad_()
    (gradient,) = torch.autograd.grad(1 - ms_ssim(prediction, x), prediction)
    assert torch.isfinite(gradient).all() and gradient.abs().max() < 1


def test_missing_perceptual_weights_are_named_and_not_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: pytest.fail("download"))
    for net, file in (("vgg", "vgg16-"), ("alex", "alexnet-"), ("squeeze", "squeezenet1_1-")):
        with pytest.raises(MissingWeightsError, match="L2, L1, MS-SSIM") as error:
            SegmentLoss(lpips=1.0, lpips_net=net)
        assert file in str(error.value) and str(tmp_path / "checkpoints") in str(error.value)


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_lpips(name: str, *args: object, **kwargs: object) -> object:
        if name == "lpips":
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_lpips)
    with pytest.raises(MissingWeightsError, match="pip install lpips"):
        SegmentLoss(lpips=1.0)


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="vgg, alex, squeeze"):
        SegmentLoss(lpips=1.0, lpips_net="resnet")


def test_lpips_counts_by_the_mask_and_leaves_the_random_state_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With random trunk weights in place of the download, the loss stays blind outside of the mask."""
    from torchvision import models

    monkeypatch.setattr(perceptual, "require_weights", lambda net: tmp_path)
    trunk = models.squeezenet1_1
    monkeypatch.setattr(models, "squeezenet1_1", lambda pretrained: trunk(weights=None))
    before = torch.random.get_rng_state()
    loss = SegmentLoss(l2=0.0, lpips=1.0, lpips_net="squeeze")
    assert torch.equal(before, torch.random.get_rng_state())
    prediction, target = picture(10, 40, 48).float().requires_grad_(), picture(11, 40, 48).float()
    mask = torch.zeros(1, 1, 40, 48)
    mask[..., 8:30, 10:30] = 1
    value = loss(prediction, target, mask)
    (gradient,) = torch.autograd.grad(value, prediction)
    assert value > 0 and math.isfinite(value.item())
    assert gradient[(mask == 0).expand_as(gradient)].abs().max() == 0
    assert loss(target, target, mask).item() == pytest.approx(0.0, abs=1e-9)
