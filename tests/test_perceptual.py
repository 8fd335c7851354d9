"""LPIPS against the package itself, its weight files, and the figures of evaluation."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from chunky_core.boxes import full_box
from chunky_core.errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from chunky_core.evaluation import metrics
from chunky_core.losses import LossConfig, LossNetworks, MaskedLoss, load_networks, perceptual_distance
from chunky_core.losses.resize import resize
from tests.embedders import exported
from tests.toy_networks import Colours, Means, only, picture

FILES = {"squeeze": "squeezenet1_1-b8a52dc0.pth", "alex": "alexnet-owt-7be5be79.pth"}

NAMES = {"squeeze": "squeezenet1_1", "alex": "alexnet"}


@pytest.fixture
def trunks(tmp_path: Path) -> Path:
    """A folder with ImageNet weight files as torchvision names them, with random numbers in them."""
    from torchvision import models  # type: ignore[import-untyped]

    with torch.device("meta"):
        features = {net: getattr(models, NAMES[net])(weights=None).features for net in FILES}
    rng = torch.Generator().manual_seed(0)
    for net, trunk in features.items():
        shapes = {f"features.{name}": tensor.shape for name, tensor in trunk.state_dict().items()}
        state = {name: 0.1 * torch.randn(shape, generator=rng) for name, shape in shapes.items()}
        torch.save(state, tmp_path / FILES[net])
    return tmp_path


def lpips_of(net: str, weights: Path) -> Callable[[Tensor, Tensor], Tensor]:
    """The package's own network with the weights of a file."""
    import lpips

    with torch.random.fork_rng(devices=[]):
        reference = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    state = torch.load(weights, weights_only=True)
    names = reference.net.state_dict()
    reference.net.load_state_dict({name: state[f"features.{name.partition('.')[2]}"] for name in names})
    return reference


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize("net", sorted(FILES))
def test_lpips_equals_the_package(net: str, trunks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: pytest.fail("download"))
    state = torch.random.get_rng_state()
    network = load_networks(LossConfig(lpips=1.0, lpips_net=net), "cpu", [trunks]).perceptual
    assert torch.equal(state, torch.random.get_rng_state())
    assert network is not None
    x = torch.cat([picture(10, 80, 72), picture(12, 80, 72)]).float()
    y = torch.cat([picture(11, 80, 72), picture(12, 80, 72)]).float()
    distance = perceptual_distance(network.features(x), network.features(y))
    assert torch.allclose(distance, lpips_of(net, trunks / FILES[net])(x, y).flatten(), rtol=1e-5, atol=1e-7)
    assert distance[0] > 0.01 and distance[1] == 0
    assert metrics.perceptual(x, y, network) == pytest.approx(distance.mean().item(), rel=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize("net", sorted(FILES))
def test_lpips_reads_safetensors_and_files_by_path_alike(net: str, trunks: Path, tmp_path: Path) -> None:
    """The same tensors as torchvision's file, under its name in a folder or as any file."""
    pictures = torch.cat([picture(10, 64, 64), picture(11, 64, 64)]).float()
    expected = load_networks(LossConfig(lpips=1.0, lpips_net=net), "cpu", [trunks]).perceptual.features(
        pictures
    )
    state = torch.load(trunks / FILES[net], weights_only=True)
    folder = tmp_path / "other"
    folder.mkdir()
    named, any_name = folder / Path(FILES[net]).with_suffix(".safetensors"), folder / "mine.safetensors"
    for path in (named, any_name):
        save_file(state, path)
    for choice, folders in ((net, [folder]), (str(any_name), []), (str(trunks / FILES[net]), [])):
        network = load_networks(LossConfig(lpips=1.0, lpips_net=choice), "cpu", folders).perceptual
        assert all(map(torch.equal, network.features(pictures), expected))


class Maps(nn.Module):
    """Two maps of features, as a trunk cut at two depths."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 7, 3, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = nn.functional.relu(self.first(x))
        return first, self.second(first)


def maps(seed: int = 0) -> Maps:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Maps().eval()


ANY_SIZE = {
    "input_names": ["x"],
    "output_names": ["a", "b"],
    "dynamic_axes": {"x": {0: "n", 2: "h", 3: "w"}, "a": {0: "n", 2: "h", 3: "w"}, "b": {0: "n"}},
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("any_size", [True, False])
def test_an_onnx_file_gives_lpips_without_weights(any_size: bool, tmp_path: Path) -> None:
    network = maps()
    path = exported(tmp_path / "maps.onnx", network, 64, **(ANY_SIZE if any_size else {}))
    with torch.inference_mode():
        loaded = load_networks(LossConfig(lpips=1.0, lpips_net=str(path))).perceptual
    x, y = (torch.cat([picture(seed, 80, 72), picture(seed + 1, 80, 72)]).float() for seed in (10, 20))
    seen = [image if any_size else resize(image, (64, 64)) for image in (x, y)]
    with torch.no_grad():
        units = [
            [nn.functional.normalize(map_, dim=1, eps=1e-10) for map_ in network(image)] for image in seen
        ]
    expected = sum(((a - b) ** 2).sum(1).mean((1, 2)) for a, b in zip(*units, strict=True))
    assert torch.allclose(perceptual_distance(loaded.features(x), loaded.features(y)), expected, rtol=1e-4)
    assert torch.equal(perceptual_distance(loaded.features(x), loaded.features(x)), torch.zeros(2))
    picture_ = x[:1].clone().requires_grad_()
    loss = perceptual_distance(loaded.features(picture_), loaded.features(y[:1])).sum()
    (gradient,) = torch.autograd.grad(loss, picture_)
    assert gradient.isfinite().all() and gradient.abs().max() > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_onnx_file_that_gives_no_maps_is_refused(tmp_path: Path) -> None:
    class Embeds(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)

    path = exported(tmp_path / "vector.onnx", Embeds(), 64)
    with pytest.raises(
        UnsupportedCheckpointError, match=r"gives \[\[1, 12288\]\] for one picture; expected maps"
    ):
        load_networks(LossConfig(lpips=1.0, lpips_net=str(path)))


def test_other_networks_files_are_named(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.safetensors")
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.pth")
    for name in ("resnet.safetensors", "resnet.pth"):
        with pytest.raises(UnsupportedCheckpointError, match=f"{name} is no feature network.*ONNX") as error:
            load_networks(LossConfig(lpips=1.0, lpips_net=str(tmp_path / name)))
        assert "\n" not in str(error.value)
    torch.jit.script(maps()).save(str(tmp_path / "net.pth"))
    with pytest.raises(UnsupportedCheckpointError, match="TorchScript, which is a program"):
        load_networks(LossConfig(lpips=1.0, lpips_net=str(tmp_path / "net.pth")))


def test_lpips_has_finite_gradients_everywhere(trunks: Path) -> None:
    """Where every activation is 0, the length of the features has no slope of its own."""
    with torch.inference_mode():
        parts = load_networks(only("lpips", lpips_net="squeeze"), "cpu", [trunks])
    photo = torch.zeros(1, 3, 64, 64)
    loss = MaskedLoss(only("lpips"), parts, photo, full_box(64), torch.ones(1, 1, 64, 64))
    rendering = torch.full_like(photo, -1.0).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(rendering), rendering)
    assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_missing_perceptual_weights_are_named_and_not_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: pytest.fail("download"))
    for net, file in (("vgg", "vgg16-"), ("alex", "alexnet-"), ("squeeze", "squeezenet1_1-")):
        config = LossConfig(lpips=1.0, lpips_net=net)
        with pytest.raises(MissingWeightsError, match="L2, L1, MS-SSIM.*demo") as error:
            load_networks(config, "cpu", [tmp_path / "models"])
        message = str(error.value)
        assert file in message and "https://download.pytorch.org/" in message and "\n" not in message
        assert str(tmp_path / "checkpoints") in message and str(tmp_path / "models") in message


def test_damaged_perceptual_weights_are_named(trunks: Path) -> None:
    path = trunks / FILES["squeeze"]
    config = LossConfig(lpips=1.0, lpips_net="squeeze")
    state = torch.load(path, weights_only=True)
    state["features.0.weight"] = state["features.0.weight"][:5]
    torch.save(state, path)
    with pytest.raises(UnsupportedCheckpointError, match=r"features.0.weight is \(5, 3, 3, 3\)"):
        load_networks(config, "cpu", [trunks])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UnsupportedCheckpointError, match=path.name):
        load_networks(config, "cpu", [trunks])


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_lpips(name: str, *args: object, **kwargs: object) -> object:
        if name == "lpips":
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_lpips)
    with pytest.raises(MissingWeightsError, match="pip install lpips"):
        load_networks(LossConfig(lpips=1.0))


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="demo, vgg, alex, squeeze"):
        load_networks(LossConfig(lpips=1.0, lpips_net="resnet"))


def test_only_what_has_a_weight_is_looked_for() -> None:
    config = LossConfig(lpips_net="nonsense", identity_net="nonsense")
    assert load_networks(config) == LossNetworks(None, None)


def test_the_perceptual_metric_counts_by_the_mask_and_enlarges_small_pictures() -> None:
    x, y = torch.zeros(2, 3, 8, 8), torch.full((2, 3, 8, 8), 0.5)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4, :] = 1
    network = Colours()
    assert metrics.perceptual(x, y, network) == pytest.approx(3 * 0.25 + 4 * 0.25)
    assert set(network.sizes) == {(16, 16)}
    assert metrics.perceptual(x, y, network, mask) == pytest.approx(
        1.75, rel=0.15
    )  # enlarging softens the edge
    with pytest.raises(InvalidInputError, match="empty"):
        metrics.perceptual(x, y, network, 0 * mask)


def test_the_identity_metric_is_one_minus_the_cosine() -> None:
    x, y = torch.cat([picture(1, 20, 20), picture(2, 20, 20)]), torch.cat([picture(3, 20, 20)] * 2)
    expected = 1 - torch.cosine_similarity(Means().embed(x), Means().embed(y)).mean().item()
    assert metrics.identity_distance(x, y, Means()) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(InvalidInputError, match="must be equal"):
        metrics.identity_distance(x, y[:1], Means())
