"""Which embedder files are refused, before anything of them runs, and what is said of them."""

from __future__ import annotations

import builtins
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from chunky_core.errors import ChunkyError, InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from chunky_core.losses import LossConfig, load_networks
from chunky_core.losses.face_frame import arcface_frame
from chunky_core.losses.feature_network import FeatureNetwork, FeatureSizes, save_feature_network
from tests.embedders import embedder, exported, faces, load, onnx_file, scripted

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit:FutureWarning")


class ArcLike(nn.Module):
    """With the layers that exporters write in several ways."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.prelu = nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.PReLU(4)
        self.pool, self.drop, self.linear = nn.AvgPool2d(11), nn.Dropout(), nn.Linear(100, 8)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.prelu(self.norm(self.conv(x)))
        return nn.functional.normalize(self.linear(self.drop(self.pool(maps)).view(x.shape[0], -1)))


def arc_like() -> ArcLike:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ArcLike().eval()


def test_torchscript_isnt_opened_and_the_line_in_the_error_exports_it(tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch")
    network = arc_like()
    path = scripted(tmp_path / "face net.pt", network)
    with pytest.raises(UnsupportedCheckpointError, match="TorchScript, which is a program") as error:
        load(path)
    message = str(error.value)
    assert "\n" not in message and str(tmp_path) in message and "face net.onnx" in message
    line = re.search(r"torch\.onnx\.export\(.*dynamo=False\)", message)
    assert line is not None
    command = [sys.executable, "-W", "ignore", "-c", f"import torch; {line[0]}"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=100)
    with torch.no_grad():
        expected = network(arcface_frame(faces()))
    assert torch.allclose(load(tmp_path / "face net.onnx").embed(faces()), expected, atol=1e-5)


def test_weights_without_a_network_are_called_so(tmp_path: Path) -> None:
    state = arc_like().state_dict()
    torch.save(state, tmp_path / "backbone.pth")
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    for name in ("backbone.pth", "last.ckpt"):
        with pytest.raises(UnsupportedCheckpointError, match="weights without the network.*opset_version=17"):
            load(tmp_path / name)
    save_file(state, tmp_path / "backbone.safetensors")
    with pytest.raises(UnsupportedCheckpointError, match="no feature network.*ONNX"):
        load(tmp_path / "backbone.safetensors")


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.onnx", "net.safetensors", "net.pt2"])
def test_what_is_no_network_at_all_is_named(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch")
    path = tmp_path / name
    texts = (
        b"<!DOCTYPE html>\n<html>not found</html>\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    )
    for content, said in [
        (b"", "empty"),
        (texts[0], "web page"),
        (texts[1], "LFS"),
        (bytes(1000), "zeros"),
        (b"\xfe" * 99, "unknown|parsed"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ChunkyError, match=said) as error:
            load(path)
        assert (
            "\n" not in str(error.value) and name in str(error.value) and "StyleGAN" not in str(error.value)
        )


@pytest.mark.parametrize("opset", [9, 10, 11, 13, 17, 18])
@pytest.mark.parametrize("dynamic", [False, True])
def test_what_pytorch_exports_embeds_alike(opset: int, dynamic: bool, tmp_path: Path) -> None:
    network = arc_like()
    axes = {
        "dynamic_axes": {"x": {0: "batch"}, "e": {0: "batch"}},
        "input_names": ["x"],
        "output_names": ["e"],
    }
    path = exported(tmp_path / "net.onnx", network, 128, opset, **(axes if dynamic else {}))
    if opset == 18:
        with pytest.raises(
            UnsupportedCheckpointError, match="ReduceL2 of ONNX opset 18; export it again.*17"
        ):
            load(path)
        return
    with torch.no_grad():
        expected = network(nn.functional.interpolate(faces(), (128, 128), mode="bilinear", antialias=True))
    assert torch.allclose(load(path).embed(faces()), expected, atol=1e-5)


@pytest.mark.parametrize("opset", [7, 8, 19, 22, 23])
def test_an_opset_out_of_reach_is_named_and_the_converter_brings_it_back(opset: int, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = onnx_file(tmp_path / "net.onnx", embedder())
    expected = load(path).embed(faces())
    model = onnx.load(str(path))
    model.opset_import[0].version = opset
    onnx.save(model, str(path))
    with pytest.raises(
        UnsupportedCheckpointError, match=f"opset {opset}; this program opens 9 to 18.*convert_version"
    ):
        load(path)
    onnx.save(onnx.version_converter.convert_version(onnx.load(str(path)), 17), str(path))
    assert torch.allclose(load(path).embed(faces()), expected, atol=1e-6)


def test_nothing_of_an_onnx_file_becomes_code(
    tmp_path: Path, nothing_created: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = "\"); open('CREATED', 'w'); (\""
    path = onnx_file(tmp_path / "net.onnx", embedder(), prefix=prefix)
    load(path)  # imports what is imported on first use
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "exec", lambda *_: pytest.fail("code was run"))
        patch.setattr(builtins, "compile", lambda *_: pytest.fail("code was made"))
        assert load(path).embed(faces()).shape == (2, 8)


def test_an_onnx_file_in_several_parts_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = onnx_file(tmp_path / "net.onnx", embedder())
    model = onnx.load(str(path))
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../secret")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedCheckpointError, match="one file"):
        load(path)


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx", embedder())
    before = torch.get_rng_state()
    load(path)
    assert torch.equal(torch.get_rng_state(), before)


class Pooled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))[:, :, None]


class Broken(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sqrt(-1 - x.flatten(1).abs())


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0 * x.flatten(1).detach().round() + 1


class Dead(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0 * x.flatten(1)


class Same(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0 * x.flatten(1) + 1


class Silent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x.flatten(1) - 10)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Pooled, r"\(1, 3, 1\)"), (Broken, "finite"), (Constant, "Round|depend on"), (Dead, "nothing but zeros"),
        (Same, "don't depend on the picture"), (Silent, "nothing but zeros"),
    ],
)  # fmt: skip
def test_a_network_that_is_no_embedder_is_refused(kind: type[nn.Module], said: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedCheckpointError, match=said) as error:
        load(exported(tmp_path / "net.onnx", kind(), 16))
    assert "\n" not in str(error.value) and "net.onnx" in str(error.value)


class UnitLength(nn.Module):
    """Results of length 1: the sum of their squares has no slope."""

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.nn.functional.avg_pool2d(x, 8).flatten(1)
        return pooled / pooled.square().sum(1, keepdim=True).sqrt()


class FlatOnRamps(nn.Module):
    """0 on smooth pictures, as an edge detector's results may be."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu((x[:, :, :, 1:] - x[:, :, :, :-1]).abs() - 0.5).flatten(1)


@pytest.mark.parametrize("kind", [UnitLength, FlatOnRamps])
def test_a_network_that_is_flat_in_one_way_only_is_taken(kind: type[nn.Module], tmp_path: Path) -> None:
    network = load(exported(tmp_path / "net.onnx", kind(), 16))
    assert bool(network.embed(torch.rand(1, 3, 16, 16) * 2 - 1).any())


@pytest.mark.parametrize("ending", [".pt", ".pth", ".safetensors"])
def test_an_onnx_file_of_another_name_is_told_by_its_contents(ending: str, tmp_path: Path) -> None:
    path = onnx_file(tmp_path / f"named{ending}", embedder())
    for options in ({"identity": 1.0, "identity_net": str(path)}, {"lpips": 1.0, "lpips_net": str(path)}):
        with pytest.raises(UnsupportedCheckpointError, match=r"is an ONNX file.*rename it to named\.onnx"):
            load_networks(LossConfig(**options))


@pytest.mark.parametrize("kind", ["identity", "perceptual"])
def test_a_feature_network_of_zeros_is_refused(kind: str, tmp_path: Path) -> None:
    if kind == "identity":
        sizes = FeatureSizes(kind, (4, 4, 4, 4), neck=2, grid=2, embedding=8, side=32)
    else:
        sizes = FeatureSizes(kind, (4, 4, 4, 4))
    network = FeatureNetwork(sizes)
    path = tmp_path / "zeros.safetensors"
    options = (
        {"identity": 1.0, "identity_net": str(path)}
        if kind == "identity"
        else {"lpips": 1.0, "lpips_net": str(path)}
    )
    save_feature_network(network, path)
    load_networks(LossConfig(**options))
    for parameter in network.parameters():
        parameter.data.zero_()
    save_feature_network(network, path)
    with pytest.raises(UnsupportedCheckpointError, match="zeros|don't depend"):
        load_networks(LossConfig(**options))


def test_damaged_files_give_one_clear_error(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx", embedder())
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[100:], whole[:-1], bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(ChunkyError) as error:
            load(path)
        assert "\n" not in str(error.value) and "net.onnx" in str(error.value)


def test_missing_and_unknown_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="L2, L1, MS-SSIM"):
        load(tmp_path / "arcface.onnx")
    with pytest.raises(InvalidInputError, match=r"\.onnx"):
        load("arcface")
    with pytest.raises(MissingWeightsError, match="no perceptual network lost.onnx"):
        load_networks(LossConfig(lpips=1, lpips_net=str(tmp_path / "lost.onnx")))


def test_a_missing_onnx2torch_is_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "onnx2torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    (tmp_path / "net.onnx").write_bytes(b"x")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingWeightsError, match="pip install onnx2torch"):
        load(tmp_path / "net.onnx")
