"""Generators on disk, their fingerprints, moving them, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

import chunky_core
from chunky_core.checkpoints.generators import load_generator, save_generator
from chunky_core.errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from chunky_core.generator.generator import Generator


@pytest.fixture
def file(generator: Generator, tmp_path: Path) -> Path:
    path = tmp_path / "generator.safetensors"
    save_generator(generator, path, extra_metadata={"source_sha256": "0" * 64})
    return path


def parts(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as content:
        return load_file(path), content.metadata()


def w(generator: Generator) -> Tensor:
    return torch.randn(1, generator.w_dim, generator=torch.Generator().manual_seed(1))


def test_round_trip_in_single_precision(generator: Generator, file: Path) -> None:
    loaded = load_generator(file)
    state = generator.module.state_dict()
    assert set(loaded.module.state_dict()) == set(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.module.state_dict().items())
    assert torch.equal(loaded.synthesis(w(generator)), generator.synthesis(w(generator)))
    assert loaded.fingerprint == generator.fingerprint
    assert loaded.metadata["licence"] == "CC0-1.0"
    assert loaded.metadata["source_sha256"] == "0" * 64
    assert (loaded.dtype, loaded.device) == (torch.float32, torch.device("cpu"))


def test_round_trip_in_half_precision(generator: Generator, tmp_path: Path) -> None:
    half, again = tmp_path / "half.safetensors", tmp_path / "again.safetensors"
    save_generator(generator, half, torch.float16)
    loaded = load_generator(half)
    expected = generator.synthesis(w(generator))
    assert loaded.dtype == torch.float32
    assert float((loaded.synthesis(w(generator)) - expected).abs().max()) < 1e-2 * float(expected.abs().max())
    save_generator(loaded, again)
    assert load_generator(again).fingerprint == loaded.fingerprint != generator.fingerprint


def test_header(file: Path) -> None:
    _, metadata = parts(file)
    expected = {
        "format": "chunkygan-generator",
        "version": "1",
        "architecture": "stylegan2-skip",
        "img_resolution": "64",
        "w_dim": "32",
        "channel_base": "1024",
        "channel_max": "64",
    }
    assert expected.items() <= metadata.items()


def test_names_are_the_official_ones(shared: Path, make_generator: Callable[..., Generator]) -> None:
    reference = load_file(shared / "parity" / "sg2_ada_64.safetensors")
    official = {name.removeprefix("state/") for name in reference if name.startswith("state/")}
    ours = set(make_generator().module.state_dict())
    layers = {f"mapping.fc{index}.{kind}" for index in range(4, 8) for kind in ("weight", "bias")}
    assert ours == official - layers  # the small generator has 4 mapping layers


def test_fingerprint(generator: Generator, make_generator: Callable[..., Generator]) -> None:
    assert make_generator(seed=0).fingerprint == generator.fingerprint
    assert make_generator(seed=1).fingerprint != generator.fingerprint
    assert generator.to(dtype=torch.float64).fingerprint == generator.fingerprint
    assert len(generator.fingerprint) == 64


def test_moving_copies_only_when_needed(generator: Generator) -> None:
    assert generator.to("cpu", torch.float32) is generator
    double = generator.to(dtype=torch.float64)
    assert double.dtype == torch.float64
    assert generator.dtype == torch.float32
    assert double.to(dtype=torch.float32).fingerprint == generator.fingerprint


def test_frozen(generator: Generator) -> None:
    assert not generator.module.training
    assert not any(parameter.requires_grad for parameter in generator.module.parameters())


def backpropagate(generator: Generator) -> Tensor:
    """The gradient of w as the host runs it: inside inference mode, with gradients switched on again."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = torch.zeros(1, generator.w_dim).requires_grad_()
        generator.synthesis(leaf, (3, 5, 40, 50)).square().sum().backward()
        generator.mapping(
            torch.ones(1, generator.z_dim).requires_grad_(), truncation_psi=0.5
        ).sum().backward()
        assert leaf.grad is not None
        return leaf.grad


def test_loading_in_inference_mode(generator: Generator, file: Path) -> None:
    expected = backpropagate(generator)
    with torch.inference_mode():
        loaded = load_generator(file)
        assert torch.equal(backpropagate(loaded), expected)
        moved = loaded.to(dtype=torch.float64).to(dtype=torch.float32)
        assert torch.equal(backpropagate(moved), expected)


def test_inference_tensors_are_replaced(make_generator: Callable[..., Generator]) -> None:
    with torch.inference_mode():
        made = make_generator()
        for name, buffer in list(made.module.named_buffers()):
            made.module.get_submodule(name.rpartition(".")[0])._buffers[name.rpartition(".")[2]] = (
                buffer.clone()
            )
        assert any(tensor.is_inference() for tensor in made.module.state_dict().values())
        usable = made.to("cpu")
        assert usable is not made
        tensors = (*usable.module.parameters(), *usable.module.buffers())
        assert not any(tensor.is_inference() for tensor in tensors)
        assert torch.equal(backpropagate(usable), backpropagate(make_generator().to()))


def test_not_finite_weights_are_named(file: Path) -> None:
    state, metadata = parts(file)
    state["synthesis.b8.conv1.bias"][2] = float("nan")
    save_file(state, file, metadata)
    with pytest.warns(UserWarning, match=r"synthesis\.b8\.conv1\.bias"):
        load_generator(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello, I am no generator", "a text file"),
        (b"PK\x03\x04" + bytes(100), "whose end is missing"),
        (b"\x80\x02}q\x00.", "an empty dict"),
        (bytes(range(200)), "unknown format"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(UnsupportedCheckpointError, match=message):
        load_generator(path)


def test_truncated_files_are_refused(file: Path) -> None:
    content = file.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 100):
        file.write_bytes(content[:length])
        with pytest.raises(UnsupportedCheckpointError, match="damaged"):
            load_generator(file)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="nothing.safetensors"):
        load_generator(tmp_path / "nothing.safetensors")


def damage_missing(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    del state["synthesis.b16.conv0.bias"]


def damage_left_over(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    state["synthesis.b16.skip.weight"] = torch.zeros(4, 4, 1, 1)


def damage_shape(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    state["synthesis.b16.conv0.bias"] = torch.zeros(7)


def damage_resolution_name(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    for kind in ("conv1", "torgb"):
        state[f"synthesis.b99999.{kind}.weight"] = torch.zeros(3, 1, 1, 1)


def damage_colours(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    for name in list(state):
        if name.endswith(("torgb.weight", "torgb.bias")):
            state[name] = state[name][:1].clone()


def damage_kind(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    state["synthesis.b16.conv0.bias"] = torch.zeros(64, dtype=torch.int64)


def damage_first_layer(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    del state["mapping.fc0.weight"]


def damage_resolution(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    metadata["img_resolution"] = "128"


def damage_version(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    metadata["version"] = "2"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_missing, r"synthesis\.b16\.conv0\.bias is missing"),
        (damage_left_over, r"synthesis\.b16\.skip\.weight is unknown"),
        (damage_shape, r"synthesis\.b16\.conv0\.bias is \(7,\); expected \(64,\)"),
        (damage_kind, "expected floats"),
        (damage_resolution_name, "resolution 99999"),
        (damage_colours, "1 channels; expected 3"),
        (damage_first_layer, r"mapping\.fc0\.weight is missing"),
        (damage_resolution, "img_resolution = '128'"),
        (damage_version, "version '2'"),
    ],
)
def test_unfit_contents_are_refused(file: Path, damage: Callable[..., None], message: str) -> None:
    state, metadata = parts(file)
    damage(state, metadata)
    save_file(state, file, metadata)
    with pytest.raises(UnsupportedCheckpointError, match=message):
        load_generator(file)


def test_saving_refuses_what_does_not_fit(make_generator: Callable[..., Generator], tmp_path: Path) -> None:
    generator = make_generator(resolution=8)
    with pytest.raises(InvalidInputError, match="expected torch.float32"):
        save_generator(generator, tmp_path / "a.safetensors", torch.float64)
    generator.module.synthesis.b4.const.data[0] = 1e6
    with pytest.raises(InvalidInputError, match="synthesis.b4.const"):
        save_generator(generator, tmp_path / "a.safetensors", torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_the_package_is_light_until_used() -> None:
    code = "import sys, chunky_core; assert 'torch' not in sys.modules; chunky_core.load_generator"
    root = Path(chunky_core.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = chunky_core.nothing


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_a_file_has_one_fingerprint_in_every_precision(
    generator: Generator, tmp_path: Path, precision: torch.dtype
) -> None:
    save_generator(generator, tmp_path / "g.safetensors")
    assert load_generator(tmp_path / "g.safetensors", dtype=precision).fingerprint == generator.fingerprint


@pytest.mark.parametrize("name", ["x" * 5000 + ".pkl", "a\0b.pkl"])
def test_an_impossible_path_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingWeightsError):
        load_generator(tmp_path / name)
