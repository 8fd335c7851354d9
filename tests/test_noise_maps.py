"""Noise maps given to synthesis take the place of the stored ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chunky_core.boxes import Box
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.region_plan import plan_region


@pytest.fixture(scope="module")
def exact(generator: Generator) -> Generator:
    return generator.to(dtype=torch.float64)


def stored(generator: Generator) -> list[Tensor]:
    state = generator.module.synthesis.state_dict()  # type: ignore[attr-defined]
    return [state[f"{name}.noise_const"].clone() for name, _ in generator.noise_layout]


def drawn(generator: Generator, seed: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [
        torch.randn(size, size, dtype=generator.dtype, generator=rng) for _, size in generator.noise_layout
    ]


def code(generator: Generator) -> Tensor:
    return torch.randn(2, generator.w_dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_layout_names_every_layer_with_noise(generator: Generator) -> None:
    assert generator.noise_layout[:4] == (
        ("b4.conv1", 4),
        ("b8.conv0", 8),
        ("b8.conv1", 8),
        ("b16.conv0", 16),
    )
    assert len(generator.noise_layout) == 9 and generator.noise_layout[-1] == ("b64.conv1", 64)


def test_the_stored_maps_change_nothing(exact: Generator) -> None:
    expected = exact.synthesis(code(exact))
    for maps in (None, (), stored(exact), [noise.float().double() for noise in stored(exact)]):
        assert torch.equal(exact.synthesis(code(exact), noise=maps), expected)


def test_given_maps_are_those_of_a_generator_that_stores_them(exact: Generator) -> None:
    maps, other = drawn(exact, 2), exact.to(dtype=torch.float32).to(dtype=torch.float64)
    for (name, _), noise in zip(other.noise_layout, maps, strict=True):
        other.module.synthesis.get_submodule(name).noise_const.copy_(noise)  # type: ignore[attr-defined]
    expected = other.synthesis(code(exact))
    assert torch.equal(exact.synthesis(code(exact), noise=maps), expected)
    box = Box(3, 20, 40, 64)
    part = exact.synthesis(code(exact), box, noise=maps)
    assert float((part - expected[:, :, 3:40, 20:64]).abs().max()) < 1e-12
    assert float((exact.synthesis(code(exact)) - expected).abs().max()) > 1e-2


def test_gradient_lies_inside_the_box_and_its_halo(exact: Generator) -> None:
    box = Box(30, 8, 44, 20)
    maps = [noise.requires_grad_() for noise in drawn(exact, 3)]
    exact.synthesis(code(exact), box, noise=maps).square().sum().backward()
    plan = {blocks.resolution: blocks for blocks in plan_region(64, box)}
    for (name, size), noise in zip(exact.noise_layout, maps, strict=True):
        gradient, part = noise.grad, plan[size].conv0 if name.endswith("conv0") else plan[size].conv1
        assert gradient is not None and float(gradient.abs().max()) > 0
        gradient[part.top : part.bottom, part.left : part.right] = 0
        assert not gradient.any(), name


def test_gradient_by_differences(exact: Generator) -> None:
    maps = [noise.requires_grad_() for noise in drawn(exact, 4)]
    weights = torch.randn(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss(noise: list[Tensor]) -> Tensor:
        return (exact.synthesis(code(exact), noise=noise) * weights).sum()

    gradients, directions = torch.autograd.grad(loss(maps), maps), drawn(exact, 5)
    with torch.no_grad():
        pairs = list(zip(maps, directions, strict=True))
        high, low = (loss([noise + step * way for noise, way in pairs]) for step in (1e-6, -1e-6))
    slope = sum(float((gradient * way).sum()) for gradient, way in zip(gradients, directions, strict=True))
    assert float(high - low) / 2e-6 == pytest.approx(slope, rel=1e-5)


def test_maps_are_not_changed(exact: Generator) -> None:
    maps, before = drawn(exact, 6), stored(exact)
    copies = [noise.clone() for noise in maps]
    exact.synthesis(code(exact).requires_grad_(), noise=maps).sum().backward()
    assert all(torch.equal(noise, copy) for noise, copy in zip(maps, copies, strict=True))
    assert all(torch.equal(noise, copy) for noise, copy in zip(stored(exact), before, strict=True))


def test_bad_maps_are_refused(generator: Generator) -> None:
    w, maps = torch.zeros(1, generator.w_dim), drawn(generator, 1)
    with pytest.raises(InvalidInputError, match="8 noise maps were given; expected 9"):
        generator.synthesis(w, noise=maps[:-1])
    with pytest.raises(
        InvalidInputError, match=r"noise map of b8.conv0 has shape \[4, 4\]; expected \[8,8\]"
    ):
        generator.synthesis(w, noise=[maps[0], maps[0], *maps[2:]])
    with pytest.raises(InvalidInputError, match="noise_mode 'none'"):
        generator.synthesis(w, noise_mode="none", noise=maps)
