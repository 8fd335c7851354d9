"""Generators under other tools' names: the weights that went in come out, in every layout."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from chunky_core.checkpoints.generators import load_generator, save_generator
from chunky_core.generator.architecture import GeneratorModule
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.stylegan3 import StyleGAN3Architecture, StyleGAN3Synthesis
from tests.checkpoint_writers import (
    WRITERS,
    foreign_names,
    persistent_module,
    state_of,
    write_stylegan_xl,
)
from tests.foreign_layouts import basicsr_state, genforce_state, mmagic_state
from tests.hostile_tools import refusal

STATES = {"basicsr": basicsr_state, "genforce": genforce_state, "mmagic": mmagic_state}
FORMATS = {"basicsr": "BasicSR", "genforce": "GenForce", "mmagic": "mmagic"}


@pytest.fixture
def small(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(resolution=16, w_dim=16, channel_base=128, channel_max=16)


@pytest.mark.parametrize("kind", STATES)
def test_a_tools_training_file(kind: str, small: Generator, tmp_path: Path) -> None:
    WRITERS[kind](small, tmp_path / "file.pth")
    loaded = load_generator(tmp_path / "file.pth")
    expected = state_of(small)
    for name, tensor in loaded.module.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=0)
    assert loaded.metadata["format"].startswith(FORMATS[kind])
    assert "averaged" in loaded.metadata["notes"]


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("prefix", ["", "module.", "models.generator_smooth."])
def test_names_alone_wherever_they_lie(kind: str, prefix: str, small: Generator, tmp_path: Path) -> None:
    weights = {prefix + name: tensor for name, tensor in STATES[kind](state_of(small)).items()}
    torch.save({"state_dict": weights}, tmp_path / "file.pth")
    ws = small.mapping(torch.randn(2, 16, generator=torch.Generator().manual_seed(0)))
    drawn = load_generator(tmp_path / "file.pth").synthesis(ws)
    torch.testing.assert_close(drawn, small.synthesis(ws), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", STATES)
def test_a_name_too_many_is_named(kind: str, small: Generator, tmp_path: Path) -> None:
    weights = STATES[kind](state_of(small)) | {"extra.weight": torch.zeros(2)}
    torch.save(weights, tmp_path / "file.pth")
    assert "extra.weight" in refusal(tmp_path / "file.pth")


def test_genforces_other_networks_are_told(small: Generator, tmp_path: Path) -> None:
    weights = genforce_state(state_of(small))
    del weights["synthesis.early_layer.const"]
    torch.save(weights, tmp_path / "file.pth")
    assert "no StyleGAN2" in refusal(tmp_path / "file.pth")


def test_mmagics_stylegan3_is_told(tmp_path: Path) -> None:
    torch.save(
        {"style_mapping.fc0.weight": torch.ones(2, 2), "synthesis.input.freqs": torch.ones(2, 2)},
        tmp_path / "x.pth",
    )
    assert "mmagic's" in refusal(tmp_path / "x.pth")


CLASSES = 3


@pytest.fixture
def with_classes() -> Generator:
    """A StyleGAN3 whose classes have means of their own."""
    architecture = StyleGAN3Architecture(
        z_dim=6,
        w_dim=16,
        c_dim=CLASSES,
        img_resolution=16,
        channel_base=64,
        channel_max=8,
        num_layers=4,
        margin_size=2,
        class_means=True,
    )
    synthesis = StyleGAN3Synthesis(architecture)
    mapping = MappingNetwork(6, 16, synthesis.num_ws, num_layers=2, c_dim=CLASSES, class_means=True)
    module, rng = GeneratorModule(mapping, synthesis), torch.Generator().manual_seed(2)
    for name, tensor in module.state_dict().items():
        if not name.endswith(("filter", "freqs", "phases", "transform", "magnitude_ema")):
            tensor.normal_(0, 100 if name.startswith("mapping.fc") else 1, generator=rng)
    module.mapping.embed.bias.data.zero_()  # the format has none
    module.mapping.w_avg.copy_(module.mapping.get_buffer("class_w_avg").mean(0))
    return Generator(module)


def test_stylegan_xls_classes_are_described_by_projected_features(tmp_path: Path) -> None:
    """Against the arithmetic of its MappingNetwork, written out."""
    rng = torch.Generator().manual_seed(1)
    table, weight, bias = (torch.randn(*shape, generator=rng) for shape in ((9, 5), (6, 5), (6,)))
    z = torch.randn(CLASSES, 6, generator=rng)
    layers = [torch.randn(16, size, generator=rng) * 100 for size in (12, 16)]
    means = torch.randn(CLASSES, 16, generator=rng)
    rows = functional.leaky_relu(table[:CLASSES] @ weight.T / 5**0.5 + bias, 0.2) * 2**0.5
    x = torch.cat([normalized(z), normalized(rows)], dim=1)
    for layer in layers:
        x = functional.leaky_relu(x @ layer.T * 0.01 / layer.shape[1] ** 0.5, 0.2) * 2**0.5
    state = stem_state() | {
        "mapping.embed.weight": table,
        "mapping.embed_proj.weight": weight,
        "mapping.embed_proj.bias": bias,
        "mapping.w_avg": means,
        **{f"mapping.fc{index}.weight": layer for index, layer in enumerate(layers)},
        **{f"mapping.fc{index}.bias": torch.zeros(16) for index in range(2)},
    }
    torch.save(state, tmp_path / "xl.pt")
    loaded = load_generator(tmp_path / "xl.pt")
    labels = torch.arange(CLASSES)
    torch.testing.assert_close(loaded.mapping(z, labels)[:, 0], x, atol=1e-4, rtol=1e-5)
    half = loaded.mapping(z, labels, truncation_psi=0.5)[:, 0]
    torch.testing.assert_close(half, (x + means) / 2, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(loaded.w_avg, means.mean(0))


def normalized(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def stem_state() -> dict[str, Tensor]:
    architecture = StyleGAN3Architecture(
        z_dim=6, w_dim=16, c_dim=0, img_resolution=16, channel_base=64, channel_max=8, num_layers=4
    )
    synthesis: nn.Module = StyleGAN3Synthesis(architecture)
    return {f"synthesis.{name}": tensor for name, tensor in synthesis.state_dict().items()}


def test_a_whole_stylegan_xl_and_its_copy(with_classes: Generator, tmp_path: Path) -> None:
    write_stylegan_xl(with_classes, tmp_path / "xl.pkl")
    loaded = load_generator(tmp_path / "xl.pkl")
    assert loaded.c_dim == CLASSES and loaded.metadata["format"].startswith("StyleGAN-XL")
    save_generator(loaded, tmp_path / "xl.safetensors")
    again = load_generator(tmp_path / "xl.safetensors")
    z = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    expected = with_classes.mapping(z, torch.tensor([0, 2]), truncation_psi=0.7)
    for one in (loaded, again):
        ws = one.mapping(z, torch.tensor([0, 2]), truncation_psi=0.7)
        torch.testing.assert_close(ws, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(one.synthesis(ws), with_classes.synthesis(ws), atol=1e-5, rtol=0)
    assert again.fingerprint == loaded.fingerprint


def test_a_table_without_classes_is_left_out(with_classes: Generator, tmp_path: Path) -> None:
    state = stem_state() | {f"mapping.fc{i}.weight": torch.ones(16, n) for i, n in ((0, 6), (1, 16))}
    state |= {f"mapping.fc{i}.bias": torch.zeros(16) for i in (0, 1)}
    torch.save(
        {**state, "mapping.w_avg": torch.zeros(16), "mapping.embed.weight": torch.ones(9, 5)},
        tmp_path / "x.pt",
    )
    assert load_generator(tmp_path / "x.pt").c_dim == 0


def test_super_resolution_is_refused_by_name(with_classes: Generator, tmp_path: Path) -> None:
    state = state_of(with_classes)
    del state["mapping.embed.bias"]
    skipped = {name.replace("synthesis.L4_", "synthesis.L5_"): tensor for name, tensor in state.items()}
    with foreign_names(), (tmp_path / "x.pkl").open("wb") as file:
        settings = {"z_dim": 6, "c_dim": CLASSES, "w_dim": 16, "img_resolution": 16, "img_channels": 3}
        pickle.dump({"G_ema": persistent_module(skipped, settings | {"mapping_layers": 2})}, file)
    assert "super-resolution" in refusal(tmp_path / "x.pkl")
