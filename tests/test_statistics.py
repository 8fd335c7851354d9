"""Statistics of a generator's codes against numpy, and the files they are kept in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from chunky_core.generator.architecture import GeneratorModule
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.statistics import (
    GeneratorStatistics,
    cache_folder,
    draw_codes,
    measure_statistics,
    statistics,
)

SAMPLES = 2500


@pytest.fixture(scope="module")
def small(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(resolution=16, w_dim=8, channel_base=64, channel_max=8)


def equal(first: GeneratorStatistics, second: GeneratorStatistics) -> bool:
    names = ("w_mean", "w_covariance", "w_std", "style_mean", "style_std")
    same = all(torch.equal(getattr(first, name), getattr(second, name)) for name in names)
    return same and (first.samples, first.seed) == (second.samples, second.seed)


def test_against_numpy(small: Generator) -> None:
    found = measure_statistics(small, SAMPLES, seed=3)
    z = torch.randn(SAMPLES, small.z_dim, generator=torch.Generator().manual_seed(3))
    w = small.mapping(z)[:, 0]
    styles = torch.cat(small.styles(w), dim=1).double().numpy()
    w = w.double().numpy()
    np.testing.assert_allclose(found.w_mean, w.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.w_covariance, np.cov(w.T, bias=True), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.w_std, w.std(0), rtol=1e-5)
    np.testing.assert_allclose(found.style_mean, styles.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.style_std, styles.std(0), rtol=1e-4)
    spread = np.sqrt(np.square(w - w.mean(0)).sum(1).mean())
    assert found.w_spread == pytest.approx(spread, rel=1e-5)
    assert (found.samples, found.seed) == (SAMPLES, 3)
    assert found.style_mean.shape == (sum(channels for _, channels in small.style_layout),)


def test_seeded_and_without_the_global_seed(small: Generator) -> None:
    before = torch.get_rng_state()
    first = measure_statistics(small, 100, seed=1)
    assert equal(first, measure_statistics(small, 100, seed=1))
    assert not torch.equal(first.w_mean, measure_statistics(small, 100, seed=2).w_mean)
    assert torch.equal(before, torch.get_rng_state())


def test_classes_are_drawn_evenly(small: Generator) -> None:
    mapping = MappingNetwork(z_dim=8, w_dim=8, num_ws=small.num_ws, num_layers=1, c_dim=4)
    conditional = Generator(GeneratorModule(mapping.to(small.device), small.module.synthesis))
    z, w = draw_codes(conditional, SAMPLES, seed=0)
    by_class = torch.stack([conditional.mapping(z, c)[:, 0] for c in range(4)])
    distance, drawn = (by_class - w).square().sum(dim=2).min(dim=0)
    assert float(distance.max()) < 1e-8
    assert float((drawn.bincount(minlength=4) / SAMPLES - 0.25).abs().max()) < 0.04
    found = measure_statistics(conditional, SAMPLES)
    np.testing.assert_allclose(found.w_mean, w.mean(0).cpu(), rtol=1e-4, atol=1e-6)


def test_measured_once_then_read(small: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked, folder = tmp_path / "file", tmp_path / "new" / "folder"
    blocked.write_text("no folder")
    measured = statistics(small, [blocked, folder])
    assert [file.name for file in folder.iterdir()] == [f"{small.fingerprint}.safetensors"]
    assert equal(measured, statistics(small))
    monkeypatch.setattr("chunky_core.generator.statistics.measure_statistics", None)
    assert equal(statistics(small, [tmp_path, folder]), measured)


def spoil_bytes(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def spoil_owner(file: Path) -> None:
    with safe_open(file, framework="pt") as content:
        metadata = content.metadata()
    save_file(load_file(file), file, {**metadata, "fingerprint": "0" * 64})


def spoil_shape(file: Path) -> None:
    with safe_open(file, framework="pt") as content:
        metadata = content.metadata()
    save_file({**load_file(file), "w_mean": torch.zeros(3)}, file, metadata)


def spoil_names(file: Path) -> None:
    save_file({"w_mean": torch.zeros(3)}, file)


def spoil_numbers(file: Path) -> None:
    with safe_open(file, framework="pt") as content:
        metadata = content.metadata()
    save_file(load_file(file), file, {**metadata, "seed": "9" * 5000})


def spoil_variance(file: Path) -> None:
    with safe_open(file, framework="pt") as content:
        metadata = content.metadata()
    tensors = load_file(file)
    save_file({**tensors, "w_covariance": -tensors["w_covariance"]}, file, metadata)


def spoil_size(file: Path) -> None:
    with safe_open(file, framework="pt") as content:
        metadata = content.metadata()
    save_file({**load_file(file), "style_std": torch.zeros(1 << 20, dtype=torch.uint8)}, file, metadata)


SPOILS = [spoil_bytes, spoil_owner, spoil_shape, spoil_names, spoil_numbers, spoil_variance, spoil_size]


@pytest.mark.parametrize("spoil", SPOILS)
def test_spoilt_files_are_replaced(small: Generator, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    expected = statistics(small, [tmp_path])
    (file,) = tmp_path.iterdir()
    spoil(file)
    with pytest.warns(UserWarning, match="measured anew"):
        assert equal(statistics(small, [tmp_path]), expected)
    assert equal(statistics(small, [tmp_path]), expected)
    assert list(tmp_path.iterdir()) == [file]


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "chunkygan" / "statistics"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "chunkygan" / "statistics"
    monkeypatch.delenv("LOCALAPPDATA")
    assert cache_folder() == Path.home() / ".cache" / "chunkygan" / "statistics"
