"""The shipped perceptual and identity networks: they hold their promises on people and triplets never trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from chunky_core.demo.portraits import INDEX, draw_portraits
from chunky_core.demo.training.channel_weights import channel_distances, unit_features
from chunky_core.demo.training.identity_figures import likeness, nearness_in_l2, split_pairs, verification
from chunky_core.demo.training.loop import train
from chunky_core.demo.training.people import IDENTITY_ATTRIBUTES, draw_people, make_album
from chunky_core.demo.training.triplets import (
    KINDS,
    SMALLEST_CHANGE,
    TOLERANCE,
    draw_triplets,
    is_of_equal_error,
    squared_error,
)
from chunky_core.errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from chunky_core.losses.feature_network import (
    FeatureNetwork,
    FeatureSizes,
    load_feature_network,
    save_feature_network,
)

ASSETS = Path(__file__).parent.parent / "chunky_core" / "demo" / "assets"
FIGURES = json.loads((ASSETS / "network_figures.json").read_text())
UNSEEN = 3_000_001


@pytest.fixture(scope="module")
def perceptual() -> FeatureNetwork:
    return load_feature_network(ASSETS / "perceptual.safetensors")


@pytest.fixture(scope="module")
def identity() -> FeatureNetwork:
    return load_feature_network(ASSETS / "identity.safetensors")


def small(kind: str) -> FeatureNetwork:
    network = FeatureNetwork(FeatureSizes(kind, (4, 6, 8), neck=3, grid=2, embedding=5, side=32))
    rng = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data.uniform_(0.01, 0.3, generator=rng)
    return network.requires_grad_(False)


def distance(network: FeatureNetwork, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    pairs = zip(network(a), network(b), strict=True)
    return torch.stack([(p - q).square().sum(1).mean((1, 2)) for p, q in pairs]).sum(0)


def test_files_are_small_and_of_their_kind(perceptual, identity):
    for name, network in (("perceptual", perceptual), ("identity", identity)):
        assert (ASSETS / f"{name}.safetensors").stat().st_size <= 1.5e6
        assert network.kind == name and not network.training
        assert not any(p.requires_grad for p in network.parameters())


def test_distance_is_the_weighted_sum_over_channels(perceptual):
    images = draw_portraits(torch.randn(4, len(INDEX), generator=torch.Generator().manual_seed(1)), 64)[0]
    a, b = images.chunk(2)
    weights = torch.cat(list(perceptual.weights))
    expected = (
        channel_distances(unit_features(perceptual.trunk, a), unit_features(perceptual.trunk, b)) @ weights
    )
    assert torch.allclose(distance(perceptual, a, b), expected, rtol=1e-4)
    assert float(distance(perceptual, a, a).max()) == 0.0


def test_perceptual_order_of_unseen_triplets(perceptual):
    right: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    l2: list[bool] = []
    with torch.no_grad():
        for some in draw_triplets(UNSEEN, 2, size=3):
            if len(some.reference):
                near, far = (distance(perceptual, some.reference, x) for x in (some.near, some.far))
                right[some.kind] += (near < far).tolist()
            if is_of_equal_error(some.kind):
                l2 += (
                    squared_error(some.reference, some.near) < squared_error(some.reference, some.far)
                ).tolist()
    shares = [
        sum(values) / len(values) for kind, values in right.items() if values and is_of_equal_error(kind)
    ]
    documented = FIGURES["perceptual"]["agreement"]["trained, fitted weights"]
    assert sum(shares) / len(shares) > documented["equal L2"] - 0.1
    assert sum(l2) / len(l2) < 0.8  # equal by construction: L2 can't tell


def test_triplets_are_what_they_say():
    for some in draw_triplets(UNSEEN + 1, 2, size=4):
        near, far = (squared_error(some.reference, x) for x in (some.near, some.far))
        if "weak" in some.kind and not some.kind.startswith(("shift", "warp")):
            assert bool((near < far).all()), some.kind
        elif is_of_equal_error(some.kind):
            assert bool(((near / far - 1).abs() < TOLERANCE).all()), some.kind
            assert bool((far > SMALLEST_CHANGE / 10).all())


def test_unseen_people_are_told_apart(identity):
    album = make_album(UNSEEN, 12, 3)
    network, pixels = verification(*likeness(identity.embed, album)), verification(*nearness_in_l2(album))
    assert network["auc"] > FIGURES["identity"]["identity"]["auc"] - 0.03
    assert network["auc"] > pixels["auc"] + 0.1


def test_background_and_clothes_are_no_identity(identity):
    rows = draw_people(torch.Generator().manual_seed(UNSEEN), 8, 1)[:, 0]
    others = draw_people(torch.Generator().manual_seed(UNSEEN + 1), 8, 1)[:, 0]
    scene, face = rows.clone(), rows.clone()
    for name in ("background_hue", "background_lightness", "cloth_hue", "cloth_lightness", "collar"):
        scene[..., INDEX[name]] = others[..., INDEX[name]]
    for name in IDENTITY_ATTRIBUTES:
        face[..., INDEX[name]] = others[..., INDEX[name]]
    original, elsewhere, other = (identity.embed(draw_portraits(u, 256)[0]) for u in (rows, scene, face))
    assert float((original * elsewhere).sum(1).min()) > 0.9
    assert float((original * other).sum(1).mean()) < 0.5


def test_a_cut_off_training_goes_on_as_if_never_interrupted(tmp_path):
    class CutError(Exception):
        pass

    def descend(checkpoint: Path, cut: int = -1) -> torch.Tensor:
        linear = torch.nn.Linear(3, 2)
        torch.nn.init.ones_(linear.weight)
        torch.nn.init.zeros_(linear.bias)

        def loss_at(step: int) -> torch.Tensor:
            if step == cut:
                raise CutError
            x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
            return (linear(x) - x[:, :2]).square().mean()

        train(linear, loss_at, 6, checkpoint, every=1)
        return linear.weight.detach()

    straight = descend(tmp_path / "straight.pt")
    with pytest.raises(CutError):
        descend(tmp_path / "cut.pt", cut=3)
    assert torch.equal(descend(tmp_path / "cut.pt"), straight)


def test_album_keeps_identity_and_changes_the_rest():
    rows = draw_people(torch.Generator().manual_seed(0), 5, 3)
    kept = [INDEX[name] for name in IDENTITY_ATTRIBUTES]
    others = [i for i in range(len(INDEX)) if i not in kept]
    assert torch.equal(rows[:, 0][..., kept], rows[:, 2][..., kept])
    assert bool((rows[:, 0][..., others] != rows[:, 2][..., others]).any(-1).all())


def test_verification_against_the_definition():
    rng = torch.Generator().manual_seed(0)
    same, different = torch.randn(40, generator=rng) + 1, torch.randn(300, generator=rng)
    pairs = same[:, None] - different
    found = verification(same, different)
    assert found["auc"] == pytest.approx(float((pairs > 0).double().mean()), abs=1e-9)
    rates = [
        (float((same < t).double().mean()), float((different >= t).double().mean()))
        for t in torch.cat([same, different]).tolist()
    ]
    missed, taken = min(rates, key=lambda rate: abs(rate[0] - rate[1]))
    assert found["eer"] == pytest.approx((missed + taken) / 2, abs=0.02)
    assert verification(same + 10, different) == {"auc": 1.0, "eer": 0.0}


def test_pairs_are_counted_once():
    same, different = split_pairs(torch.arange(36.0).view(6, 6), 3)
    assert same.tolist() == [1, 2, 8, 22, 23, 29]
    assert len(different) == 9


@pytest.mark.parametrize("size", [(32, 32), (33, 57), (96, 40)])
def test_any_size_of_32_or_more(size):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    maps = small("perceptual")(images)
    assert [m.shape[1] for m in maps] == [4, 6, 8] and maps[0].shape[2:] == size
    vectors = small("identity").embed(images)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(2), atol=0.02)


@pytest.mark.parametrize("kind", ["perceptual", "identity"])
def test_round_trip_under_inference_mode_and_gradients(tmp_path, kind):
    network = small(kind)
    save_feature_network(network, tmp_path / "n.safetensors", torch.float32, {"licence": "CC0"})
    with torch.inference_mode():
        again = load_feature_network(tmp_path / "n.safetensors")
    assert again.sizes.channels == network.sizes.channels
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    made = again.embed(images) if kind == "identity" else again(images)[-1]
    expected = network.embed(images) if kind == "identity" else network(images)[-1]
    assert torch.allclose(made, expected, atol=1e-6)
    made.square().sum().sub(made.sum()).backward()
    assert (
        images.grad is not None
        and bool(torch.isfinite(images.grad).all())
        and float(images.grad.abs().max()) > 0
    )


def test_a_flat_picture_has_finite_gradients(perceptual):
    flat = torch.zeros(1, 3, 32, 32, requires_grad=True)
    distance(perceptual, flat, flat.detach() + 0.3).sum().backward()
    assert flat.grad is not None and bool(torch.isfinite(flat.grad).all())


def test_wrong_pictures_and_kinds_are_refused():
    for shape in ((1, 3, 31, 64), (1, 1, 64, 64), (3, 64, 64)):
        with pytest.raises(InvalidInputError, match="expected RGB with at least 32 pixels"):
            small("perceptual")(torch.zeros(shape))
    with pytest.raises(InvalidInputError, match="kind"):
        small("identity")(torch.zeros(1, 3, 32, 32))
    with pytest.raises(InvalidInputError, match="kind"):
        small("perceptual").embed(torch.zeros(1, 3, 32, 32))
    with pytest.raises(InvalidInputError, match="kind"):
        FeatureSizes("beauty")


def test_bad_files_give_one_clear_error(tmp_path):
    with pytest.raises(MissingWeightsError, match="no feature network file"):
        load_feature_network(tmp_path / "absent.safetensors")
    good = {name: t.clone() for name, t in small("perceptual").state_dict().items()}
    header = {"format": "chunkygan-features", "version": "1", "kind": "perceptual", "channels": "4,6,8"}
    broken = {
        "format": (good, {**header, "format": "other"}),
        "version": (good, {**header, "version": "2"}),
        "whole number": (good, {**header, "channels": "4,six,8"}),
        "sizes": (good, {**header, "channels": "4,6,99999"}),
        "header says": (good, {**header, "channels": "4,6,4096"}),
        "stem.bias is None": ({k: v for k, v in good.items() if k != "trunk.stem.bias"}, header),
        "not finite": ({**good, "trunk.stem.bias": torch.full((4,), torch.nan)}, header),
        "negative": ({**good, "weights.0": -torch.ones(4)}, header),
    }
    for message, (tensors, metadata) in broken.items():
        save_file(tensors, tmp_path / "bad.safetensors", metadata)
        with pytest.raises(UnsupportedCheckpointError, match=message):
            load_feature_network(tmp_path / "bad.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors here")
    with pytest.raises(UnsupportedCheckpointError, match="no feature network"):
        load_feature_network(tmp_path / "bad.safetensors")
