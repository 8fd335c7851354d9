"""`inspect` and `convert` on files of every tool, and their answers to bad input."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from chunky_core.checkpoints.generators import load_generator
from chunky_core.cli import main
from chunky_core.generator.generator import Generator
from tests.checkpoint_writers import WRITERS


@pytest.fixture(params=["ada", "rosinality", "tensorflow", "own"])
def file(request: pytest.FixtureRequest, make_generator, tmp_path: Path) -> Path:
    """A small checkpoint of one tool."""
    path = tmp_path / "network.bin"
    WRITERS[request.param](make_generator(resolution=16, w_dim=16, channel_base=128, channel_max=16), path)
    return path


def draw(generator: Generator) -> torch.Tensor:
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(0))
    return generator.synthesis(generator.mapping(z))


def test_a_converted_file_renders_identically(file: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.safetensors"
    assert main(["convert", str(file), str(target), "--licence", "CC BY-NC 4.0"]) == 0
    original, converted = load_generator(file), load_generator(target)
    assert torch.equal(draw(converted), draw(original))
    assert converted.fingerprint == original.fingerprint
    assert converted.metadata["licence"] == "CC BY-NC 4.0"
    assert converted.metadata["source"] == "network.bin"
    assert converted.metadata["source_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert str(target) in capsys.readouterr().out


def test_half_precision_halves_the_file(file: Path, tmp_path: Path) -> None:
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    assert main(["convert", str(file), str(full)]) == 0
    assert main(["convert", str(file), str(half), "--dtype", "fp16"]) == 0
    weights = sum(tensor.numel() for tensor in load_generator(full).module.state_dict().values())
    assert full.stat().st_size - half.stat().st_size == pytest.approx(2 * weights, abs=64)
    expected = draw(load_generator(full))
    assert (draw(load_generator(half)) - expected).abs().max() < 0.02 * expected.abs().max()


def test_inspect_says_what_a_file_holds(file: Path, capsys) -> None:
    assert main(["inspect", str(file)]) == 0
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    found = {label: text.strip() for label, text in lines.items()}
    generator = load_generator(file)
    assert found["fingerprint"] == generator.fingerprint
    assert found["resolution"] == "16 x 16"
    assert found["architecture"] == "stylegan2-skip"
    assert found["classes"] == "none"
    channels = sum(channels for _, channels in generator.style_layout)
    assert found["spaces"] == f"z 16, w 16, w+ {generator.num_ws} x 16, s {channels}"
    weights = sum(tensor.numel() for tensor in generator.module.state_dict().values())
    assert found["parameters"].startswith(f"{weights:,} (float32")


def test_inspect_names_what_is_ignored(shared: Path, capsys) -> None:
    assert main(["inspect", str(shared / "checkpoints" / "e4e_64.pt")]) == 0
    out = capsys.readouterr().out
    assert "encoder.* (2 tensors)" in out and "e4e" in out


@pytest.mark.parametrize("command", ["inspect", "convert"])
@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"just some text\n", "text"), (None, "no generator file")]
)
def test_bad_files_end_in_one_line(
    command: str, content: bytes | None, said: str, tmp_path: Path, capsys
) -> None:
    bad, target = tmp_path / "bad.pkl", tmp_path / "out.safetensors"
    if content is not None:
        bad.write_bytes(content)
    assert main([command, str(bad), *([str(target)] if command == "convert" else [])]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    assert said in message and "bad.pkl" in message
    assert not target.exists()


def test_convert_refuses_bad_targets(file: Path, tmp_path: Path, capsys) -> None:
    own = tmp_path / "own.safetensors"
    assert main(["convert", str(file), str(own)]) == 0
    before = own.read_bytes()
    assert main(["convert", str(own), str(own)]) == 2
    assert own.read_bytes() == before
    assert main(["convert", str(file), str(tmp_path / "out.pkl")]) == 2
    assert main(["convert", str(file), str(tmp_path / "missing" / "out.safetensors")]) == 2
    assert capsys.readouterr().err.count("error: ") == 3


def test_convert_asks_before_it_overwrites(file: Path, tmp_path: Path, capsys) -> None:
    target = tmp_path / "work.safetensors"
    target.write_bytes(b"somebody's work")
    assert main(["convert", str(file), str(target)]) == 2
    assert target.read_bytes() == b"somebody's work" and "--overwrite" in capsys.readouterr().err
    assert main(["convert", str(file), str(target), "--overwrite"]) == 0
    assert load_generator(target).fingerprint == load_generator(file).fingerprint
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    assert main(["convert", str(file), str(folder), "--overwrite"]) == 2
    assert "is a folder" in capsys.readouterr().err
