"""Latent codes and the way z -> w -> w+ -> s."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chunky_core.boxes import Box
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import SPACES, Direction, LatentCode, convert, synthesis_input


@pytest.fixture
def z(generator: Generator) -> Tensor:
    return torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(4))


def test_every_space_gives_the_same_image(generator: Generator, z: Tensor) -> None:
    code = LatentCode("z", z)
    expected = generator.synthesis(generator.mapping(z))
    for space in SPACES:
        converted = convert(generator, code, space)
        assert converted.space == space
        image = generator.synthesis(synthesis_input(generator, converted))
        assert float((image - expected).abs().max()) < 1e-5
        part = generator.synthesis(synthesis_input(generator, converted), Box(5, 6, 40, 30))
        assert float((part - expected[:, :, 5:40, 6:30]).abs().max()) < 1e-4


def test_shapes(generator: Generator, z: Tensor) -> None:
    shapes = {space: tuple(convert(generator, LatentCode("z", z), space).tensor.shape) for space in SPACES}
    channels = sum(channels for _, channels in generator.style_layout)
    assert shapes == {"z": (2, 32), "w": (2, 32), "w+": (2, 10, 32), "s": (2, channels)}
    assert generator.style_layout[0] == ("b4.conv1", 64)
    assert generator.style_layout[-1] == ("b64.torgb", 16)


def test_conversion_is_differentiable(generator: Generator, z: Tensor) -> None:
    leaf = z.clone().requires_grad_()
    convert(generator, LatentCode("z", leaf), "s").tensor.square().sum().backward()
    assert leaf.grad is not None
    assert float(leaf.grad.abs().min()) > 0


def test_a_style_code_moves_only_its_layer(generator: Generator, z: Tensor) -> None:
    code = convert(generator, LatentCode("z", z), "s")
    last = generator.style_layout[-1][1]
    moved = code.tensor.clone()
    moved[:, -last:] += 1
    first, second = synthesis_input(generator, code), synthesis_input(generator, LatentCode("s", moved))
    assert [torch.equal(a, b) for a, b in zip(first, second, strict=True)] == [True] * 13 + [False]


def test_no_way_back(generator: Generator) -> None:
    code = LatentCode("w+", torch.zeros(1, generator.num_ws, generator.w_dim))
    assert convert(generator, code, "w+") is code
    for space in ("z", "w", "q"):
        with pytest.raises(InvalidInputError, match="cannot become"):
            convert(generator, code, space)


def test_codes_of_another_generator_are_refused(generator: Generator) -> None:
    for code in (LatentCode("w", torch.zeros(1, 7)), LatentCode("s", torch.zeros(1, 7))):
        with pytest.raises(InvalidInputError, match="another generator"):
            synthesis_input(generator, code)


def test_records_check_their_shapes() -> None:
    with pytest.raises(InvalidInputError, match="expected 3 dimensions"):
        LatentCode("w+", torch.zeros(1, 4))
    with pytest.raises(InvalidInputError, match="one of"):
        LatentCode("p", torch.zeros(1, 4))
    with pytest.raises(InvalidInputError, match="smile"):
        Direction("smile", "w", torch.zeros(1, 4))
    with pytest.raises(InvalidInputError, match="smile"):
        Direction("smile", "z", torch.zeros(4))
    assert Direction("smile", "w+", torch.zeros(2, 4)).description == ""
