"""StyleGAN3 against figures recorded from NVlabs' stylegan3 with the same weights, and what must hold anyway."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from chunky_core.errors import InvalidInputError, UnsupportedCheckpointError
from chunky_core.generator.architecture import architecture_from, build_module, metadata_hints
from chunky_core.generator.filters import filtered_leaky_relu, filtering, lowpass_filter
from chunky_core.generator.generator import Generator
from chunky_core.generator.stylegan3 import StyleGAN3Architecture
from tests.devices import chosen_device, on_device

RECORDED = Path(__file__).parent / "data" / "sg3_r_16.safetensors"  # configuration R, three classes


def weights(reference: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix("state/"): t for n, t in reference.items() if n.startswith("state/")}


def shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def made_from(reference: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> Generator:
    state = weights(reference)
    return Generator(build_module(architecture_from(shapes(state)), state, chosen_device(), dtype))


def error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the peak."""
    return float((found - expected).detach().abs().max() / expected.abs().max())


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    return on_device(load_file(RECORDED))


@pytest.fixture(scope="module")
def small(recorded: dict[str, Tensor]) -> Generator:
    return made_from(recorded)


def test_configuration_t_equals_the_official_network(shared: Path) -> None:
    reference = on_device(load_file(shared / "parity" / "sg3_t_64.safetensors"))
    generator = made_from(reference)
    assert generator.architecture == StyleGAN3Architecture(64, 64, 0, 64, 3, 1024, 32)
    assert error(generator.mapping(reference["in/z"]), reference["out/w"]) < 1e-5
    assert error(generator.synthesis(reference["in/w_plus"]), reference["out/image_wplus"]) < 1e-5


def test_configuration_r_equals_the_official_network(recorded: dict[str, Tensor], small: Generator) -> None:
    expected = StyleGAN3Architecture(12, 12, 3, 16, 3, 96, 10, conv_kernel=1, use_radial_filters=True)
    assert small.architecture == expected
    z, c = recorded["in/z"], recorded["in/c"]
    assert error(small.mapping(z, c), recorded["out/w"]) < 1e-5
    assert error(small.mapping(z, c, truncation_psi=0.7), recorded["out/w_psi0.7"]) < 1e-5
    codes = recorded["in/w_plus"].clone().requires_grad_()
    image = small.synthesis(codes)
    assert error(image, recorded["out/image_wplus"]) < 1e-5
    (image * recorded["in/proj"]).sum().backward()
    assert error(codes.grad, recorded["out/grad_wplus"]) < 1e-4


def test_filters_designed_equal_the_stored_ones(recorded: dict[str, Tensor], small: Generator) -> None:
    designed = on_device(type(small.module.synthesis)(small.architecture).state_dict())
    names = [name for name in weights(recorded) if name.endswith("_filter")]
    assert {recorded[f"state/{name}"].ndim for name in names} == {1, 2}
    for name in names:
        assert error(designed[name.removeprefix("synthesis.")], recorded[f"state/{name}"]) < 1e-5, name


@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize(
    "up,down,size_in,size_out",
    [
        (2, 2, (37, 37), (36, 36)),
        (4, 2, (36, 36), (52, 52)),
        (2, 2, (94, 94), (64, 64)),
        (1, 1, (9, 9), (9, 9)),
        (2, 2, (37, 19), (36, 18)),
        (4, 2, (18, 36), (26, 52)),
    ],
)
def test_filtering_equals_stuffing_zeros(
    radial: bool, up: int, down: int, size_in: tuple[int, int], size_out: tuple[int, int]
) -> None:
    fu = lowpass_filter(6 * up, 2.0, 3.0, 32.0).double() if up > 1 else None
    fd = lowpass_filter(6 * down, 3.0, 3.0, 32.0, radial=radial).double() if down > 1 else None
    x = torch.randn(2, 3, *size_in, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    bias, factors = torch.tensor([0.1, -0.4, 0.3]).double(), torch.tensor([[0.5, 2.0, 1.0]] * 2).double()
    fu, fd = (taps if taps is None else taps.to(x) for taps in (fu, fd))
    filters = filtering(fu, fd, x, up=up, down=down, sizes=(size_in, size_out), clamp=0.8)
    found = filtered_leaky_relu(x, factors, bias, filters)
    expected = stuffed(x * factors[..., None, None] + bias[:, None, None], fu, fd, up, down, size_out)
    assert error(found, expected) < 1e-6


def stuffed(
    x: Tensor, fu: Tensor | None, fd: Tensor | None, up: int, down: int, size_out: tuple[int, int]
) -> Tensor:
    """The definition: zeros between the samples and around, a convolution, the activation, one more."""
    up_kernel, down_kernel = (
        torch.ones(1, 1).to(x) if f is None else (torch.outer(f, f) if f.ndim == 1 else f) for f in (fu, fd)
    )
    padding: list[int] = []
    for length_out, length_in in zip(size_out, x.shape[2:], strict=True):
        total = (length_out - 1) * down + len(up_kernel) + len(down_kernel) - 1 - length_in * up
        before = (total + up) // 2
        padding = [before, total - before, *padding]  # the last axis comes first
    y = x.new_zeros(*x.shape[:2], x.shape[2] * up, x.shape[3] * up)
    y[:, :, ::up, ::up] = x * up**2
    y = functional.pad(y, padding).flatten(0, 1)[:, None]
    y = functional.conv2d(y, up_kernel.flip(0, 1)[None, None])
    y = (functional.leaky_relu(y, 0.2) * math.sqrt(2)).clamp(-0.8, 0.8)
    return functional.conv2d(y, down_kernel.flip(0, 1)[None, None], stride=down)[:, 0].unflatten(
        0, x.shape[:2]
    )


@pytest.mark.parametrize("radial", [False, True])
def test_gradient_of_the_filtered_activation(radial: bool) -> None:
    rng = torch.Generator().manual_seed(1)
    fu = lowpass_filter(12, 2.0, 3.0, 32.0).double()
    fd = lowpass_filter(12, 3.0, 3.0, 32.0, radial=radial).double()
    x = torch.randn(2, 2, 7, 7, dtype=torch.double, generator=rng, requires_grad=True)
    factors = torch.rand(2, 2, dtype=torch.double, generator=rng, requires_grad=True)
    bias = torch.randn(2, dtype=torch.double, generator=rng, requires_grad=True)
    fu, fd = fu.to(x), fd.to(x)
    filters = filtering(fu, fd, x, up=2, down=2, sizes=(7, 6), clamp=0.7)
    assert torch.autograd.gradcheck(lambda *v: filtered_leaky_relu(*v, filters), (x, factors, bias))


def test_gradient_of_the_network_equals_finite_differences(recorded: dict[str, Tensor]) -> None:
    generator = made_from(recorded, torch.float64)
    codes = recorded["in/w_plus"][:1].double().requires_grad_()
    direction = torch.randn(codes.shape, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    weight = recorded["in/proj"][:1].double()
    (generator.synthesis(codes) * weight).sum().backward()
    step = 1e-7 * direction
    with torch.no_grad():
        high, low = generator.synthesis(codes + step), generator.synthesis(codes - step)
    expected = float(((high - low) * weight).sum()) / 2e-7
    assert float((codes.grad * direction).sum()) == pytest.approx(expected, rel=1e-4)


def test_box_is_the_crop_of_the_whole(recorded: dict[str, Tensor], small: Generator) -> None:
    codes = recorded["in/w_plus"]
    whole = small.synthesis(codes)
    assert torch.equal(small.synthesis(codes, (2, 3, 11, 7)), whole[:, :, 2:11, 3:7])
    assert not small.supports_boxes


def test_samples_do_not_depend_on_their_batch(recorded: dict[str, Tensor], small: Generator) -> None:
    codes = recorded["in/w_plus"]
    both = small.synthesis(codes)
    assert error(torch.cat([small.synthesis(codes[:1]), small.synthesis(codes[1:])]), both) < 1e-5


def test_noise_modes_are_all_the_same(recorded: dict[str, Tensor], small: Generator) -> None:
    codes = recorded["in/w_plus"]
    images = [small.synthesis(codes, noise_mode=mode) for mode in ("const", "none", "random")]
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])


def test_styles_make_the_image_of_their_code(recorded: dict[str, Tensor], small: Generator) -> None:
    codes = recorded["in/w_plus"]
    styles = small.styles(codes)
    assert small.num_ws == 16
    assert [name for name, _ in small.style_layout][:2] == ["input", "L0_36_10"]
    assert [style.shape[1] for style in styles] == [channels for _, channels in small.style_layout]
    assert torch.equal(small.synthesis(styles), small.synthesis(codes))


@pytest.mark.parametrize(
    "settings", [{"out_resolution": 8}, {"noise_mode": "loud"}, {"box": (0, 0, 17, 4)}, {"box": (3, 3, 3, 9)}]
)
def test_wrong_settings_are_refused(recorded: dict[str, Tensor], small: Generator, settings: dict) -> None:
    with pytest.raises(InvalidInputError):
        small.synthesis(recorded["in/w_plus"], **settings)


def test_header_brings_back_every_setting(small: Generator) -> None:
    changed = replace(
        small.architecture,
        num_critical=3,
        first_cutoff=1.9,
        first_stopband=4.5,
        last_stopband_rel=1.3,
        margin_size=7,
        output_scale=1.0,
        lrelu_upsampling=4,
        channel_base=97,
        conv_clamp=None,
        lr_multiplier=0.02,
    )
    assert isinstance(changed, StyleGAN3Architecture)
    tensors = {name: tuple(t.shape) for name, t in changed.empty_module().state_dict().items()}
    assert architecture_from(tensors, metadata_hints(changed.as_metadata())) == changed
    assert architecture_from(tensors, changed.config_hints()) == changed


def test_tensors_of_another_architecture_are_named(recorded: dict[str, Tensor]) -> None:
    found = shapes(weights(recorded))
    with pytest.raises(UnsupportedCheckpointError, match=r"input\.phases is missing"):
        architecture_from({n: s for n, s in found.items() if n != "synthesis.input.phases"})
    with pytest.raises(UnsupportedCheckpointError, match="extra is unknown"):
        architecture_from({**found, "synthesis.extra": (1,)})
    with pytest.raises(UnsupportedCheckpointError, match="without gaps"):
        architecture_from({n: s for n, s in found.items() if ".L3_" not in n})
    with pytest.raises(UnsupportedCheckpointError, match=r"L0_36_10\..* is missing|L0_34_10\..* is missing"):
        architecture_from(found, {"margin_size": 9})


@pytest.mark.parametrize(
    "config_hints",
    [{"margin_size": 1e9}, {"conv_clamp": "much"}, {"num_critical": 14}, {"first_cutoff": math.nan}],
)
def test_senseless_hints_are_refused(recorded: dict[str, Tensor], config_hints: dict) -> None:
    with pytest.raises(UnsupportedCheckpointError, match=next(iter(config_hints))):
        architecture_from(shapes(weights(recorded)), config_hints)
