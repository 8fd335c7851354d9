"""The benchmark of peers: the loss they are given, what their pictures change, their generator if it lies on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.lone_cases import lone_case
from benchmarks.peers import official, tables
from benchmarks.peers.loss import Distance, FeatureVector
from benchmarks.peers.repository import repository
from benchmarks.peers.results import Result, changed_outside, segment_figures
from chunky_core.evaluation.metrics import lpips_distance, mse
from chunky_core.images import to_uint8
from chunky_core.losses.perceptual import load_perceptual_network
from tests.toy_networks import Colours, picture

ROOT = Path(__file__).parent.parent


def test_the_squared_distance_of_feature_vectors_is_the_common_loss() -> None:
    network = load_perceptual_network("demo")
    photo, other = picture(0, 64, 64).float(), picture(1, 64, 64).float()
    vectors = [FeatureVector(network)((one + 1) * 127.5, resize_images=False) for one in (photo, other)]
    expected = mse(photo, other) + lpips_distance(photo, other, network)
    assert (vectors[0] - vectors[1]).square().sum().item() == pytest.approx(expected, rel=1e-4)


def test_the_distance_is_the_perceptual_one() -> None:
    photo, other = picture(0, 32, 32).float(), picture(1, 32, 32).float()
    found = Distance(Colours())(photo, other)
    assert found.shape == (1, 1, 1, 1)
    assert found.item() == pytest.approx(lpips_distance(photo, other, Colours()), rel=1e-5)


def test_what_changes_outside_the_mask_is_counted_in_levels() -> None:
    case = lone_case(7112, "mouth", "hard")
    pixels = to_uint8(case.photo)[0].int()
    inside = case.segments.masks[0, 0] > 0
    only_inside = torch.where(inside[..., None], 255 - pixels, pixels).byte()
    assert changed_outside(only_inside, case) == {"share": 0.0, "levels": 0}
    pixels[0, :, 1] += torch.where(pixels[0, :, 1] < 128, 3, -3)
    found = changed_outside(pixels.byte(), case)
    assert found["levels"] == 3
    assert found["share"] == pytest.approx(256 / (~inside).sum().item())


def test_without_outputs_of_its_own_the_rendering_is_the_picture() -> None:
    case = lone_case(7112, "mouth", "hard")
    found = segment_figures(Result(case.photo, 2.0, facts={"bytes": 5}), case, Colours())
    outside = {"rendering": {"share": 0.0, "levels": 0}}
    assert found == {"l2": 0.0, "perceptual": 0.0, "seconds": 2.0, "outside": outside, "bytes": 5}


def test_tables_take_means_and_the_last_row_of_a_photo() -> None:
    def row(seed: int, l2: float) -> tables.Row:
        return {
            "arm": "a",
            "seed": seed,
            "part": "whole",
            "perceptual": 1,
            "identity": 2,
            "l2": l2,
            "seconds": 3,
        }

    table = tables.report([row(1, 9.0), row(1, 0.2), row(2, 0.4)])
    assert "| a | 2 | 1.0000 | 2.0000 | 0.3000 | 3 s |  |  |" in table


def test_a_peer_that_is_not_there_is_left_out_visibly(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.peers",
        "--peers",
        "PTI",
        "--json",
        str(tmp_path / "rows.jsonl"),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env={"PEERS_PATH": str(tmp_path)}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "PTI isn't in PEERS_PATH and is left out" in done.stderr
    assert not (tmp_path / "rows.jsonl").exists()


@pytest.mark.skipif(repository(official.NAME) is None, reason=f"{official.NAME} isn't in PEERS_PATH")
def test_their_generator_draws_the_same_pictures() -> None:
    check = (
        "import torch\n"
        "from benchmarks.peers.official import OfficialProjector\n"
        "from chunky_core.checkpoints import load_generator\n"
        "generator = load_generator('demo')\n"
        "ws = torch.randn(2, generator.num_ws, generator.w_dim, generator=torch.Generator().manual_seed(0))\n"
        "theirs = OfficialProjector(generator, None).G.synthesis(ws, noise_mode='const')\n"
        "print((theirs - generator.synthesis(ws)).abs().max().item())"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert float(done.stdout) < 1e-4, done.stderr
