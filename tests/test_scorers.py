"""Scorers of attributes: ONNX files score like the networks that they were made of, with the settings beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from chunky_core.editing.scorers import OnnxSettings, attribute_index, load_scorer
from chunky_core.errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from chunky_core.losses.feature_network import FeatureNetwork, FeatureSizes, save_feature_network
from chunky_core.losses.resize import resize
from tests.embedders import embedder, exported, faces, onnx_file, scripted

EIGHT = tuple("abcdefgh")
pytestmark = pytest.mark.cpu("files are read onto the CPU")


def as_bytes(images: Tensor, size: tuple[int, int]) -> Tensor:
    """What a network sees by default, in [0,1]: 8 bits at its size."""
    return resize((images + 1) * 127.5, size).clamp(0, 255).round() / 255


def test_a_file_scores_like_its_network(tmp_path: Path) -> None:
    network = embedder()
    with torch.inference_mode():
        scorer = load_scorer(onnx_file(tmp_path / "net.onnx", network), settings=OnnxSettings(EIGHT))
    with torch.no_grad():
        expected = network(as_bytes(faces(), (112, 112)) * 2 - 1)
    assert scorer.names == EIGHT
    assert torch.allclose(scorer(faces()), expected, atol=1e-4)


def test_settings_change_what_the_network_sees(tmp_path: Path) -> None:
    network, mean, std = embedder(), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    settings = OnnxSettings(EIGHT, mean=mean, std=std, channels="bgr")
    scorer = load_scorer(onnx_file(tmp_path / "net.onnx", network), settings=settings)
    pixels = as_bytes(faces(), (112, 112))
    seen = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        assert torch.allclose(scorer(faces()), network(seen.flip(1)), atol=1e-4)


def test_files_of_transformers_beside_it_name_and_prepare(tmp_path: Path) -> None:
    network = embedder()
    path = onnx_file(tmp_path / "net.onnx", network)
    (tmp_path / "config.json").write_text(json.dumps({"id2label": dict(enumerate(EIGHT))}))
    preparation = {"size": 64, "resample": 2, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preparation))
    scorer = load_scorer(path)
    assert scorer.names == EIGHT
    with torch.no_grad():  # at the size that the file itself declares
        assert torch.allclose(scorer(faces()), network(as_bytes(faces(), (112, 112))), atol=1e-4)


class Heads(nn.Module):
    """Two outputs, for pictures of any size."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pooled = x.mean((2, 3))
        return pooled, pooled[:, :1] * 2


def test_several_outputs_are_one_row_of_scores(tmp_path: Path) -> None:
    axes = {"x": {2: "h", 3: "w"}}
    path = exported(tmp_path / "heads.onnx", Heads(), side=96, input_names=["x"], dynamic_axes=axes)
    scorer = load_scorer(path, settings=OnnxSettings(size=(96, 96)))
    means = (as_bytes(faces(), (96, 96)) * 2 - 1).mean((2, 3))
    assert scorer.names == ("output 0", "output 1", "output 2", "output 3")
    assert torch.allclose(scorer(faces()), torch.cat([means, means[:, :1] * 2], 1), atol=1e-5)


def test_our_own_file_scores_by_its_names(tmp_path: Path) -> None:
    sizes = FeatureSizes("attributes", (4, 6), neck=3, grid=2, embedding=2, side=32, names=("age", "smile"))
    with torch.random.fork_rng(devices=[]):
        network = FeatureNetwork(sizes).requires_grad_(False)
    save_feature_network(network, tmp_path / "own.safetensors", torch.float32)
    scorer = load_scorer(tmp_path / "own.safetensors")
    assert scorer.names == ("age", "smile") and attribute_index(scorer, "smile") == 1
    assert torch.allclose(scorer(faces(18, 40)), network.scores(faces(18, 40)), atol=1e-6)
    with pytest.raises(InvalidInputError, match="no attribute 'beard'; there are age, smile"):
        attribute_index(scorer, "beard")


def test_what_is_no_scorer_is_refused(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx", embedder())
    with pytest.raises(InvalidInputError, match="gives 8 scores, and 2 names are given"):
        load_scorer(path, settings=OnnxSettings(("a", "b")))
    with pytest.raises(InvalidInputError, match='choose "demo"'):
        load_scorer("net.txt")
    with pytest.raises(MissingWeightsError, match="no scorer gone.onnx"):
        load_scorer(tmp_path / "gone.onnx")
    with pytest.raises(UnsupportedCheckpointError, match="TorchScript"):
        load_scorer(scripted(tmp_path / "net.pt", embedder()))
    maps = exported(tmp_path / "maps.onnx", nn.Conv2d(3, 2, 3), side=32)
    with pytest.raises(UnsupportedCheckpointError, match=r"expected scores, \(1, attributes\)"):
        load_scorer(maps)
    with torch.random.fork_rng(devices=[]):
        save_feature_network(FeatureNetwork(FeatureSizes("perceptual")), tmp_path / "p.safetensors")
    with pytest.raises(UnsupportedCheckpointError, match="kind 'perceptual'"):
        load_scorer(tmp_path / "p.safetensors")


@pytest.mark.parametrize(
    "wrong", [{"channels": "hsv"}, {"names": ("a", "a")}, {"std": (1.0, 0.0, 1.0)}], ids=str
)
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(InvalidInputError):
        OnnxSettings(**wrong)
