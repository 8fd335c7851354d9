"""Scaled weights of a single sample against scaled maps, and how the weights lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from chunky_core.boxes import Box
from chunky_core.generator import layers, styled_convolution
from chunky_core.generator.generator import Generator
from chunky_core.generator.layers import SynthesisLayer
from chunky_core.generator.stylegan2 import BLOCKS
from chunky_core.memory_layout import layout_of, memory_format, new_like
from tests.devices import chosen_device
from tests.test_stylegan2_variants import make

BOX = Box(5, 0, 30, 21)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Counts the layers that scale their weights, with single samples all of them."""
    made: list[int] = []
    monkeypatch.setattr(styled_convolution, "_MAPS_PER_WEIGHTS", 0)
    scaled = layers.scaled_convolution
    monkeypatch.setattr(layers, "scaled_convolution", lambda *given: made.append(1) or scaled(*given))
    yield made


def gradients(
    generator: Generator, styles: list[Tensor], noise: list[Tensor], box: Box | None
) -> list[Tensor]:
    """The picture, and the gradients of a fixed sum of it by styles and noise maps."""
    sources = [one.detach().clone().requires_grad_() for one in (*styles, *noise)]
    image = generator.synthesis(sources[: len(styles)], box, noise=sources[len(styles) :])
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return [image.detach(), *torch.autograd.grad((image * weights.to(image)).sum(), sources)]


def given(generator: Generator) -> tuple[list[Tensor], list[Tensor]]:
    rng = torch.Generator().manual_seed(5)
    dtype = generator.dtype
    styles = [
        torch.randn(1, width, generator=rng, dtype=torch.float64) for _, width in generator.style_layout
    ]
    for style in styles:
        style[:, 1] = 0.0  # a channel that is switched off still has its gradient
        style[:, 2] *= 1e-12
    maps = [torch.randn(r, r, generator=rng, dtype=torch.float64) for _, r in generator.noise_layout]
    return [style.to(dtype) for style in styles], [one.to(dtype) for one in maps]


@pytest.mark.parametrize("box", [None, BOX])
@pytest.mark.parametrize("clamp", [None, 0.8])
@pytest.mark.parametrize("block", BLOCKS)
def test_scaled_weights_are_scaled_maps(
    block: str, clamp: float | None, box: Box | None, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = make(block, clamp)
    styles, noise = given(generator)
    ours = gradients(generator, styles, noise, box)
    assert len(calls) == 7
    monkeypatch.setattr(layers, "scaled_weights_pay", lambda x, weight: False)
    calls.clear()
    plain = gradients(generator, styles, noise, box)
    assert not calls
    for found, expected in zip(ours, plain, strict=True):
        assert float((found - expected).abs().max()) <= 1e-10 * float(expected.abs().max() + 1e-30)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_loses_no_more_than_scaled_maps(
    dtype: torch.dtype, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = make("skip", None)
    styles, noise = given(wide)
    expected = gradients(wide, styles, noise, None)
    narrow = wide.to(dtype=dtype)
    low = [one.to(dtype) for one in styles], [one.to(dtype) for one in noise]
    calls.clear()
    ours = gradients(narrow, *low, None)
    assert calls
    monkeypatch.setattr(layers, "scaled_weights_pay", lambda x, weight: False)
    plain = gradients(narrow, *low, None)
    error, usual = (
        sum(
            float((one.double() - right).norm() / right.norm())
            for one, right in zip(lot, expected, strict=True)
        )
        for lot in (ours, plain)
    )
    assert error <= 1.3 * usual  # measured: 1.0


def test_half_precision_and_trained_weights_scale_their_maps(calls: list[int]) -> None:
    generator = make("skip", None).to(dtype=torch.float16)
    styles, noise = given(generator)
    generator.synthesis(styles, noise=noise)
    network = make("skip", None).module.synthesis
    trained = type(network)(w_dim=12, img_resolution=32, channel_base=256, channel_max=16)
    trained.to(chosen_device(), torch.float64)
    trained(trained.styles(torch.zeros(1, trained.num_ws, 12, dtype=torch.float64)))
    assert not calls


def test_weights_lie_as_their_device_computes(make_generator: Callable[..., Generator]) -> None:
    assert memory_format(torch.device("cpu")) == torch.channels_last
    assert memory_format(torch.device("cuda")) == torch.contiguous_format
    for name, layer in make_generator(resolution=16).module.synthesis.styled_layers():
        if isinstance(layer, SynthesisLayer):
            weight = layer.weight.transpose(0, 1) if layer.up else layer.weight
            assert weight.is_contiguous(memory_format=memory_format(weight.device)), name


def test_layout_of_parts() -> None:
    whole = torch.zeros(2, 3, 8, 9).contiguous(memory_format=torch.channels_last)
    assert layout_of(whole[:, :, 2:5, 1:4]) == torch.channels_last
    assert layout_of(whole.contiguous()[:, :, 2:5]) == torch.contiguous_format
    assert new_like(whole[..., 1:4], (2, 5, 4, 4)).is_contiguous(memory_format=torch.channels_last)
