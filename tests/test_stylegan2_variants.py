"""StyleGAN2 with classes, residual or plain blocks and clamped layers: against NVlabs' figures, and against itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from chunky_core.boxes import Box, full_box
from chunky_core.errors import InvalidInputError, UnsupportedCheckpointError
from chunky_core.generator.architecture import (
    GeneratorModule,
    StyleGAN2Architecture,
    architecture_from,
    architecture_of,
    build_module,
    metadata_hints,
)
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.module import shapes_of
from chunky_core.generator.ops import LRELU_GAIN, LRELU_SLOPE
from chunky_core.generator.region_plan import Window
from chunky_core.generator.styled_convolution import scaled_leaky_relu
from chunky_core.generator.stylegan2 import BLOCKS, SynthesisNetwork
from chunky_core.memory_layout import memory_format
from tests.devices import chosen_device, on_device

pytestmark = pytest.mark.float64
VARIANTS = list(product(BLOCKS, (None, 0.8)))
BOXES = (Box(0, 0, 1, 1), Box(31, 0, 32, 32), Box(7, 9, 20, 12), Box(1, 1, 31, 30), Box(0, 0, 32, 32))


def make(block: str, conv_clamp: float | None, c_dim: int = 0, size: int = 32) -> Generator:
    """A generator in double precision whose weights are random, none of them zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        synthesis = SynthesisNetwork(
            w_dim=12,
            img_resolution=size,
            channel_base=8 * size,
            channel_max=16,
            block=block,
            conv_clamp=conv_clamp,
        )
        mapping = MappingNetwork(z_dim=10, w_dim=12, num_ws=synthesis.num_ws, num_layers=2, c_dim=c_dim)
        for name, tensor in (*synthesis.state_dict().items(), *mapping.state_dict().items()):
            if name.endswith(("bias", "noise_strength", "w_avg")):
                tensor.add_(torch.randn_like(tensor), alpha=0.3)
    return Generator(GeneratorModule(mapping, synthesis)).to(chosen_device(), torch.float64)


def codes(generator: Generator) -> Tensor:
    rng = torch.Generator().manual_seed(4)
    return torch.randn(2, generator.num_ws, generator.w_dim, dtype=torch.float64, generator=rng)


def cut(image: Tensor, box: Box) -> Tensor:
    return image[:, :, box.top : box.bottom, box.left : box.right]


@pytest.mark.parametrize(("block", "clamp"), VARIANTS)
def test_boxes_equal_crops(block: str, clamp: float | None) -> None:
    generator = make(block, clamp)
    ws = codes(generator).requires_grad_()
    whole = generator.synthesis(ws)
    for box in BOXES:
        part = generator.synthesis(ws, box)
        assert float((part - cut(whole, box)).detach().abs().max()) < 1e-12, box
        (found,) = torch.autograd.grad(part.square().sum(), ws)
        (expected,) = torch.autograd.grad(cut(whole, box).square().sum(), ws, retain_graph=True)
        assert float((found - expected).abs().max()) < 1e-11 * float(expected.abs().max()), box
    rng = [torch.Generator().manual_seed(7) for _ in range(2)]
    noisy = generator.synthesis(ws, noise_mode="random", rng=rng[0])
    part = generator.synthesis(ws, BOXES[2], "random", rng[1])
    assert float((part - cut(noisy, BOXES[2])).detach().abs().max()) < 1e-12


@pytest.mark.cpu("finite differences at every number, which take minutes elsewhere")
@pytest.mark.parametrize(("block", "clamp"), VARIANTS)
def test_gradients_by_finite_differences(block: str, clamp: float | None) -> None:
    rng = torch.Generator().manual_seed(3)
    network = SynthesisNetwork(
        w_dim=4, img_resolution=8, channel_base=32, channel_max=4, block=block, conv_clamp=clamp
    ).double()
    for name, tensor in network.state_dict().items():
        if not name.endswith("resample_filter"):
            tensor.normal_(generator=rng)
    ws = torch.randn(1, network.num_ws, 4, dtype=torch.float64, generator=rng).requires_grad_()
    inputs = (ws, *network.parameters())
    assert torch.autograd.gradcheck(lambda ws, *_: network(network.styles(ws)), inputs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_clamped_activation_is_the_plain_formula(dtype: torch.dtype) -> None:
    """Values and gradients against torch's own operations, in a dtype where the bound itself is rounded."""
    rng = torch.Generator().manual_seed(1)
    shapes = ((2, 3, 5, 5), (2, 3), (3,), (1, 1, 5, 5))
    inputs = [torch.randn(shape, generator=rng).to(dtype).requires_grad_() for shape in shapes]
    x, factors, bias, noise = inputs
    gain, clamp = 0.5**0.5, 0.7
    whole_gain = gain * LRELU_GAIN
    result = scaled_leaky_relu(x * 1, factors * whole_gain, bias * whole_gain, noise * whole_gain, clamp)
    wide = [tensor.detach().double().requires_grad_() for tensor in inputs]
    x, factors, bias, noise = wide
    plain = functional.leaky_relu(x * factors[:, :, None, None] + bias[:, None, None] + noise, LRELU_SLOPE)
    expected = (plain * gain * LRELU_GAIN).clamp(-clamp, clamp)
    clear = (expected.abs() != clamp) == (result.double().abs() < float(torch.tensor(clamp, dtype=dtype)))
    assert 0.1 < float((expected.abs() == clamp).double().mean()) < 0.9
    tolerance = 4 * torch.finfo(dtype).eps
    assert float((result - expected).detach().abs().max()) < tolerance * 10
    weights = clear * torch.randn(expected.shape, generator=rng).double()
    found = torch.autograd.grad((result.double() * weights).sum(), inputs)
    right = torch.autograd.grad((expected * weights).sum(), wide)
    for ours, theirs in zip(found, right, strict=True):
        assert float((ours - theirs).abs().max()) < 20 * tolerance * float(theirs.abs().max())


@pytest.mark.parametrize("block", BLOCKS)
def test_clamping(block: str) -> None:
    loose, tight, none = (make(block, clamp).synthesis for clamp in (1e6, 0.3, None))
    ws = codes(make(block, None))
    assert torch.equal(loose(ws), none(ws))
    layers = 4 if block == "skip" else 1  # RGB images that are summed
    assert float(tight(ws).abs().max()) <= 0.3 * layers
    assert float((tight(ws) - none(ws)).abs().max()) > 0.3


def test_residual_blocks_keep_the_scale() -> None:
    """Both ways have gain sqrt(1/2): an all-zero first way leaves the second, and the bound holds before it."""
    network = make("resnet", 0.5).module.synthesis
    block = network.get_submodule("b8")
    assert (block.conv0.gain, block.conv0.clamp) == (1.0, 0.5)
    assert (block.conv1.gain, block.conv1.clamp) == (0.5**0.5, 0.5 * 0.5**0.5)
    assert network.get_submodule("b4").conv1.gain == 1.0
    x = torch.randn(1, 16, 4, 4, dtype=torch.float64)
    flat = block.skip(torch.ones_like(x), Window(full_box(8)))[:, :, 3, 3]
    expected = block.skip.weight.sum(dim=(1, 2, 3)) / 4 * 0.5**0.5
    assert float((flat - expected).abs().max()) < 1e-12


@pytest.mark.parametrize("block", BLOCKS)
def test_architecture_is_read_off_the_tensors(block: str) -> None:
    generator = make(block, 256.0, c_dim=3)
    architecture = generator.architecture
    assert architecture == StyleGAN2Architecture(10, 12, 3, 32, 3, 256, 16, 2, block, 256.0)
    shapes = shapes_of(generator.module.state_dict())
    metadata = architecture.as_metadata()
    assert metadata["architecture"] == f"stylegan2-{block}"
    assert architecture_from(shapes, metadata_hints(metadata)) == architecture
    assert architecture_of(generator.module) == architecture
    assert architecture_from(shapes) != architecture  # the bound is in no shape
    with pytest.raises(UnsupportedCheckpointError, match="conv_clamp is 'much'; expected a number"):
        metadata_hints({**metadata, "conv_clamp": "much"})
    with pytest.raises(UnsupportedCheckpointError, match=r"b8\.conv0\.bias is missing"):
        architecture_from(
            {name: shape for name, shape in shapes.items() if name != "synthesis.b8.conv0.bias"}
        )


def test_headers_of_earlier_versions_stay_the_same() -> None:
    assert make("skip", None).architecture.as_metadata().keys() == {
        *("architecture", "z_dim", "w_dim", "img_resolution", "img_channels"),
        *("channel_base", "channel_max", "mapping_layers"),
    }


def test_classes() -> None:
    generator = make("skip", None, c_dim=4)
    z = torch.randn(3, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    labels = functional.one_hot(torch.tensor([2, 2, 2]), 4)
    expected = generator.mapping(z, labels)
    assert torch.equal(generator.mapping(z, 2), expected)
    assert torch.equal(generator.mapping(z, torch.tensor([2, 0, 1]))[0], expected[0])
    assert float((generator.mapping(z, 1) - expected).abs().max()) > 1e-3
    mixed = generator.mapping(z, torch.full((3, 4), 0.25))
    assert float((mixed - expected).abs().max()) > 1e-3
    half = generator.mapping(z, 2, 0.5, 3)
    assert float((half[:, :3] - (generator.w_avg + expected[:, :3]) / 2).abs().max()) < 1e-12
    assert torch.equal(half[:, 3:], expected[:, 3:])


def test_mapping_is_the_plain_formula() -> None:
    """Computed step by step with the stored tensors (Karras et al. 2020; labels as in stylegan2-ada)."""
    generator = make("skip", None, c_dim=4)
    state = generator.module.mapping.state_dict()
    z = torch.randn(3, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    embedded = (state["embed.weight"] / 4**0.5)[:, 2] + state["embed.bias"]
    x = torch.cat([_unit(z), _unit(embedded.expand(3, -1))], dim=1)
    for index, features in ((0, 22), (1, 12)):
        x = x @ state[f"fc{index}.weight"].t() * (0.01 / features**0.5) + 0.01 * state[f"fc{index}.bias"]
        x = torch.where(x > 0, x, 0.2 * x) * 2**0.5
    assert float((generator.mapping(z, 2)[:, 1] - x).abs().max()) < 1e-12


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def test_wrong_arguments_are_named() -> None:
    conditional, plain = make("skip", None, c_dim=4), make("orig", None)
    z = torch.zeros(2, 10, dtype=torch.float64)
    for wrong, message in (
        (None, "no class was given; pass c, a class from 0 to 3"),
        (4, "the class 4 was given; expected 0 to 3"),
        (torch.tensor([0, -1]), "the class -1"),
        (torch.zeros(2, 3), r"c is \(2, 3\); expected classes \[2\] or labels \[2,4\]"),
        (torch.tensor([0, 1, 2]), r"c is \(3, 4\)"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            conditional.mapping(z, wrong)
    with pytest.raises(InvalidInputError, match="no classes"):
        plain.mapping(z, 0)
    with pytest.raises(InvalidInputError, match="out_resolution is 16; this generator makes 32 pixels only"):
        plain.synthesis(codes(plain), out_resolution=16)
    with pytest.raises(InvalidInputError, match="block is 'round'"):
        SynthesisNetwork(w_dim=4, img_resolution=8, block="round")
    assert plain.synthesis(codes(plain), out_resolution=32).shape == (2, 3, 32, 32)


@pytest.mark.parametrize("block", BLOCKS)
def test_cost_falls_with_the_area(block: str) -> None:
    network = make(block, None).module.synthesis
    costs = [network.cost(Box(0, 0, side, side)) for side in (32, 20, 8, 1)]
    assert network.cost() == costs[0]
    assert costs == sorted(costs, reverse=True)


def test_fingerprint_does_not_depend_on_when_it_is_asked_for(
    make_generator: Callable[..., Generator],
) -> None:
    expected = make_generator(resolution=8).fingerprint
    late = make_generator(resolution=8).to(dtype=torch.bfloat16).to(dtype=torch.float32)
    assert late.fingerprint == expected
    assert make_generator(resolution=8).to(dtype=torch.float64).fingerprint == expected


def test_frozen_weights_are_copied_once_into_their_layout(make_generator: Callable[..., Generator]) -> None:
    generator = make_generator(resolution=16)
    state = {name: tensor.clone() for name, tensor in generator.module.state_dict().items()}
    module = build_module(generator.architecture, state, chosen_device(), torch.float32)
    addresses = {name: tensor.data_ptr() for name, tensor in module.state_dict().items()}
    built = Generator(module, architecture=generator.architecture)
    assert addresses == {name: tensor.data_ptr() for name, tensor in built.module.state_dict().items()}
    doubling = built.module.synthesis.get_submodule("b8").conv0.weight
    assert doubling.transpose(0, 1).is_contiguous(memory_format=memory_format(chosen_device()))
    assert built.fingerprint == generator.fingerprint


def recorded() -> list[Path]:
    return sorted((Path(__file__).parent / "data").glob("sg2_*.safetensors"))


@pytest.mark.parametrize("file", recorded(), ids=lambda file: file.stem)
def test_official_figures(file: Path) -> None:
    """State, inputs and outputs recorded from NVlabs' stylegan2-ada-pytorch."""
    with safe_open(file, framework="pt") as content:
        metadata = content.metadata()
    tensors = on_device(load_file(file))
    state = {name.removeprefix("state/"): t for name, t in tensors.items() if name.startswith("state/")}
    clamp = None if metadata["conv_clamp"] == "None" else float(metadata["conv_clamp"])
    architecture = architecture_from(shapes_of(state), {"conv_clamp": clamp})
    for key in ("z_dim", "w_dim", "c_dim", "img_resolution"):
        assert getattr(architecture, key) == int(metadata[key]), key
    assert architecture.as_metadata()["architecture"] == f"stylegan2-{metadata['architecture']}"
    generator = Generator(build_module(architecture, state, chosen_device(), torch.float32))
    check_codes(generator, tensors)
    check_images(generator, tensors)


def check_codes(generator: Generator, tensors: dict[str, Tensor]) -> None:
    z, c = tensors["in/z"], tensors.get("in/c")
    assert difference(generator.mapping(z, c), tensors["out/w"]) < 1e-5
    assert difference(generator.mapping(z, c, 0.7), tensors["out/w_psi0.7"]) < 1e-5
    if "in/c_soft" in tensors:
        assert difference(generator.mapping(z, tensors["in/c_soft"]), tensors["out/w_soft"]) < 1e-5
    names = sorted(name for name in tensors if name.startswith("out/styles/"))
    assert [name.split("/")[-1] for name in names] == [f"{name}.affine" for name, _ in generator.style_layout]
    for name, style in zip(names, generator.styles(tensors["in/w_plus"]), strict=True):
        assert difference(style, tensors[name]) < 1e-5, name


def check_images(generator: Generator, tensors: dict[str, Tensor]) -> None:
    ws = tensors["in/w_plus"].clone().requires_grad_()
    image = generator.synthesis(ws)
    assert difference(image, tensors["out/image_wplus_const"]) < 1e-4
    assert difference(generator.synthesis(ws, noise_mode="none"), tensors["out/image_wplus_none"]) < 1e-4
    assert difference(generator.synthesis(tensors["out/w"]), tensors["out/image_w_const"]) < 1e-4
    (image * tensors["in/proj"]).sum().backward()
    expected = tensors["out/grad_wplus"]
    assert ws.grad is not None
    assert difference(ws.grad, expected) < 1e-4 * float(expected.abs().max())


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().abs().max())
