"""Scores of attributes that pictures show: by the demo's own regressor, a file of such a one, or an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ..checks import check_shape
from ..errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from ..losses.feature_network import FeatureNetwork, load_feature_network
from ..losses.onnx.files import load_onnx
from ..losses.pytorch_files import is_onnx_file, refused, renamed_onnx
from ..losses.resize import Size
from ..losses.trial_run import try_network
from ..segments.parsing.settings import Preprocessing, label_names, preprocessing_of, read_json

DEMO = "demo"
DEMO_FILE = Path(__file__).parents[1] / "demo" / "assets" / "attributes.safetensors"
ENDINGS = (".onnx", ".safetensors")
PYTORCH_ENDINGS = (".pt", ".pth", ".pt2", ".ckpt", ".bin")
USUAL_SIZE: Size = (224, 224)  # of a network whose file and settings say none
CHANNELS = ("rgb", "bgr")
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
_MOST_OUTPUTS = 1 << 12
_AT_ONCE = 16  # pictures


class AttributeScorer(Protocol):
    """Tells how much of each of some attributes a picture shows. The unit of a score is the network's own."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the attributes, in the order of the scores."""

    def __call__(self, images: Tensor) -> Tensor:
        """images [B,3,H,W] in [-1,1], RGB -> scores [B,len(names)], float32."""


@dataclass(frozen=True)
class OnnxSettings:
    """What a network in an ONNX file takes and gives, as far as it is to be told.

    names: of its outputs, in order. size: (height, width) of its pictures, where the file leaves them open. mean, std:
    of red, green and blue, taken from pixels in 0..1: the network sees (pixel - mean) / std. channels: "rgb" or "bgr",
    the order that it was trained with. What is left out comes from `config.json` (id2label) and
    `preprocessor_config.json` beside the file, as the package transformers writes them, else: "output 0", ...; 224x224;
    .5 and .5.
    """

    names: tuple[str, ...] = ()
    size: Size | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    channels: str = "rgb"

    def __post_init__(self) -> None:
        if self.channels not in CHANNELS:
            raise InvalidInputError(f"channels is {self.channels!r}; expected one of {', '.join(CHANNELS)}")
        if len(set(self.names)) < len(self.names) or not all(name.strip() for name in self.names):
            raise InvalidInputError(
                f"the names of the outputs are {', '.join(self.names)!r:.100}; expected different ones"
            )
        if self.std is not None and min(self.std) <= 0:
            raise InvalidInputError(f"std is {self.std}; expected numbers above 0")


def load_scorer(
    source: str | Path, device: torch.device | str = "cpu", *, settings: OnnxSettings | None = None
) -> AttributeScorer:
    """`source`: "demo", or the path of a file: .onnx, or .safetensors (a feature network of the kind "attributes").

    Nothing in a file is executed, nothing is downloaded. settings: of an ONNX file alone. Raises InvalidInputError for
    another name and for settings that don't fit, MissingWeightsError if a file or a package is absent,
    UnsupportedCheckpointError if a file is damaged, refused, or gives no scores.
    """
    # a network that is built in inference mode could never be differentiated
    with torch.inference_mode(False):
        if source == DEMO:
            return _Own(load_feature_network(DEMO_FILE), DEMO_FILE.name, torch.device(device))
        path = checked_scorer_file(source)
        if path.suffix.lower() == ".safetensors":
            return _Own(load_feature_network(path), path.name, torch.device(device))
        return _Onnx(path, torch.device(device), settings or OnnxSettings())


def checked_scorer_file(source: str | Path) -> Path:
    """The file of a scorer, looked at from outside only: quick, to be called before any work begins.

    Raises as `load_scorer` does for another name, a missing file and one of PyTorch's.
    """
    path = Path(source)
    ending = path.suffix.lower()
    if ending not in (*ENDINGS, *PYTORCH_ENDINGS):
        raise InvalidInputError(
            f'scorer {str(source)!r} is unknown; choose "demo" or the path of an ONNX (.onnx) or a feature network '
            "(.safetensors) file"
        )
    if not path.is_file():
        raise MissingWeightsError(f"there is no scorer {path.name} in {path.parent}; put the file there")
    if ending in PYTORCH_ENDINGS:
        raise refused(path)
    if ending != ".onnx" and is_onnx_file(path):
        raise renamed_onnx(path)
    return path


def attribute_index(scorer: AttributeScorer, attribute: str) -> int:
    """Which of the scorer's attributes has this name. Raises InvalidInputError with all of them."""
    if not callable(scorer) or not hasattr(scorer, "names"):
        raise InvalidInputError(f"the scorer is of type {type(scorer).__name__}; load_scorer reads one")
    if attribute not in scorer.names:
        shown = ", ".join(scorer.names[:60]) + (", ..." if len(scorer.names) > 60 else "")
        raise InvalidInputError(f"the scorer knows no attribute {attribute!r:.80}; there are {shown}")
    return scorer.names.index(attribute)


class _Own:
    """A feature network."""

    def __init__(self, network: FeatureNetwork, name: str, device: torch.device) -> None:
        if network.kind != "attributes":
            raise UnsupportedCheckpointError(
                f"{name} is a feature network of the kind {network.kind!r}; expected 'attributes': as a loss it goes "
                "into Perceptual Loss"
            )
        self.network, self.names, self.device = network.to(device), network.sizes.names, device

    def __call__(self, images: Tensor) -> Tensor:
        """See AttributeScorer."""
        check_shape(images, "images", ("B", 3, "H", "W"))
        parts = images.to(self.device, torch.float32).split(_AT_ONCE)
        return torch.cat([self.network.scores(part) for part in parts])


class _Onnx:
    """A classifier or regressor of another program."""

    def __init__(self, path: Path, device: torch.device, settings: OnnxSettings) -> None:
        beside = _Beside(path.parent)
        wanted = settings.size or beside.size or USUAL_SIZE
        network = load_onnx(path, device, wanted, several=True)
        self._run, self.device = network.run, device
        self._preprocess = _preprocessing(settings, beside, network.size or wanted)
        self._reverse = settings.channels == "bgr"
        counts: list[int] = []
        try_network(
            path.name,
            lambda picture: _as_list(network.run(picture)),
            network.size or wanted,
            device,
            lambda name, results: counts.append(_checked_count(name, results)),
        )
        self.names = _names(path, settings.names, beside.names, counts[0])

    def __call__(self, images: Tensor) -> Tensor:
        """See AttributeScorer."""
        check_shape(images, "images", ("B", 3, "H", "W"))
        seen = self._preprocess(images.to(self.device, torch.float32))
        ordered = seen.flip(1) if self._reverse else seen
        # One by one: many an exported network holds the batch size that it was exported with.
        rows = [torch.cat(_as_list(self._run(picture[None])), 1) for picture in ordered]
        return torch.cat(rows).float()


class _Beside:
    """What the files of the package transformers beside a network say of it."""

    def __init__(self, folder: Path) -> None:
        config, preprocessor = folder / CONFIG, folder / PREPROCESSOR
        self.preprocessing = preprocessing_of(read_json(preprocessor)) if preprocessor.is_file() else None
        self.names = tuple(label_names(read_json(config)).values()) if config.is_file() else ()

    @property
    def size(self) -> Size | None:
        return None if self.preprocessing is None else self.preprocessing.size


def _preprocessing(settings: OnnxSettings, beside: _Beside, size: Size) -> Preprocessing:
    known = beside.preprocessing or Preprocessing(None, "bilinear", 1 / 255, (0.5,) * 3, (0.5,) * 3)
    mean, std = settings.mean or known.mean, settings.std or known.std
    # their mean and std are of pixels in 0..1
    scale = 1 / 255 if settings.mean or settings.std else known.scale
    return Preprocessing(size, known.mode, scale, mean, std)


def _as_list(results: Any) -> list[Tensor]:
    return list(results) if isinstance(results, list | tuple) else [results]


def _checked_count(name: str, results: Sequence[object]) -> int:
    """How many scores the outputs hold for one picture."""
    found = [tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__ for one in results]
    counts = [one[1] for one in found if isinstance(one, tuple) and len(one) == 2 and one[0] == 1]
    if len(counts) != len(found) or not 1 <= sum(counts) <= _MOST_OUTPUTS:
        raise UnsupportedCheckpointError(
            f"{name} gives {found} for one picture; expected scores, (1, attributes): a classifier or a regressor"
        )
    return sum(counts)


def _names(path: Path, given: tuple[str, ...], beside: tuple[str, ...], count: int) -> tuple[str, ...]:
    names = given or beside or tuple(f"output {index}" for index in range(count))
    if len(names) != count or len(set(names)) != count:
        whose = "given" if given else f"in {CONFIG}"
        raise InvalidInputError(
            f"{path.name} gives {count} scores, and {len(names)} names are {whose} ({', '.join(names)!r:.80}); "
            "expected one for each, all different"
        )
    return names
