"""Perceptual distances: LPIPS (Zhang et al. 2018) through the package `lpips`, a feature network of our own, or ONNX.

Nothing is downloaded.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from ..checkpoints.checkpoint import as_tensor, fields, is_weight
from ..checkpoints.containers.content import open_content
from ..checkpoints.pickles.rebuild import TensorRef
from ..errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from ..memory_layout import memory_format
from .feature_network import EPSILON, FeatureNetwork, is_feature_network, load_feature_network
from .pytorch_files import is_onnx_file, is_torchscript, refused, renamed_onnx
from .trial_run import try_network
from .unit_features import UnitFeatures, unit_distance

_WEIGHTS = {"vgg": "VGG16_Weights", "alex": "AlexNet_Weights", "squeeze": "SqueezeNet1_1_Weights"}
LPIPS_NETWORKS = tuple(_WEIGHTS)
ENDINGS = (".safetensors", ".pth", ".pt", ".onnx")
DEMO_FILE = Path(__file__).parents[1] / "demo" / "assets" / "perceptual.safetensors"
_OTHERS = (
    "or use the losses that need no weights: L2, L1, MS-SSIM "
    '(the network "demo" comes with the package, but is meant for demo portraits only)'
)
_AGAIN = "get a fresh copy of the file"
_LPIPS_SMALLEST = 64  # below it the last feature maps are about one pixel wide
Module = TypeVar("Module", bound=nn.Module)
_TINY = 1e-10  # lpips' own; it also keeps the slope of the norm finite where every channel is 0


class PerceptualNetwork(Protocol):
    """Feature maps whose squared difference is a perceptual distance, see `perceptual_distance`."""

    @property
    def smallest_side(self) -> int:
        """Pixels; smaller pictures have to be enlarged first."""

    def features(self, images: Tensor) -> list[Tensor]:
        """images [B,3,h,w] in [-1,1] -> maps [B,C,h',w'], weighted and differentiable."""


def perceptual_distance(features: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """Distance of two lots of feature maps [B,C,h,w] (or [1,C,h,w]), [B]: over all maps the sum of the mean
    over pixels of the squared difference summed over channels.
    """
    terms = [(a - b).square().sum(1).mean((-2, -1)) for a, b in zip(features, others, strict=True)]
    return torch.stack(terms).sum(0)


def distance_from(network: PerceptualNetwork, images: Tensor, features: Sequence[Tensor]) -> Tensor:
    """`perceptual_distance` of images [B,3,h,w] from the features of others, differentiable by the images: [B]."""
    if isinstance(network, UnitFeatures):
        return unit_distance(network, images, features)
    return perceptual_distance(network.features(images), features)


def load_perceptual_network(
    net: str, device: torch.device | str = "cpu", *, folders: Sequence[Path] = ()
) -> PerceptualNetwork:
    """`net`: "demo", one of LPIPS_NETWORKS, or the path of a file: a feature network (.safetensors), the ImageNet
    weights of one of those networks (.pth or .safetensors with the same tensors' names), or a network in ONNX.

    folders: searched for the ImageNet weights of LPIPS before torch's cache. Raises InvalidInputError for
    another name, UnsupportedCheckpointError for an unusable file, MissingWeightsError if a file or a package is
    absent.
    """
    if net in LPIPS_NETWORKS:
        return _Lpips(net, device, folders)
    if net == "demo":
        return _Own(DEMO_FILE, device)
    path = checked_perceptual_file(net)
    if path.suffix.lower() == ".onnx":
        from .onnx.features import OnnxFeatures

        return OnnxFeatures(path, torch.device(device))
    trunk = _trunk_of(path)
    return _Own(path, device) if trunk is None else _Lpips(trunk, device, path=path)


def checked_perceptual_file(net: str) -> Path:
    """The file of a perceptual network, looked at from outside only: quick, to be called before any work begins.

    Raises as `load_perceptual_network` does for another name, a missing file and TorchScript.
    """
    path = Path(net)
    if path.suffix.lower() not in ENDINGS:
        raise InvalidInputError(
            f"perceptual network {net!r} is unknown; choose demo, {', '.join(LPIPS_NETWORKS)}, "
            f"or the path of a file ({', '.join(ENDINGS)})"
        )
    if not path.is_file():
        raise MissingWeightsError(
            f"there is no perceptual network {path.name} in {path.parent}; put it there, {_OTHERS}"
        )
    if is_torchscript(path):
        raise refused(path)
    if path.suffix.lower() != ".onnx" and is_onnx_file(path):
        raise renamed_onnx(path)
    return path


def find_weights(net: str, folders: Sequence[Path] = ()) -> Path:
    """The file of the ImageNet weights of `net` in `folders` or torch's cache, .safetensors or .pth;
    MissingWeightsError names it.
    """
    from torchvision import models  # type: ignore[import-untyped]

    url = getattr(models, _WEIGHTS[net]).IMAGENET1K_V1.url
    name = Path(url.rpartition("/")[2])
    places = [*map(Path, folders), Path(torch.hub.get_dir()) / "checkpoints"]
    for place in places:
        for file in (place / name, place / name.with_suffix(".safetensors")):
            if file.is_file():
                return file
    raise MissingWeightsError(
        f"the loss LPIPS ({net}) needs the file {name} (or {name.stem}.safetensors), which is not in "
        f"{' or '.join(map(str, places))}; "
        f"put it there (from {url}), {_OTHERS}"
    )


def _trunk_of(path: Path) -> str | None:
    """Which of LPIPS_NETWORKS a file's weights belong to; None for a feature network, and for what isn't known."""
    with open_content(path) as content:
        weights = {} if is_feature_network(content) else fields(content.value)
        stem = weights.get("features.0.weight")
        if not isinstance(stem, TensorRef):
            return None
        if "features.3.squeeze.weight" in weights:
            return "squeeze"
        return "alex" if stem.size[-1:] == (11,) else "vgg"


class _Lpips(UnitFeatures):
    """LPIPS as feature maps: unit-normalised activations times the roots of the package's linear weights."""

    smallest_side = _LPIPS_SMALLEST

    def __init__(
        self, net: str, device: torch.device | str, folders: Sequence[Path] = (), *, path: Path | None = None
    ) -> None:
        network = _lpips_package().LPIPS
        path = find_weights(net, folders) if path is None else path
        # Building the network draws random weights first: the caller's random state must not move. The package
        # calls torchvision in a manner that it warns of.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            self.network = network(net=net, pnet_rand=True, verbose=False)
        _load_trunk(self.network.net, path)
        on_device(self.network, device)
        self.roots = [layer.model[-1].weight.clamp(min=0).sqrt() for layer in self.network.lins]

    def maps(self, images: Tensor) -> list[Tensor]:
        return list(self.network.net(self.network.scaling_layer(images.to(self.roots[0].dtype))))

    def features(self, images: Tensor) -> list[Tensor]:
        return [
            lpips_unit_length(map_) * root for map_, root in zip(self.maps(images), self.roots, strict=True)
        ]

    @staticmethod
    def unit(squared_length: Tensor) -> tuple[Tensor, Tensor]:
        length = squared_length.clamp(min=_TINY**2).sqrt()
        return 1 / (length + _TINY), (1 + _TINY / length) * (squared_length >= _TINY**2)


def _lpips_package() -> ModuleType:
    try:
        import lpips
    except ImportError as error:
        raise MissingWeightsError(
            f"the loss LPIPS needs the package lpips, which is not installed; run `pip install lpips`, {_OTHERS}"
        ) from error
    package: ModuleType = lpips
    return package


def _load_trunk(trunk: nn.Module, path: Path) -> None:
    """Into lpips' trunk, whose slices number the layers as torchvision's own network does. The package would
    load, or download, the file with a full pickle.
    """
    state = {}
    with open_content(path) as content:
        weights = fields(content.value)
        for name, tensor in trunk.state_dict().items():
            source = "features." + name.partition(".")[2]
            value = weights.get(source)
            if value is None or not is_weight(value):
                raise UnsupportedCheckpointError(f"{path.name}: it has no tensor {source}; {_AGAIN}")
            found = as_tensor(source, value)
            if found.shape != tensor.shape:
                raise UnsupportedCheckpointError(
                    f"{path.name}: its tensor {source} is {tuple(found.shape)}, "
                    f"expected {tuple(tensor.shape)}; {_AGAIN}"
                )
            if not bool(found.isfinite().all()):
                raise UnsupportedCheckpointError(f"{path.name}: its tensor {source} isn't finite; {_AGAIN}")
            state[name] = found.to(tensor.dtype, copy=True)
    trunk.load_state_dict(state)


def lpips_unit_length(features: Tensor) -> Tensor:
    """[B,C,h,w] divided by its length along the channels, as lpips does, with a slope that is never NaN."""
    length = features.square().sum(1, keepdim=True).clamp(min=_TINY**2).sqrt()
    return features / (length + _TINY)


class _Own(UnitFeatures):
    """A feature network file."""

    def __init__(self, path: Path, device: torch.device | str) -> None:
        self.network = load_own_network(path, "perceptual", device)
        self.smallest_side: int = self.network.smallest_side
        self.roots = [weight.sqrt()[:, None, None] for weight in self.network.weights]
        size = (self.smallest_side, self.smallest_side)
        try_network(path.name, self.network, size, torch.device(device), lambda name, maps: None)

    def maps(self, images: Tensor) -> list[Tensor]:
        return self.network.maps(images.float())

    def features(self, images: Tensor) -> list[Tensor]:
        return self.network(images.float())

    @staticmethod
    def unit(squared_length: Tensor) -> tuple[Tensor, float]:
        return (squared_length + EPSILON).rsqrt(), 1.0


def on_device(network: Module, device: torch.device | str) -> Module:
    """The network itself, frozen, on that device and in the layout of its convolutions."""
    network.requires_grad_(False).eval().to(device)
    return network.to(memory_format=memory_format(torch.device(device)))


def load_own_network(path: Path, kind: str, device: torch.device | str) -> FeatureNetwork:
    """The feature network of a file, frozen; InvalidInputError if it is of another kind."""
    network = load_feature_network(path)
    if network.kind != kind:
        raise InvalidInputError(f"{path.name} is a network of kind {network.kind!r}; expected {kind!r}")
    return on_device(network, device)
