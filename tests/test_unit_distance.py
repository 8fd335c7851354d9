"""The perceptual distance with a gradient of its own, against the plain formula that autograd differentiates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chunky_core.losses import perceptual_distance
from chunky_core.losses.feature_network import unit_length
from chunky_core.losses.perceptual import _Lpips, _Own, distance_from, lpips_unit_length
from chunky_core.losses.unit_features import UnitFeatures, unit_distance

KINDS = {"own": (_Own, unit_length), "lpips": (_Lpips, lpips_unit_length)}


class Maps(UnitFeatures):
    """Takes its maps for images: [B,C,h,w], and a second one made of them; random weights."""

    def __init__(self, kind: str, channels: int) -> None:
        rng = torch.Generator().manual_seed(1)
        network, self.unit_length = KINDS[kind]
        self.unit = network.unit
        self.roots = [torch.rand(channels, 1, 1, generator=rng, dtype=torch.float64) for _ in range(2)]

    @staticmethod
    def unit(squared_length: Tensor) -> tuple[Tensor, Tensor | float]:
        raise AssertionError("replaced by the kind's")

    def maps(self, images: Tensor) -> list[Tensor]:
        return [images, images[..., ::2, 1:].sin()]

    def features(self, images: Tensor) -> list[Tensor]:
        pairs = zip(self.maps(images), self.roots, strict=True)
        return [self.unit_length(maps) * root.to(maps) for maps, root in pairs]

    smallest_side = 1


def lots(dtype: torch.dtype, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    x, y = (torch.randn(2, 3, 6, 5, generator=rng, dtype=torch.float64) for _ in range(2))
    return x.to(dtype).contiguous(memory_format=layout).requires_grad_(), y[:1].to(dtype)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", KINDS)
def test_distance_and_gradient_are_the_plain_formulas(kind: str, layout: torch.memory_format) -> None:
    network = Maps(kind, 3)
    x, y = lots(torch.float64, layout)
    target = network.features(y)
    outer = torch.tensor([0.3, -2.0], dtype=torch.float64)
    plain = perceptual_distance(network.features(x), target)
    ours = unit_distance(network, x, target)
    assert torch.allclose(ours, plain, rtol=1e-12, atol=0)
    expected, found = (torch.autograd.grad(one, x, outer)[0] for one in (plain, ours))
    assert float((found - expected).abs().max()) <= 1e-12 * float(expected.abs().max())
    assert torch.equal(distance_from(network, x, target), ours)
    assert torch.autograd.gradcheck(lambda images: unit_distance(network, images, target), x)


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision(kind: str) -> None:
    network = Maps(kind, 3)
    x, y = lots(torch.float64, torch.channels_last)
    expected = perceptual_distance(network.features(x), network.features(y))
    (right,) = torch.autograd.grad(expected.sum(), x)
    network.roots = [root.float() for root in network.roots]
    x, y = lots(torch.float32, torch.channels_last)
    ours = unit_distance(network, x, network.features(y))
    assert torch.allclose(ours.double(), expected, rtol=2e-6)
    (found,) = torch.autograd.grad(ours.sum(), x)
    assert float((found - right).norm()) <= 1e-5 * float(right.norm())


@pytest.mark.parametrize("kind", KINDS)
def test_flat_and_equal_pictures(kind: str) -> None:
    """Features of zero give no NaN, and a picture has no distance from itself and no slope there."""
    network = Maps(kind, 3)
    x, y = lots(torch.float64, torch.contiguous_format)
    zero = torch.zeros_like(x).requires_grad_()
    (slope,) = torch.autograd.grad(unit_distance(network, zero, network.features(y)).sum(), zero)
    assert bool(slope.isfinite().all())
    same = unit_distance(network, x, [maps.detach() for maps in network.features(x)])
    assert float(same.detach().max()) < 1e-30
    (slope,) = torch.autograd.grad(same.sum(), x)
    assert float(slope.abs().max()) < 1e-14


def test_keeps_one_map_for_the_gradient() -> None:
    kept: list[int] = []
    network = Maps("own", 3)
    x, y = lots(torch.float64, torch.contiguous_format)
    maps = (x.detach() * 1).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda one: kept.append(one.numel()) or one, lambda one: one
    ):
        network.maps = lambda images: [images]  # type: ignore[method-assign]
        network.roots = network.roots[:1]
        unit_distance(network, maps, network.features(y))
    assert sum(kept) <= maps.numel() + y.numel()
