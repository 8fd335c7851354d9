"""`chunkygan calibrate`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from chunky_core.cli import main
from chunky_core.editing import load_directions, save_directions
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.images import load_image
from chunky_core.losses.feature_network import FeatureNetwork, FeatureSizes, save_feature_network
from tests.cli_tools import furnish

pytestmark = pytest.mark.cpu("the command line names its device itself")


@pytest.fixture
def folder(tmp_path: Path, generator: Generator) -> Path:
    """With a scorer of two attributes, and a direction up the slope of the second one."""
    furnish(tmp_path, generator)
    sizes = FeatureSizes("attributes", (6, 8), neck=4, grid=2, embedding=2, side=32, names=("age", "smile"))
    network = FeatureNetwork(sizes).requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.normal_(0, 0.3, generator=rng)
    save_feature_network(network, tmp_path / "scorer.safetensors", torch.float32)
    w = generator.w_avg[None].clone().requires_grad_()
    picture = generator.synthesis(w[:, None].expand(-1, generator.num_ws, -1))
    (slope,) = torch.autograd.grad(network.scores(picture)[:, 1].sum(), w)
    tensor = 0.1 * slope[0] / slope.norm()
    save_directions([Direction("smile", "w", tensor, license="CC0-1.0")], tmp_path / "smile.safetensors")
    return tmp_path


def calibrate(folder: Path, *more: str) -> int:
    return main(
        [
            "calibrate",
            str(folder / "tiny.safetensors"),
            "smile",
            "--scorer",
            str(folder / "scorer.safetensors"),
        ]
        + ["--directions", str(folder / "smile.safetensors"), "--samples", "6"]
        + ["--out", str(folder / "found.safetensors"), *more]
    )


def test_a_calibrated_direction_and_its_plot_are_written(folder: Path, capsys) -> None:
    assert calibrate(folder, "--plot", str(folder / "plot.png")) == 0
    found = load_directions(folder / "found.safetensors")["smile"]
    given = load_directions(folder / "smile.safetensors")["smile"]
    assert found.calibration is not None and found.calibration.samples == 6
    assert torch.allclose(found.tensor * found.calibration.response, given.tensor, atol=1e-6)
    assert (found.unit, found.license) == ("1 deviation of smile", "CC0-1.0")
    assert "strength 1 = 1 deviation of smile" in capsys.readouterr().out
    assert load_image(folder / "plot.png").shape == (1, 3, 480, 640)


def test_what_is_unknown_is_said(folder: Path, capsys) -> None:
    assert calibrate(folder, "--attribute", "beard") == 2
    assert "no attribute 'beard'; there are age, smile" in capsys.readouterr().err
    assert not (folder / "found.safetensors").exists()
