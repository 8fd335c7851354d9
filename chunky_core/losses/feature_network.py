"""Small convolutional feature networks: a perceptual distance like LPIPS, an embedding of a person's identity, or
scores of attributes.

File: .safetensors with metadata "format" = "chunkygan-features", "version", "kind" and the sizes; see `FeatureSizes`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoints.checkpoint import as_tensor
from ..checkpoints.containers.content import Content, open_content
from ..checks import as_path
from ..errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from ..saving import save_tensors
from ..wording import pictures

FORMAT, VERSION = "chunkygan-features", 1
KINDS = ("perceptual", "identity", "attributes")
SMALLEST_SIDE = 32
MOST_NAMES, LONGEST_NAME = 256, 64
LARGEST_SIZE = 4096  # of any number in a header; more is damage
EPSILON = 1e-4  # under the root of the unit length: features of a flat area must not be blown up


@dataclass(frozen=True)
class FeatureSizes:
    """kind: one of KINDS. channels: of the maps, the first at full resolution, each next one at half of it.

    Of the others than "perceptual": neck, grid: the last map is reduced to that many channels on grid×grid cells;
    embedding: length of the result; side: pixels to which every picture is brought first. names: of the kind
    "attributes", what each number of the result is of.
    """

    kind: str
    channels: tuple[int, ...] = (16, 24, 48, 64, 96)
    neck: int = 32
    grid: int = 8
    embedding: int = 64
    side: int = 128
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInputError(f"kind is {self.kind!r}; expected one of {', '.join(KINDS)}")
        numbers = (*self.channels, self.neck, self.grid, self.embedding, self.side)
        if not 2 <= len(self.channels) <= 6 or not all(0 < number <= LARGEST_SIZE for number in numbers):
            raise InvalidInputError(
                f"sizes are {self}; expected 2 to 6 maps, all numbers 1 to {LARGEST_SIZE}"
            )
        if self.kind == "attributes":
            _check_names(self.names, self.embedding)


def _check_names(names: Sequence[str], count: int) -> None:
    plain = all(name.isprintable() and name.strip() and "," not in name for name in names)
    longest = max(map(len, names), default=0)
    if not plain or longest > LONGEST_NAME or not len(set(names)) == len(names) == count <= MOST_NAMES:
        raise InvalidInputError(
            f"there are {len(names)} names for {count} attributes; expected one for each, all different, at most "
            f"{MOST_NAMES} of {LONGEST_NAME} printable characters without commas"
        )


class Trunk(nn.Module):
    """images [B,3,h,w] -> one map per entry of `channels`, [B,c,h/2^i,w/2^i]. Smooth, so that it can be descended."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 3, padding=1)
        self.first = nn.ModuleList()
        self.second = nn.ModuleList()
        for before, width in zip(channels, channels[1:], strict=False):
            self.first.append(nn.Conv2d(before, width, 3, padding=1))
            self.second.append(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [F.silu(self.stem(images))]
        for first, second in zip(self.first, self.second, strict=True):
            hidden = F.silu(first(F.avg_pool2d(maps[-1], 2)))
            maps.append(F.silu(second(hidden)))
        return maps


def unit_length(features: Tensor) -> Tensor:
    """[B,C,...] divided by its length along dimension 1."""
    return features * (features.square().sum(1, keepdim=True) + EPSILON).rsqrt()


class FeatureNetwork(nn.Module):
    """A trunk with channel weights (kind "perceptual"), an embedding ("identity") or scores ("attributes").

    smallest_side: the least height and width of a picture, in pixels.
    """

    smallest_side = SMALLEST_SIDE

    def __init__(self, sizes: FeatureSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.trunk = Trunk(sizes.channels)
        if sizes.kind == "perceptual":
            self.weights = nn.ParameterList(torch.ones(width) for width in sizes.channels)
        else:
            self.neck = nn.Conv2d(sizes.channels[-1], sizes.neck, 1)
            self.out = nn.Linear(sizes.neck * sizes.grid**2, sizes.embedding)

    @property
    def kind(self) -> str:
        return self.sizes.kind

    def forward(self, images: Tensor) -> list[Tensor]:
        """images: [B,3,h,w] in [-1,1], sides of 32 or more -> maps [B,C,h/2^i,w/2^i].

        The distance of two pictures is the sum over the maps of the mean over the pixels of the sum over the
        channels of the squared difference (Zhang et al. 2018: unit length in each pixel, weighted channels).
        Raises InvalidInputError for another shape or kind of network.
        """
        weighted = zip(self.maps(images), self.weights, strict=True)
        return [unit_length(maps) * weight.sqrt()[:, None, None] for maps, weight in weighted]

    def maps(self, images: Tensor) -> list[Tensor]:
        """The trunk's maps as they are, see `forward`; of a network of the kind "perceptual"."""
        self._check(images, "perceptual")
        maps: list[Tensor] = self.trunk(images)
        return maps

    def embed(self, images: Tensor) -> Tensor:
        """images: [B,3,h,w] in [-1,1], whole pictures of a face -> [B,D] of unit length; the identity's cosine.

        Raises InvalidInputError for another shape or kind of network.
        """
        self._check(images, "identity")
        return self.read(self._last_map(images))

    def read(self, last: Tensor) -> Tensor:
        """The embedding [B,D] that the trunk's last map [B,C,h,w] holds."""
        return unit_length(self.numbers(last))

    def scores(self, images: Tensor) -> Tensor:
        """images: [B,3,h,w] in [-1,1], whole pictures -> how much of each of `sizes.names` they show, [B,N].

        Raises InvalidInputError for another shape or kind of network.
        """
        self._check(images, "attributes")
        return self.numbers(self._last_map(images))

    def numbers(self, last: Tensor) -> Tensor:
        """The head's results [B,D] for the trunk's last map [B,C,h,w]."""
        cells = F.adaptive_avg_pool2d(F.silu(self.neck(last)), self.sizes.grid)
        result: Tensor = self.out(cells.flatten(1))
        return result

    def _last_map(self, images: Tensor) -> Tensor:
        side = (self.sizes.side, self.sizes.side)
        if images.shape[-2:] != side:
            images = F.interpolate(images, side, mode="bilinear", align_corners=False, antialias=True)
        last: Tensor = self.trunk(images)[-1]
        return last

    def _check(self, images: Tensor, kind: str) -> None:
        if self.kind != kind:
            raise InvalidInputError(f"this feature network is of the kind {self.kind!r}; expected {kind!r}")
        if images.dim() != 4 or images.shape[1] != 3 or min(images.shape[-2:]) < SMALLEST_SIDE:
            raise InvalidInputError(
                f"the network was given {pictures(images)}; expected RGB with at least {SMALLEST_SIDE} pixels on "
                "each side: enlarge them first"
            )


def save_feature_network(
    network: FeatureNetwork,
    path: str | os.PathLike[str],
    dtype: torch.dtype = torch.float16,
    extra_metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes the network; an existing file is replaced only once the new one is complete.

    extra_metadata: e.g. "source", "licence". Raises InvalidInputError where a weight does not fit `dtype`,
    SaveError where the file can't be written.
    """
    state = {
        name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in network.state_dict().items()
    }
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidInputError(f"{name} is not finite in {dtype}; save the network in torch.float32")
    save_tensors(state, path, {**(extra_metadata or {}), **_header(network.sizes)})


def load_feature_network(path: str | os.PathLike[str]) -> FeatureNetwork:
    """The network of a file, in float32 on the CPU, frozen, in evaluation mode; may be called in inference mode.

    Raises MissingWeightsError for a missing file, UnsupportedCheckpointError where it is something else.
    """
    file = as_path(path, "the network's file")
    if not file.is_file():
        raise MissingWeightsError(f"there is no feature network file {file}; check the path")
    try:
        with torch.inference_mode(False), open_content(file) as content:
            return _read(content)
    except (UnsupportedCheckpointError, InvalidInputError) as error:
        found = str(error).removeprefix(f"{file.name}: ").partition(";")[0]
        raise UnsupportedCheckpointError(
            f"{file.name} is no feature network: {found}; expected a .safetensors file of format {FORMAT!r} (a network "
            "of another program goes in as ONNX)"
        ) from error


def is_feature_network(content: Content) -> bool:
    """Whether an open file says of itself that it is a feature network."""
    return content.container == "safetensors" and content.metadata.get("format") == FORMAT


def _read(content: Content) -> FeatureNetwork:
    if content.container != "safetensors":
        raise InvalidInputError(f"it is a {content.container} file")
    sizes = _sizes(content.metadata)
    with torch.device("meta"):
        network = FeatureNetwork(sizes)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    _compare({name: ref.size for name, ref in content.value.items()}, expected)
    state = {name: as_tensor(name, ref).to(torch.float32, copy=True) for name, ref in content.value.items()}
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()) or name.startswith("weights.") and bool((tensor < 0).any()):
            raise InvalidInputError(f"its tensor {name} has numbers that are not finite, or negative weights")
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False).eval()


def _compare(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            raise InvalidInputError(
                f"its tensor {name[:80]} is {found.get(name)}, its header says {expected.get(name)}"
            )


def _header(sizes: FeatureSizes) -> dict[str, str]:
    numbers = {name: str(getattr(sizes, name)) for name in ("neck", "grid", "embedding", "side")}
    channels = ",".join(str(width) for width in sizes.channels)
    header = {"format": FORMAT, "version": str(VERSION), "kind": sizes.kind, "channels": channels}
    named = {"names": ",".join(sizes.names)} if sizes.kind == "attributes" else {}
    return header | ({} if sizes.kind == "perceptual" else numbers) | named


def _sizes(header: Mapping[str, str]) -> FeatureSizes:
    if header.get("format") != FORMAT:
        raise InvalidInputError(f"its format is {header.get('format')!r}")
    if header.get("version") != str(VERSION):
        raise InvalidInputError(
            f"its version is {header.get('version')!r}, this program reads version {VERSION}"
        )
    kind = header.get("kind", "")
    numbers = ("neck", "grid", "embedding", "side") if kind in KINDS[1:] else ()
    names = tuple(header.get("names", "").split(",")) if kind == "attributes" else ()
    channels = tuple(_number(text) for text in header.get("channels", "").split(","))
    return FeatureSizes(
        kind, channels, names=names, **{name: _number(header.get(name, "")) for name in numbers}
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidInputError(f"its header has {text[:20]!r} where a whole number is due")
    return int(text)
