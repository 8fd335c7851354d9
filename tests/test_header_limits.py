"""Settings that a file states: what no network has is refused before anything is built; the rest is kept exactly."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from chunky_core.checkpoints.checkpoint import PartialCheckpoint
from chunky_core.checkpoints.completion import complete, draw_noise
from chunky_core.errors import UnsupportedCheckpointError
from chunky_core.generator.architecture import StyleGAN2Architecture, architecture_from
from chunky_core.generator.module import shapes_of
from chunky_core.generator.stylegan3 import StyleGAN3Architecture
from chunky_core.generator.stylegan3_limits import MAX_TAPS
from tests.hostile_tools import refusal

SMALL = StyleGAN3Architecture(8, 8, 0, 64, 3, 128, 8)


def with_header(path: Path, **changes: object) -> Path:
    """The same .safetensors file with entries of its header's metadata replaced."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] |= {key: str(value) for key, value in changes.items()}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    return path


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", "5e-324", "1e39", "9" * 400, "x" * 5000])
@pytest.mark.parametrize("key", ["conv_clamp", "lr_multiplier"])
def test_senseless_settings_of_a_stylegan2_are_refused(
    key: str, value: str, good: Callable[[str], Path]
) -> None:
    message = refusal(with_header(good("own"), **{key: value}))
    assert key in message and len(message) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"first_cutoff": 1e-310},
        {"first_cutoff": 0.49},
        {"first_cutoff": 32.0, "first_stopband": 40.0},
        {"first_stopband": 2.0},
        {"first_stopband": 65.0},
        {"last_stopband_rel": 0.99},
        {"last_stopband_rel": float("nan")},
        {"last_stopband_rel": 1e-38},
        {"margin_size": 129},
        {"margin_size": -1},
        {"num_critical": 14},
        {"num_critical": 0},
        {"num_layers": 65, "num_critical": 2},
        {"filter_size": 0},
        {"filter_size": 64, "lrelu_upsampling": 8},
        {"num_critical": 13, "filter_size": 64, "img_resolution": 256, "channel_base": 512},
        {"output_scale": float("inf")},
        {"output_scale": 0.0},
        {"conv_clamp": -1.0},
        {"lr_multiplier": 0.0},
        {"channel_base": 30},
        {"channel_max": 0},
        {"img_resolution": 8192},
    ],
)
def test_impossible_stylegan3_networks_are_refused_before_they_are_built(changes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedCheckpointError):
        replace(SMALL, **changes).empty_module()


def random_architecture(rng: Random) -> StyleGAN3Architecture:
    resolution, layers = 2 ** rng.randint(4, 10), rng.choice((2, 4, 14, 30))
    cutoff = rng.uniform(0.4, resolution / 2)
    return StyleGAN3Architecture(
        4, 4, 0, resolution, 3, rng.choice((1, 2, 64)) * resolution, 4, 2, layers, rng.randint(1, layers),
        cutoff, cutoff * rng.uniform(0.9, 4), rng.uniform(0.9, 5), rng.randint(0, 300), rng.uniform(0, 2),
        rng.randint(1, 64), rng.randint(1, 8), rng.choice((1, 3)), rng.random() < 0.5, rng.choice((None, 256.0)),
    )  # fmt: skip


def test_every_network_that_is_built_has_bounded_layers_and_comes_back_from_its_header() -> None:
    rng, built = Random(0), 0
    for _ in range(300):
        architecture = replace(random_architecture(rng), square=built % 2 == 0)
        try:
            shapes = shapes_of(architecture.empty_module().state_dict())
        except UnsupportedCheckpointError:
            continue
        built += 1
        signals, resolution = architecture.signals(), architecture.img_resolution
        assert all(type(signal.rate) is int and 2 <= signal.rate <= resolution for signal in signals)
        assert all(0 < signal.cutoff <= signal.rate / 2 and signal.half_width >= 0 for signal in signals)
        assert max(max(signal.size) for signal in signals) <= resolution + 4 * max(resolution, 16)
        assert all(max(shape) <= MAX_TAPS for name, shape in shapes.items() if name.endswith("_filter"))
        header = architecture.as_metadata()
        config_hints = StyleGAN3Architecture.metadata_hints(header)
        found = architecture_from(shapes, config_hints)
        assert replace(found, channel_max=architecture.channel_max) == architecture
    assert built > 20


def test_a_mapping_network_of_many_layers_is_refused() -> None:
    shapes = {f"mapping.fc{index}.weight": (1, 1) for index in range(5000)}
    shapes |= {"synthesis.b4.torgb.weight": (3, 1, 1, 1), "synthesis.b4.conv1.weight": (1, 1, 3, 3)}
    with pytest.raises(UnsupportedCheckpointError, match="5000 layers; expected at most 64"):
        architecture_from(shapes)


@pytest.mark.parametrize("wide", ["w_dim", "z_dim", "c_dim", "img_channels", "channel_max"])
def test_widths_of_no_real_network_are_refused(wide: str) -> None:
    plain = StyleGAN2Architecture(8, 8, 0, 8, 3, 1 << 60, 8, 2)
    for architecture in (plain, SMALL):
        with pytest.raises(UnsupportedCheckpointError, match="expected (at most|a whole number).* 65536"):
            replace(architecture, **{wide: 1 << 29}).empty_module()


def test_noise_that_a_file_lacks_takes_no_memory_until_the_network_is_known() -> None:
    partial = PartialCheckpoint("test", {"synthesis.b4096.conv1.weight": torch.ones(1, 1, 3, 3)})
    complete(partial)
    assert partial.state["synthesis.b4096.conv1.noise_const"].is_meta
    partial = PartialCheckpoint(
        "test", {f"synthesis.b{size}.conv1.weight": torch.ones(1, 1, 3, 3) for size in (4, 8)}
    )
    complete(partial)
    draw_noise(partial.state)
    rng = torch.Generator().manual_seed(0)
    for size in (4, 8):
        expected = torch.randn(size, size, generator=rng)
        assert torch.equal(partial.state[f"synthesis.b{size}.conv1.noise_const"], expected)


@pytest.mark.parametrize(
    "kernel", [[1.0] * 17, [1.0] * 10**6, [], [0.0, 0.0], [float("nan")], [-1.0, 3.0], ["1"], "1331", 4, {}]
)
def test_a_resampling_filter_that_is_none_is_refused(kernel: object) -> None:
    partial = PartialCheckpoint(
        "test", {"synthesis.b8.conv0.weight": torch.ones(1, 1, 3, 3)}, {"resample_filter": kernel}
    )
    with pytest.raises(UnsupportedCheckpointError, match="resample_filter"):
        complete(partial)


def test_a_resampling_filter_of_other_taps_is_used() -> None:
    partial = PartialCheckpoint(
        "test", {"synthesis.b8.conv0.weight": torch.ones(1, 1, 3, 3)}, {"resample_filter": (1, 2, 2, 1)}
    )
    complete(partial)
    taps = torch.tensor([1.0, 2.0, 2.0, 1.0]) / 6
    assert torch.allclose(partial.state["synthesis.b8.conv0.resample_filter"], torch.outer(taps, taps))
