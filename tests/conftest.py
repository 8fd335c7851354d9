"""Fixtures for all tests: reference files where they exist, and small generators with random but seeded weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from chunky_core.generator.architecture import GeneratorModule
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.stylegan2 import SynthesisNetwork
from tests.checkpoint_writers import WRITERS
from tests.cli_tools import furnish
from tests.devices import add_options, device_of, dtype_of, entered, skip_reason
from tests.fuzz.seeds import seed_generator
from tests.pack_on_double import pack  # noqa: F401  # a fixture


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cpu(reason): bound to the CPU and to float32")
    config.addinivalue_line("markers", "float64: needs a device that knows float64")
    config.addinivalue_line("markers", "real_device(reason): not for a simulated one")
    config.addinivalue_line("markers", "single(reason): bound to float32, on any device")
    stack = ExitStack()
    stack.enter_context(entered(config))  # before collection: modules make tensors, too
    config.add_cleanup(stack.close)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is bound to the CPU or to a dtype where another was asked for."""
    kept = [item for item in items if skip_reason(item) is None]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if skip_reason(item) is not None])
        items[:] = kept


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> torch.device:
    """Where numerics run: --device, the CPU by default."""
    return device_of(pytestconfig)


@pytest.fixture(scope="session")
def dtype(pytestconfig: pytest.Config) -> torch.dtype:
    """What the generators of the tests compute in: --dtype, float32 by default."""
    return dtype_of(pytestconfig)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference files that are not part of this repository; skips the test where it is absent."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    folder = Path(os.environ.get("CHUNKYGAN_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"reference files are absent: {folder} (set CHUNKYGAN_SHARED)")
    return folder


@pytest.fixture(scope="session")
def make_generator(device: torch.device, dtype: torch.dtype) -> Callable[..., Generator]:
    """A function that makes a small generator on the device: make_generator(seed=0, resolution=64, w_dim=32,
    channel_base=1024).
    """

    def make(*args: int, **kwargs: int) -> Generator:
        return _make_generator(*args, **kwargs).to(device, dtype)

    return make


@pytest.fixture(scope="session")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    """A generator of 64x64 pixels and w_dim 32 on the device and in the dtype asked for. Do not modify it."""
    return make_generator()


def _make_generator(
    seed: int = 0, resolution: int = 64, w_dim: int = 32, channel_base: int = 1024, channel_max: int = 64
) -> Generator:
    synthesis = SynthesisNetwork(
        w_dim=w_dim, img_resolution=resolution, channel_base=channel_base, channel_max=channel_max
    )
    mapping = MappingNetwork(z_dim=w_dim, w_dim=w_dim, num_ws=synthesis.num_ws, num_layers=4)
    module = GeneratorModule(mapping, synthesis)
    rng = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if not name.endswith("resample_filter"):  # nothing stays zero, so nothing can be left out unnoticed
            tensor.normal_(0.0, _deviation(name), generator=rng)
        if name.endswith("affine.bias"):
            tensor.add_(1.0)
    return Generator(module, {"licence": "CC0-1.0", "source": "random"})


def _deviation(name: str) -> float:
    if name.startswith("mapping.fc"):
        return 100.0 if name.endswith("weight") else 30.0
    if name.endswith(("bias", "noise_strength")):
        return 0.3
    return 1.0


@pytest.fixture
def good(tmp_path: Path) -> Callable[[str], Path]:
    """A function that writes a good file of a format."""

    def write(kind: str) -> Path:
        path = tmp_path / f"good_{kind}"
        WRITERS[kind](seed_generator(kind), path)
        return path

    return write


@pytest.fixture
def studio(tmp_path: Path, generator: Generator) -> Path:
    """A folder with what the command line's `edit` needs, see `cli_tools`."""
    furnish(tmp_path, generator)
    return tmp_path


@pytest.fixture
def nothing_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Runs the test in an empty folder; fails where anything is in it afterwards."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "PWNED").exists()
