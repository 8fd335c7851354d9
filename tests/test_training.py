"""The training of the demo generator: read-out, folding, optimiser, loss, and a run that resumes exactly."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from chunky_core.demo.portraits import ATTRIBUTES, INDEX, draw_portraits
from chunky_core.demo.training import renders
from chunky_core.demo.training.losses import label_weights, portrait_loss
from chunky_core.demo.training.muon import Muon, orthogonalize
from chunky_core.demo.training.quality import attribute_gain
from chunky_core.demo.training.readout import W_DIM, Z_DIM, build_mapping, build_readout, fold
from chunky_core.demo.training.trainer import Place, Trainer, TrainingConfig, new_network

TINY = TrainingConfig(
    images=96,
    renders=64,
    batch=4,
    resolution=32,
    channel_base=256,
    channel_max=16,
    grow=((16, 0.5), (32, 1.0)),
)


@pytest.fixture(scope="module")
def readout():
    mapping = build_mapping(num_ws=8, seed=3)
    return mapping, build_readout(mapping, seed=3)


def test_readout_of_random_codes_is_standard_normal(readout):
    mapping, out = readout
    rng = torch.Generator().manual_seed(11)
    u = out.attributes(mapping(torch.randn(20_000, Z_DIM, generator=rng))[:, 0])
    assert u.mean(0).abs().max() < 0.04
    covariance = torch.cov(u.T)
    assert (covariance - torch.eye(W_DIM)).abs().max() < 0.06


def test_a_direction_moves_its_attribute_and_no_other(readout):
    mapping, out = readout
    w = mapping.w_avg[None]
    moved = out.attributes(w + 2.0 * out.directions[INDEX["smile"]]) - out.attributes(w)
    expected = torch.zeros(len(ATTRIBUTES))
    expected[INDEX["smile"]] = 2.0
    assert torch.allclose(moved[0], expected, atol=1e-5)


def test_folding_onto_w_is_exact(readout):
    mapping, out = readout
    network = new_network(TINY).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(generator=torch.Generator().manual_seed(len(name)))
    folded = fold(network, out).double()
    w = mapping(torch.randn(3, Z_DIM, generator=torch.Generator().manual_seed(5)))[:, :1].double()
    u = w @ out.weight.double().T + out.bias.double()
    expand = (-1, network.num_ws, -1)
    on_u = network(network.styles(u.expand(expand)), noise_mode="none")
    on_w = folded(folded.styles(w.expand(expand)), noise_mode="none")
    assert (on_u - on_w).abs().max() < 1e-4 * on_u.abs().max()


def test_orthogonalise_pulls_singular_values_to_one():
    matrix = torch.randn(24, 60, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix))
    assert values.min() > 0.6 and values.max() < 1.3
    assert torch.allclose(orthogonalize(matrix.T), orthogonalize(matrix).T, atol=1e-4)


def test_muon_solves_a_linear_problem():
    rng = torch.Generator().manual_seed(1)
    target, weight = torch.randn(8, 8, generator=rng), torch.nn.Parameter(torch.randn(8, 8, generator=rng))
    optimiser = Muon([weight], lr=0.05, momentum=0.8)
    for step in range(200):
        optimiser.param_groups[0]["lr"] = 0.05 * (1 - step / 200)
        weight.grad = (weight - target).detach()
        optimiser.step()
    assert (weight - target).norm() < 0.05 * target.norm()


def test_loss_is_zero_only_for_the_target():
    target = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    halves = [torch.nn.functional.avg_pool2d(target, 2**k) for k in (3, 2, 1)]
    pyramid = [*halves, target]
    weights = label_weights(torch.zeros(2, 32, 32, dtype=torch.uint8))
    assert portrait_loss(pyramid, target, weights) < 1e-6
    assert portrait_loss([*halves, target + 0.1], target, weights) > 0.05


def test_gain_of_the_renderer_itself_is_one():
    start = torch.randn(3, len(ATTRIBUTES), generator=torch.Generator().manual_seed(4))
    gain, cosine = attribute_gain(lambda u: draw_portraits(u, 64)[0], start, "smile")
    assert math.isclose(gain, 1, abs_tol=1e-4) and math.isclose(cosine, 1, abs_tol=1e-4)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(renders, "SHARD", 64)
    monkeypatch.setattr(renders, "HELD_OUT", 16)
    (tmp_path / "renders").mkdir()
    renders.render_shard(tmp_path / "renders", TINY.seed, 0, TINY.resolution, count=64)
    return tmp_path


def trainer_in(folder: Path) -> Trainer:
    return Trainer(TINY, Place(0, 1, torch.device("cpu"), folder))


def test_training_learns_and_a_resumed_run_repeats_an_uninterrupted_one(folder):
    straight = trainer_in(folder)
    losses = [straight.train_step() for _ in range(24)]
    assert sum(losses[8:12]) < sum(losses[:4])  # both at 16x16; growing to 32x32 raises it for a while
    first = trainer_in(folder)
    for _ in range(10):
        first.train_step()
    second = trainer_in(folder)
    second.restore(first.state())
    assert [second.train_step() for _ in range(14)] == losses[10:]


def test_report_measures_held_out_portraits_and_draws_them(folder):
    trainer = trainer_in(folder)
    trainer.train_step()
    row = trainer.report(loss=1.0, samples=16)
    assert row["psnr"] > 0 and (folder / "samples.png").stat().st_size > 0
    assert trainer.curve == [row]
