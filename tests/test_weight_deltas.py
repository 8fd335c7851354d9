"""Deltas of weights: low ranks against their dense sums, and what a generator with a delta shares with the first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.replaced_parameters import with_parameters
from chunky_core.generator.weight_deltas import delta_bytes, with_weight_deltas
from tests.devices import tolerance

WEIGHT, BIAS = "synthesis.b16.conv0.weight", "synthesis.b32.conv1.bias"


def random_factors(generator: Generator, name: str = WEIGHT, rank: int = 2) -> dict[str, Tensor]:
    weight = generator.module.state_dict()[name]
    rng = torch.Generator().manual_seed(4)
    u = torch.randn(weight.shape[0], rank, generator=rng)
    v = torch.randn(rank, weight[0].numel(), generator=rng)
    return {f"{name}.u": 0.1 * u.half(), f"{name}.v": v.half()}


def drawn(generator: Generator) -> Tensor:
    ws = torch.randn(1, generator.num_ws, generator.w_dim, generator=torch.Generator().manual_seed(1))
    return generator.synthesis(ws.to(generator.device))


def test_a_low_rank_is_the_same_as_its_dense_sum(generator: Generator) -> None:
    delta = random_factors(generator)
    u, v = (one.float() for one in delta.values())
    dense = {WEIGHT: (u @ v).reshape(generator.module.state_dict()[WEIGHT].shape)}
    low, whole = (drawn(with_weight_deltas(generator, one)) for one in (delta, dense))
    assert (low - whole).abs().max() <= tolerance(generator.dtype) * whole.abs().max()
    assert (low - drawn(generator)).abs().max() > 0.01 * whole.abs().max()


def test_a_delta_of_zero_draws_the_same_to_the_bit(generator: Generator) -> None:
    zero = {
        name: torch.zeros_like(one) if name.endswith("u") else one
        for name, one in random_factors(generator).items()
    }
    assert torch.equal(drawn(with_weight_deltas(generator, zero)), drawn(generator))


def test_whole_and_low_rank_deltas_of_one_weight_add_up(generator: Generator) -> None:
    low, shape = random_factors(generator), generator.module.state_dict()[WEIGHT].shape
    whole = {WEIGHT: torch.full(shape, 0.05)}
    both = with_weight_deltas(generator, {**whole, **low}).module.state_dict()[WEIGHT]
    after = with_weight_deltas(with_weight_deltas(generator, whole), low).module.state_dict()[WEIGHT]
    assert torch.allclose(both, after, rtol=0, atol=tolerance(generator.dtype))


def test_untouched_tensors_lie_in_the_same_memory(generator: Generator) -> None:
    drawn(generator)  # so that its layers keep what depends on their weights
    own = with_weight_deltas(generator, {**random_factors(generator), BIAS: torch.ones(32)[: 64 // 2]})
    before, after = generator.module.state_dict(), own.module.state_dict()
    assert before.keys() == after.keys()
    moved = {name for name in before if before[name].data_ptr() != after[name].data_ptr()}
    assert moved == {WEIGHT, BIAS}
    layer, kept = generator.module.synthesis.b8.conv0, own.module.synthesis.b8.conv0
    assert layer is kept and layer.energy is not None
    touched = own.module.synthesis.b16.conv0
    assert touched.energy is None and touched.affine is generator.module.synthesis.b16.conv0.affine
    assert own.fingerprint != generator.fingerprint


def test_constants_of_touched_layers_are_made_anew(generator: Generator) -> None:
    drawn(generator)
    state = generator.module.state_dict()
    deltas = {name: 0.1 * torch.randn(one.shape) for name, one in state.items() if name in (WEIGHT, BIAS)}
    own = with_weight_deltas(generator, deltas)
    drawn(own)
    fresh = generator.to(
        generator.device, torch.float64 if generator.dtype == torch.float32 else torch.float32
    )
    fresh.module.load_state_dict(
        {name: one.to(fresh.module.state_dict()[name]) for name, one in own.module.state_dict().items()}
    )
    fresh.module.synthesis.freeze()
    error = (drawn(fresh).to(drawn(own)) - drawn(own)).abs().max()
    assert error <= max(1e-5, tolerance(generator.dtype)) * drawn(own).abs().max()


def test_weights_that_want_gradients_get_them(generator: Generator) -> None:
    """Where scaled weights pay and where they don't, against differences in double precision."""
    double = generator.to(torch.device("cpu"), torch.float64)
    names = [
        name
        for name, one in double.module.named_parameters()
        if ".affine." not in name and "synthesis" in name
    ]
    names = [
        name for name in names if name.endswith(("conv0.weight", "conv1.weight", "torgb.weight", "bias"))
    ]
    state = dict(double.module.named_parameters())
    trained = {name: state[name].detach().clone().requires_grad_() for name in names}
    ws = torch.randn(1, double.num_ws, double.w_dim, generator=torch.Generator().manual_seed(2)).double()

    def loss(tensors: dict[str, Tensor], codes: Tensor) -> Tensor:
        picture = with_parameters(double, tensors).synthesis(codes)
        return (picture * torch.linspace(-1, 1, picture.shape[-1], dtype=torch.float64)).square().mean()

    codes = ws.clone().requires_grad_()
    found = torch.autograd.grad(loss(trained, codes), [*trained.values(), codes])
    rng = torch.Generator().manual_seed(3)
    for name, grad in zip([*names, "codes"], found, strict=True):
        step = 1e-6 * torch.randn(grad.shape, generator=rng).double()
        ends = []
        for sign in (1, -1):
            moved = {
                key: one.detach() + sign * step if key == name else one.detach()
                for key, one in trained.items()
            }
            with torch.no_grad():
                ends.append(loss(moved, ws + sign * step if name == "codes" else ws))
        expected = (ends[0] - ends[1]) / 2
        assert (grad * step).sum().item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-14), name


def test_bytes_are_those_of_the_tensors(generator: Generator) -> None:
    delta = random_factors(generator, rank=3)
    assert delta_bytes(delta) == sum(2 * one.numel() for one in delta.values()) and delta_bytes({}) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": None}, r"without 'synthesis.b16.conv0.weight.u'; expected both factors"),
        ({"v": None}, r"without 'synthesis.b16.conv0.weight.v'; expected both factors"),
        ({"u": (3, 2)}, r"weight.u has shape \[3, 2\]"),
        ({"v": (2, 5)}, r"weight.v has shape \[2, 5\]"),
        ({"v": (3, 576)}, r"weight.v has shape \[3, 576\]"),
    ],
    ids=str,
)
def test_factors_that_do_not_fit(generator: Generator, change: dict, message: str) -> None:
    delta = random_factors(generator)
    for side, shape in change.items():
        delta.pop(f"{WEIGHT}.{side}")
        if shape is not None:
            delta[f"{WEIGHT}.{side}"] = torch.zeros(shape)
    with pytest.raises(InvalidInputError, match=message):
        with_weight_deltas(generator, delta)


@pytest.mark.parametrize("side", ["u", "v"])
def test_factors_that_are_not_finite(generator: Generator, side: str) -> None:
    delta = random_factors(generator)
    delta[f"{WEIGHT}.{side}"][0, 0] = float("inf")
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        with_weight_deltas(generator, delta)


def test_another_generators_delta_is_refused(
    generator: Generator, make_generator: Callable[..., Generator]
) -> None:
    other = make_generator(resolution=32, channel_base=256, channel_max=16)
    with pytest.raises(InvalidInputError, match="load the generator it was tuned for"):
        with_weight_deltas(other, random_factors(generator))
