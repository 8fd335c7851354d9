"""What identity embedders from files compute, and the loss that is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from chunky_core.boxes import Box, full_box
from chunky_core.errors import InvalidInputError
from chunky_core.losses import LossConfig, MaskedLoss, load_networks
from chunky_core.losses.face_frame import arcface_frame
from chunky_core.losses.feature_network import (
    FeatureNetwork,
    FeatureSizes,
    load_feature_network,
    save_feature_network,
)
from chunky_core.losses.resize import resize
from tests.embedders import embedder, faces, load, onnx_file


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_a_file_embeds_like_the_network_that_it_was_made_of(channels: str, tmp_path: Path) -> None:
    network = embedder()
    path = onnx_file(tmp_path / "net.onnx", network)
    pictures = arcface_frame(faces())
    with torch.no_grad():
        expected = nn.functional.normalize(
            network(pictures if channels == "rgb" else pictures.flip(1)), dim=1
        )
        found = load(path, channels).embed(faces())
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(found.norm(dim=1), torch.ones(2), atol=1e-6)


def test_a_file_can_be_differentiated_after_loading_in_inference_mode(tmp_path: Path) -> None:
    network = embedder()
    loaded = load(onnx_file(tmp_path / "net.onnx", network))
    gradients = []
    for embed in (loaded.embed, lambda x: nn.functional.normalize(network(arcface_frame(x)), dim=1)):
        picture = faces(1, 112).requires_grad_()
        gradients.append(torch.autograd.grad(embed(picture)[0, 0], picture)[0])
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6 + 1e-4 * gradients[1].abs().max().item())


def test_an_onnx_file_states_the_size_of_its_pictures(tmp_path: Path) -> None:
    network = embedder()
    loaded = load(onnx_file(tmp_path / "net.onnx", network, side=64))
    with torch.no_grad():
        expected = nn.functional.normalize(network(resize(faces(), (64, 64))), dim=1)
    assert torch.allclose(loaded.embed(faces()), expected, atol=1e-5)


def test_the_identity_loss_pulls_a_segment_towards_the_person(tmp_path: Path) -> None:
    config = LossConfig(l2=0, identity=1, identity_net=str(onnx_file(tmp_path / "net.onnx", embedder())))
    photo, box = faces(1, 64), Box(10, 12, 50, 52)
    loss = MaskedLoss(config, load_networks(config), photo, box, torch.ones(1, 1, 40, 40))
    crop = faces(2, 40)[1:].requires_grad_()
    before = loss(crop)
    (gradient,) = torch.autograd.grad(before, crop)
    after = loss(crop.detach() - 0.05 * gradient / gradient.abs().max())
    assert 0 < after < before <= 2
    assert loss(photo[..., 10:50, 12:52]).item() == pytest.approx(0, abs=1e-6)


def test_a_feature_network_file_serves_as_either_network(tmp_path: Path) -> None:
    paths = {}
    for kind in ("perceptual", "identity"):
        paths[kind] = str(tmp_path / f"{kind}.safetensors")
        with torch.random.fork_rng(devices=[]):
            save_feature_network(FeatureNetwork(FeatureSizes(kind)), paths[kind])
    config = LossConfig(lpips=1, lpips_net=paths["perceptual"], identity=1, identity_net=paths["identity"])
    networks = load_networks(config)
    assert networks.identity is not None and networks.perceptual is not None
    with torch.no_grad():
        expected = load_feature_network(paths["identity"]).embed(faces())
        expected = nn.functional.normalize(expected, dim=1)
        assert torch.allclose(networks.identity.embed(faces()), expected, atol=1e-6)
    loss = MaskedLoss(config, networks, faces(1, 64), full_box(64), torch.ones(1, 1, 64, 64))
    assert loss(faces(1, 64)).item() == pytest.approx(0, abs=1e-5)
    assert loss(-faces(1, 64)).item() > 0.01
    with pytest.raises(InvalidInputError, match="kind 'identity'; expected 'perceptual'"):
        load_networks(LossConfig(lpips=1, lpips_net=paths["identity"]))


def test_the_demo_networks_come_with_the_package() -> None:
    config = LossConfig(lpips=1, lpips_net="demo", identity=1, identity_net="demo")
    networks = load_networks(config)
    loss = MaskedLoss(config, networks, faces(1, 64), full_box(64), torch.ones(1, 1, 64, 64))
    assert loss(-faces(1, 64)) > loss(faces(1, 64)) + 0.1
