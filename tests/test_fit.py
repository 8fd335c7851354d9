"""The optimiser's state by itself: splitting, resting, saving and restoring."""

from __future__ import annotations

import json

import pytest
import torch

from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode, convert
from chunky_core.inversion.fit import Fit, Lbfgs
from chunky_core.inversion.noise_maps import noise_regulariser, normalise_maps
from chunky_core.inversion.pulls import code_pulls


def quadratic(fit: Fit, step: int) -> None:
    """A step towards zero."""
    gradients = {i: 2 * code.detach() for i, code in enumerate(fit.codes) if fit.active[i]}
    fit.remember(fit.moving(), [code.square().sum().item() for code in fit.codes if code is not None], step)
    fit.adam_step(gradients, [2 * map_.detach() for map_ in fit.maps], 0.1)


def start() -> torch.Tensor:
    return torch.randn(1, 16, generator=torch.Generator().manual_seed(0))


def test_a_split_fit_goes_on_as_if_nothing_had_happened(generator: Generator) -> None:
    """The shared code hands over the optimiser's moments: on a quadratic, split and unsplit runs are the same."""
    code = generator.w_avg[None] + 1.0
    plain, fit = (Fit([code], ["w"]) for _ in range(2))
    for step in range(10):
        if step == 4:
            code = fit.codes[0]
            layers = convert(generator, LatentCode("w", code), "w+").tensor
            fit = fit.split([code, code, layers, code], ["w", "w", "w+", "z"])
        for each in (plain, fit):
            quadratic(each, step)
    assert all(torch.equal(code, plain.codes[0]) for code in fit.codes[:2])
    assert not any(torch.equal(code, plain.codes[0]) for code in fit.codes[2:])  # other spaces, fresh moments


def test_a_restored_fit_goes_on_to_the_bit() -> None:
    maps = [torch.ones(8, 8), torch.full((4, 4), 2.0)]
    whole = Fit([start(), -start()], ["w", "w"], maps, tied=True)
    for step in range(5):
        quadratic(whole, step)
    numbers, tensors = whole.state()
    restored = Fit.restore(json.loads(json.dumps(numbers)), tensors, torch.device("cpu"), tied=True)
    for step in range(5, 9):
        for fit in (whole, restored):
            quadratic(fit, step)
    for one, other in zip((*whole.codes, *whole.maps), (*restored.codes, *restored.maps), strict=True):
        assert torch.equal(one, other)
    assert all(torch.equal(a, b) for a, b in zip(whole.best, restored.best, strict=True))


def test_codes_rest_once_they_no_longer_improve() -> None:
    fit = Fit([start(), start()], ["w", "w"])
    for step in range(10):
        fit.remember(fit.moving(), [0.9**step, 1.0][: len(fit.moving())], step)
        fit.rest_idle(step + 1, 4)
    assert fit.active == [True, False]


def test_tied_codes_keep_the_best_of_one_and_the_same_step() -> None:
    fit = Fit([start(), start()], ["w", "w"], tied=True)
    for step, losses in enumerate([(1.0, 5.0), (3.0, 2.0), (0.5, 9.0)]):
        with torch.no_grad():
            for code in fit.codes:
                code.fill_(step)
        fit.remember([0, 1], losses, step)
    assert all((code == 1).all() for code in fit.best)  # 3 + 2 is the smallest sum


def test_lbfgs_solves_a_badly_scaled_quadratic() -> None:
    scale = torch.logspace(-1, 1, 16)
    code = start().requires_grad_()
    search = Lbfgs([code])

    def judge() -> tuple[torch.Tensor, list[torch.Tensor]]:
        return (scale * code.detach().square()).sum(), [2 * scale * code.detach()]

    for _ in range(40):
        search.step(judge(), judge)
    assert (scale * code.detach().square()).sum() < 1e-8


def test_white_noise_is_what_the_regulariser_asks_for() -> None:
    rng = torch.Generator().manual_seed(1)
    white = [torch.randn(64, 64, generator=rng)]
    smooth = [torch.nn.functional.avg_pool2d(white[0][None, None], 3, 1, 1)[0, 0].clone()]
    normalise_maps(smooth)
    assert smooth[0].mean().abs() < 1e-5 and smooth[0].square().mean() == pytest.approx(1.0, abs=1e-5)
    assert noise_regulariser(white) < 0.1 * noise_regulariser(smooth)
    # one level of 8x8, written out: the squared means of the products with both neighbours
    small = torch.randn(8, 8, generator=rng)
    expected = (small * small.roll(1, 0)).mean() ** 2 + (small * small.roll(1, 1)).mean() ** 2
    assert noise_regulariser([small]).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_pull_to_the_mean_code_written_out(generator: Generator) -> None:
    """P2 eq. 2: its gradient is that of sum ||X_i - mean||^2 with the mean differentiated too."""
    leaves = [torch.randn(1, generator.w_dim, requires_grad=True) for _ in range(3)]
    pulls = code_pulls(generator, [LatentCode("w", leaf) for leaf in leaves], [None] * 3, 2.0, 0.0)
    found = torch.autograd.grad(torch.stack(pulls).sum(), leaves)
    stacked = torch.cat(leaves)
    expected = torch.autograd.grad(2.0 * (stacked - stacked.mean(0)).square().mean(1).sum(), leaves)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(found, expected, strict=True))


def test_codes_in_different_spaces_are_pulled_together_in_the_first_common_one(generator: Generator) -> None:
    w = torch.randn(1, generator.w_dim, requires_grad=True)
    same = convert(generator, LatentCode("w", w.detach()), "s").tensor.clone().requires_grad_()
    pulls = code_pulls(generator, [LatentCode("w", w), LatentCode("s", same)], [None, None], 1.0, 0.0)
    assert all(pull.item() == pytest.approx(0.0, abs=1e-10) for pull in pulls)


def test_a_code_that_is_no_longer_finite_is_mended_by_its_best_in_the_state_only() -> None:
    """The run itself goes on to find out that it diverges."""
    fit = Fit([start(), -start()], ["w", "w"])
    quadratic(fit, 0)
    with torch.no_grad():
        fit.codes[1].fill_(float("nan"))
    untouched = fit.codes[0].detach().clone()
    _, tensors = fit.mended_state()
    assert torch.equal(tensors["values/1"], -start()) and torch.equal(tensors["values/0"], untouched)
    assert "exp_avg/0" in tensors and "exp_avg/1" not in tensors
    assert torch.equal(fit.codes[0], untouched) and fit.codes[1].isnan().all()


def test_the_limit_of_a_code_is_its_own() -> None:
    fit = Fit([start(), start()], ["w", "w"])
    fine = [torch.zeros(1, 16)] * 2
    assert fit.diverging([0, 1], [1.0, 1000.0], fine) is None
    assert fit.diverging([1], [1001.0], fine[:1]) is None  # the other one rests
    assert fit.diverging([0, 1], [1001.0, 1001.0], fine) == 0
    assert fit.diverging([1], [1.0], [fine[0] / 0]) == 1
