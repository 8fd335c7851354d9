"""Synthesis that goes on from kept features: the same numbers as a pass from the beginning."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.partial_synthesis import common_layers
from tests.devices import on_device
from tests.test_stylegan2_variants import make as make_variant
from tests.test_stylegan3 import RECORDED, made_from

BOX, SMALL = (9, 20, 41, 53), (1, 3, 9, 12)


def random_styles(generator: Generator, seed: int) -> list[Tensor]:
    z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(seed)).to(generator.device)
    return generator.styles(generator.mapping(z, 0 if generator.c_dim else None))


def changed_from(styles: list[Tensor], layer: int) -> list[Tensor]:
    return [style + (index >= layer) * 0.3 for index, style in enumerate(styles)]


def random_noise(generator: Generator) -> list[Tensor]:
    rng = torch.Generator().manual_seed(3)
    sizes = [generator.size_at(resolution) for _, resolution in generator.noise_layout]
    return [torch.randn(*size, generator=rng).to(generator.device, generator.dtype) for size in sizes]


@pytest.mark.parametrize("box", [None, BOX])
@pytest.mark.parametrize("own_noise", [True, False])
def test_going_on_from_any_layer_gives_the_same_numbers(
    generator: Generator, box: tuple[int, int, int, int] | None, own_noise: bool
) -> None:
    styles, noise = random_styles(generator, 0), None if own_noise else random_noise(generator)
    for layer in range(len(generator.style_layout) + 1):
        start = generator.partial_synthesis(styles, layer, box, noise)
        other = changed_from(styles, layer)
        whole = generator.synthesis(other, box, noise=noise)
        assert torch.equal(generator.synthesis(other, noise=noise, start=start), whole)
        assert start.layer == layer and start.fits(other)
        assert torch.equal(generator.synthesis(other, noise=noise, start=start), whole)  # it is as it was


def test_a_start_goes_on_itself(generator: Generator) -> None:
    styles = random_styles(generator, 0)
    early = generator.partial_synthesis(styles, 3, BOX)
    late = generator.partial_synthesis(styles, 8, start=early)
    assert late.layer == 8 and early.layer == 3
    assert torch.equal(generator.synthesis(styles, start=late), generator.synthesis(styles, BOX))
    assert generator.partial_synthesis(styles, 2, start=early) is early


@pytest.mark.parametrize("block", ["resnet", "orig"])
def test_other_blocks(block: str) -> None:
    generator = make_variant(block, 0.8)
    styles = random_styles(generator, 1)
    for layer in range(len(generator.style_layout)):
        start = generator.partial_synthesis(styles, layer, SMALL)
        other = changed_from(styles, layer)
        assert torch.equal(generator.synthesis(other, start=start), generator.synthesis(other, SMALL))


def test_stylegan3() -> None:
    generator = made_from(on_device(load_file(RECORDED)))
    styles = random_styles(generator, 2)
    for layer in (0, 1, 5, len(styles) - 1):
        start = generator.partial_synthesis(styles, layer, SMALL)
        other = changed_from(styles, layer)
        whole = generator.synthesis(other, SMALL)
        assert torch.equal(generator.synthesis(other, start=start), whole)


def test_other_styles_than_those_begun_with_are_refused(generator: Generator) -> None:
    styles = random_styles(generator, 0)
    start = generator.partial_synthesis(styles, 5, BOX)
    for further in (
        generator.synthesis,
        lambda codes, start: generator.partial_synthesis(codes, 7, start=start),
    ):
        with pytest.raises(InvalidInputError, match="other styles from layer 4 on and ends before layer 5"):
            further(changed_from(styles, 4), start=start)


def test_layers_in_common(generator: Generator) -> None:
    styles = random_styles(generator, 0)
    assert common_layers(styles, styles) == len(styles)
    assert common_layers(styles, [style.clone() for style in styles]) == len(styles)
    assert [common_layers(styles, changed_from(styles, layer)) for layer in (0, 4)] == [0, 4]


@pytest.mark.parametrize("box", [None, BOX])
def test_costs_of_the_layers_add_up(generator: Generator, box: tuple[int, int, int, int] | None) -> None:
    count = len(generator.style_layout)
    costs = [generator.cost(box, first_layer=layer) for layer in range(count + 1)]
    assert costs[0] == generator.cost(box) and costs[-1] == (0, 0)
    assert all(one.macs > other.macs for one, other in zip(costs, costs[1:], strict=False))
    *_, (name, channels) = generator.style_layout
    area = (BOX[2] - BOX[0]) * (BOX[3] - BOX[1]) if box else generator.img_resolution**2
    assert name.endswith("torgb") and costs[-2] == (3 * channels * area, 0)
