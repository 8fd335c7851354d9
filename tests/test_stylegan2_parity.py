"""The networks against figures recorded from NVlabs' stylegan2-ada-pytorch with the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.generator.architecture import StyleGAN2Architecture, architecture_from, build_module
from chunky_core.generator.generator import Generator
from chunky_core.generator.stylegan2 import SynthesisNetwork
from tests.devices import chosen_device, on_device


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, Tensor]:
    return on_device(load_file(shared / "parity" / "sg2_ada_64.safetensors"))


@pytest.fixture(scope="module")
def official(reference: dict[str, Tensor]) -> Generator:
    """A generator with the reference's weights."""
    state = {
        name.removeprefix("state/"): tensor for name, tensor in reference.items() if name.startswith("state/")
    }
    architecture = architecture_from({name: tensor.shape for name, tensor in state.items()})
    return Generator(build_module(architecture, state, chosen_device(), torch.float32))


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().abs().max())


def test_state_names_are_the_official_ones(official: Generator, reference: dict[str, Tensor]) -> None:
    names = {name.removeprefix("state/") for name in reference if name.startswith("state/")}
    assert set(official.module.state_dict()) == names
    assert official.architecture == StyleGAN2Architecture(64, 64, 0, 64, 3, 1024, 64, 8)


def test_mapping(official: Generator, reference: dict[str, Tensor]) -> None:
    z = reference["in/z"]
    assert error(official.mapping(z), reference["out/w"]) < 1e-5
    assert error(official.mapping(z, truncation_psi=0.7), reference["out/w_psi0.7"]) < 1e-5


def test_truncation_cutoff_leaves_the_later_layers(official: Generator, reference: dict[str, Tensor]) -> None:
    ws = official.mapping(reference["in/z"], truncation_psi=0.7, truncation_cutoff=4)
    assert error(ws[:, :4], reference["out/w_psi0.7"][:, :4]) < 1e-5
    assert error(ws[:, 4:], reference["out/w"][:, 4:]) < 1e-5


def test_styles(official: Generator, reference: dict[str, Tensor]) -> None:
    names = sorted(name for name in reference if name.startswith("out/styles/"))
    assert [name.split("/")[-1] for name in names] == [
        f"{layer}.affine" for layer, _ in official.style_layout
    ]
    styles = official.styles(reference["in/w_plus"])
    assert len(styles) == len(names)
    for name, style in zip(names, styles, strict=True):
        assert error(style, reference[name]) < 1e-5


def test_images(official: Generator, reference: dict[str, Tensor]) -> None:
    w, w_plus = reference["out/w"], reference["in/w_plus"]
    assert error(official.synthesis(w), reference["out/image_w_const"]) < 1e-4
    assert error(official.synthesis(w[:, 0]), reference["out/image_w_const"]) < 1e-4
    assert error(official.synthesis(w_plus), reference["out/image_wplus_const"]) < 1e-4
    assert error(official.synthesis(w_plus, noise_mode="none"), reference["out/image_wplus_none"]) < 1e-4
    assert error(official.synthesis(official.styles(w_plus)), reference["out/image_wplus_const"]) < 1e-4


def test_gradient(official: Generator, reference: dict[str, Tensor]) -> None:
    ws = reference["in/w_plus"].clone().requires_grad_()
    (official.synthesis(ws) * reference["in/proj"]).sum().backward()
    expected = reference["out/grad_wplus"]
    assert error(ws.grad, expected) < 1e-4 * float(expected.abs().max())


@pytest.mark.cpu("finite differences at every number, which take minutes elsewhere")
def test_all_gradients_by_finite_differences() -> None:
    torch_rng = torch.Generator().manual_seed(3)
    network = SynthesisNetwork(w_dim=4, img_resolution=8, channel_base=32, channel_max=4).double()
    for name, tensor in network.state_dict().items():
        if not name.endswith("resample_filter"):
            tensor.normal_(generator=torch_rng)
    ws = torch.randn(2, network.num_ws, 4, dtype=torch.float64, generator=torch_rng).requires_grad_()
    parameters = tuple(network.parameters())
    assert torch.autograd.gradcheck(lambda ws, *_: network(network.styles(ws)), (ws, *parameters))


def test_training_gradients_equal_frozen_ones(reference: dict[str, Tensor], official: Generator) -> None:
    trained = SynthesisNetwork(w_dim=64, img_resolution=64, channel_base=1024, channel_max=64)
    trained.to(chosen_device()).load_state_dict(official.module.synthesis.state_dict())
    gradients = []
    for network in (trained, official.module.synthesis):
        ws = reference["in/w_plus"].clone().requires_grad_()
        network(network.styles(ws)).square().mean().backward()
        gradients.append(ws.grad)
    assert error(gradients[0], gradients[1]) < 1e-6 * float(gradients[1].abs().max())
    assert all(parameter.grad is not None for parameter in trained.parameters())


def test_channels_last_and_half_precision(official: Generator, reference: dict[str, Tensor]) -> None:
    expected = reference["out/image_wplus_const"]
    network = SynthesisNetwork(w_dim=64, img_resolution=64, channel_base=1024, channel_max=64)
    network.to(chosen_device()).load_state_dict(official.module.synthesis.state_dict())
    network.to(memory_format=torch.channels_last)
    assert error(network(network.styles(reference["in/w_plus"])), expected) < 1e-4
    image = official.to(dtype=torch.bfloat16).synthesis(reference["in/w_plus"])
    assert image.dtype == torch.float32
    assert float((image - expected).square().mean().sqrt()) < 0.02 * float(expected.square().mean().sqrt())


def test_pyramid_and_lower_resolution(generator: Generator) -> None:
    network = generator.module.synthesis
    styles = generator.styles(torch.randn(1, generator.w_dim))
    images = network(styles, pyramid=True)
    assert [image.shape[2] for image in images] == [4, 8, 16, 32, 64]
    assert torch.equal(images[-1], network(styles))
    assert torch.equal(images[2], network(styles, out_resolution=16))
    assert torch.equal(images[2], generator.synthesis(styles, out_resolution=16))


def test_initial_values_are_the_official_ones() -> None:
    network = SynthesisNetwork(w_dim=64, img_resolution=16, channel_base=1024, channel_max=64)
    for name, parameter in network.named_parameters():
        if name.endswith("affine.bias"):
            assert torch.equal(parameter, torch.ones_like(parameter))
        elif name.endswith(("bias", "noise_strength")):
            assert torch.equal(parameter, torch.zeros_like(parameter))
        else:
            assert abs(float(parameter.detach().std()) - 1) < 6 / (2 * parameter.numel()) ** 0.5


def test_wrong_arguments_are_named(generator: Generator) -> None:
    ws = torch.zeros(1, generator.num_ws, generator.w_dim)
    with pytest.raises(InvalidInputError, match="expected \\[B,10,32\\]"):
        generator.synthesis(ws[:, :3])
    with pytest.raises(InvalidInputError, match="styles"):
        generator.synthesis(generator.styles(ws)[:-1])
    with pytest.raises(InvalidInputError, match="styles have the shapes"):
        generator.synthesis([torch.zeros(1, 64), *generator.styles(ws.expand(2, -1, -1))[1:]])
    with pytest.raises(InvalidInputError, match="noise_mode is 'off'"):
        generator.synthesis(ws, noise_mode="off")
    with pytest.raises(InvalidInputError, match="rng"):
        generator.synthesis(ws, noise_mode="random")
    with pytest.raises(InvalidInputError, match="out_resolution is 24"):
        generator.synthesis(ws, out_resolution=24)
    with pytest.raises(InvalidInputError, match="z has shape"):
        generator.mapping(torch.zeros(1, 5))
    with pytest.raises(InvalidInputError, match="class"):
        generator.mapping(torch.zeros(1, generator.z_dim), torch.zeros(1, 2))
    with pytest.raises(InvalidInputError, match="power of two"):
        SynthesisNetwork(w_dim=4, img_resolution=24)
