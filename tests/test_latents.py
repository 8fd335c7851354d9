"""Codes under optimization: splitting, the best of each, saving and restoring; L-BFGS and the regularizers."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode, convert
from chunky_core.inversion.latents import LatentOptimizer, normalize_noise, pack, restore_finite, unpack
from chunky_core.inversion.optimizers import Lbfgs
from chunky_core.inversion.projection_loss import code_regularizers, noise_regularizer
from tests.devices import chosen_device

CPU = torch.device("cpu")


def in_w(*tensors: Tensor, noise: Sequence[Tensor] = (), joint: bool = False) -> LatentOptimizer:
    return LatentOptimizer([LatentCode("w", one) for one in tensors], noise, joint=joint)


def quadratic(latents: LatentOptimizer, step: int) -> None:
    """A step towards zero."""
    moving = latents.moving()
    grads = {i: 2 * latents.codes[i].detach() for i in moving}
    latents.remember(moving, [latents.codes[i].square().sum().item() for i in moving], step)
    latents.adam_step(grads, [2 * one.detach() for one in latents.noise_maps], 0.1)


def start() -> Tensor:
    return torch.randn(1, 16, generator=torch.Generator().manual_seed(0))


def assert_same(one: LatentOptimizer, other: LatentOptimizer) -> None:
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    for name in mine.keys() - {"_extra_state"}:
        assert torch.equal(mine[name], theirs[name]), name
    extra, others = mine["_extra_state"], theirs["_extra_state"]
    assert (extra["spaces"], extra["history"]) == (others["spaces"], others["history"])
    for known, other_known in zip(extra["adam"], others["adam"], strict=True):
        assert known.keys() == other_known.keys()
        assert all(torch.equal(known[key], other_known[key]) for key in known)


def test_a_split_code_goes_on_as_if_nothing_had_happened(generator: Generator) -> None:
    """The shared code hands over the optimizer's moments: on a quadratic, split and unsplit runs are the same."""
    code = generator.w_avg[None] + 1.0
    plain, latents = in_w(code), in_w(code)
    for step in range(10):
        if step == 4:
            (shared,) = latents.latent_codes()
            layers = convert(generator, shared, "w+")
            latents = latents.split([shared, shared, layers, LatentCode("z", shared.tensor)])
        for each in (plain, latents):
            quadratic(each, step)
    assert all(torch.equal(code, plain.codes[0]) for code in latents.codes[:2])
    assert not any(
        torch.equal(code, plain.codes[0]) for code in latents.codes[2:]
    )  # other spaces, fresh moments


@pytest.mark.parametrize("way", ["state_dict", "file"])
def test_restored_codes_go_on_to_the_bit(way: str) -> None:
    noise = [torch.ones(8, 8).triu(), torch.full((4, 4), 2.0).tril()]
    whole = in_w(start(), -start(), noise=noise, joint=True)
    whole.history[1].resting = True
    for step in range(5):
        quadratic(whole, step)
    if way == "file":
        numbers, tensors = pack(whole)
        restored = unpack(json.loads(json.dumps(numbers)), tensors, chosen_device(), joint=True)
    else:
        restored = LatentOptimizer.from_state_dict(copy.deepcopy(whole.state_dict()))
    assert_same(restored, whole)
    assert {tensor.device for tensor in (*restored.codes, *restored.noise_maps)} == {chosen_device()}
    for step in range(5, 9):
        for each in (whole, restored):
            quadratic(each, step)
    assert_same(restored, whole)


def test_a_state_dict_is_read_into_another_one() -> None:
    one, other = in_w(start(), -start()), in_w(-start(), start())
    quadratic(one, 0)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert_same(one, other)


def test_codes_judged_together_keep_the_best_of_one_and_the_same_step() -> None:
    latents = in_w(start(), start(), joint=True)
    for step, losses in enumerate([(1.0, 5.0), (3.0, 2.0), (0.5, 9.0)]):
        with torch.no_grad():
            for code in latents.codes:
                code.fill_(step)
        latents.remember([0, 1], losses, step)
    assert all((code.tensor == 1).all() for code in latents.best())  # 3 + 2 is the smallest sum


def test_an_adopted_code_comes_with_its_moments() -> None:
    latents, donor = in_w(start(), start()), in_w(-start())
    for step in range(3):
        quadratic(latents, step)
        quadratic(donor, step)
    latents.adopt(1, donor.codes[0].detach(), 0.5, 3, donor)
    assert torch.equal(latents.best()[1].tensor, donor.codes[0])
    for step in range(3, 6):
        quadratic(latents, step)
        quadratic(donor, step)
    assert torch.equal(latents.codes[1], donor.codes[0]) and not torch.equal(latents.codes[0], donor.codes[0])


def test_lbfgs_solves_a_badly_scaled_quadratic() -> None:
    scale = torch.logspace(-1, 1, 16)
    code = start().requires_grad_()
    search = Lbfgs([code])

    def judge() -> tuple[Tensor, list[Tensor]]:
        return (scale * code.detach().square()).sum(), [2 * scale * code.detach()]

    for _ in range(40):
        search.step(judge(), judge)
    assert (scale * code.detach().square()).sum() < 1e-8


def test_white_noise_is_what_the_regularizer_asks_for() -> None:
    rng = torch.Generator().manual_seed(1)
    white = [torch.randn(64, 64, generator=rng)]
    smooth = [torch.nn.functional.avg_pool2d(white[0][None, None], 3, 1, 1)[0, 0].clone()]
    normalize_noise(smooth)
    assert smooth[0].mean().abs() < 1e-5 and smooth[0].square().mean() == pytest.approx(1.0, abs=1e-5)
    assert noise_regularizer(white) < 0.1 * noise_regularizer(smooth)
    # one level of 8x8, written out: the squared means of the products with both neighbours
    small = torch.randn(8, 8, generator=rng)
    expected = (small * small.roll(1, 0)).mean() ** 2 + (small * small.roll(1, 1)).mean() ** 2
    assert noise_regularizer([small]).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_regularizer_to_the_mean_code_written_out(generator: Generator) -> None:
    """P2 eq. 2: its gradient is that of sum ||X_i - mean||^2 with the mean differentiated too."""
    leaves = [torch.randn(1, generator.w_dim, requires_grad=True) for _ in range(3)]
    terms = code_regularizers(generator, [LatentCode("w", leaf) for leaf in leaves], [None] * 3, 2.0, 0.0)
    found = torch.autograd.grad(torch.stack(terms).sum(), leaves)
    stacked = torch.cat(leaves)
    expected = torch.autograd.grad(2.0 * (stacked - stacked.mean(0)).square().mean(1).sum(), leaves)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(found, expected, strict=True))


def test_codes_in_different_spaces_are_held_together_in_the_first_common_one(generator: Generator) -> None:
    w = torch.randn(1, generator.w_dim, requires_grad=True)
    same = convert(generator, LatentCode("w", w.detach()), "s").tensor.clone().requires_grad_()
    terms = code_regularizers(generator, [LatentCode("w", w), LatentCode("s", same)], [None, None], 1.0, 0.0)
    assert all(term.item() == pytest.approx(0.0, abs=1e-10) for term in terms)


def test_a_code_that_is_no_longer_finite_is_restored_in_the_stored_state_only() -> None:
    """The run itself goes on to find out that it diverges."""
    latents = in_w(start(), -start())
    quadratic(latents, 0)
    with torch.no_grad():
        latents.codes[1].fill_(float("nan"))
    untouched = latents.codes[0].detach().clone()
    numbers, tensors = pack(latents)
    restore_finite(numbers, tensors)
    assert torch.equal(tensors["values/1"], -start()) and torch.equal(tensors["values/0"], untouched)
    assert "exp_avg/0" in tensors and "exp_avg/1" not in tensors and numbers["adam_steps"] == [1, 0]
    assert torch.equal(latents.codes[0], untouched) and latents.codes[1].isnan().all()
    unpack(numbers, tensors, CPU, joint=False)
