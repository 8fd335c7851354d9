"""Face parsing: label maps from a SegFormer of the package transformers, read from a folder on the disk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...checks import check_shape
from ...errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from ..label_names import addressable
from .settings import Preprocessing, label_names, model_settings, preprocessing_of, read_json
from .sizes import MAX_RESULT, Stages, stages_of
from .weights import read_weights

CONFIG, PREPROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
_AT_ONCE = 8  # labels whose logits are held at the photo's size


class FaceParser(nn.Module):
    """A photo's areas by a segmentation network.

    names: label -> name, as the network's own configuration has them, without the signs that stand between names in
        options.
    """

    def __init__(
        self, network: nn.Module, names: dict[int, str], preprocess: Preprocessing, stages: Stages
    ) -> None:
        super().__init__()
        self.network, self.names, self.preprocess, self.stages = network, names, preprocess, stages

    def forward(self, photo: Tensor) -> Tensor:
        """The logits [B,K,H,W] at the size of the photo, [B,3,H,W] in [-1,1] (bilinear, as it was trained)."""
        return _at(self._logits(photo), photo)

    @torch.no_grad()
    def labels(self, photo: Tensor) -> Tensor:
        """The most likely label of every pixel: uint8 [B,H,W] of a photo [B,3,H,W] in [-1,1].

        Raises InvalidInputError for another shape, and for a photo that is too large for a network that sees it as
        it is.
        """
        check_shape(photo, "the photo", ("B", 3, "H", "W"))
        logits = self._logits(photo)
        best, labels = _at(logits[:, :_AT_ONCE], photo).max(dim=1)
        for first in range(_AT_ONCE, logits.shape[1], _AT_ONCE):
            values, found = _at(logits[:, first : first + _AT_ONCE], photo).max(dim=1)
            better = values > best
            best, labels = torch.where(better, values, best), torch.where(better, found + first, labels)
        return labels.to(torch.uint8)

    def _logits(self, photo: Tensor) -> Tensor:
        size = self.preprocess.size or (photo.shape[-2], photo.shape[-1])
        if self.stages.largest_result(size) > MAX_RESULT:
            raise InvalidInputError(
                f"the photo has {photo.shape[-1]}x{photo.shape[-2]} pixels, and this face parsing network, which sees "
                "it as it is, can't take that many or that few; resize it to about 512 pixels first"
            )
        logits: Tensor = self.network(pixel_values=self.preprocess(photo)).logits
        return logits


def _at(logits: Tensor, photo: Tensor) -> Tensor:
    return F.interpolate(logits, photo.shape[-2:], mode="bilinear", align_corners=False)


def load_parser(folder: Path) -> FaceParser:
    """The SegFormer of a folder with config.json, preprocessor_config.json and model.safetensors.

    Nothing else of the folder is read, nothing is downloaded and no code of it runs. float32, on the CPU.
    Raises MissingWeightsError if a file or the package transformers is missing, UnsupportedCheckpointError
    for another kind of network, damaged files, weights that do not fit the configuration, and networks too large for
    the images that they ask for.
    """
    missing = [name for name in (CONFIG, PREPROCESSOR, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise MissingWeightsError(
            f"{folder} has no {', '.join(missing)}; expected the folder of a SegFormer as the package "
            f"transformers saves it, with safetensors weights{_instead(folder)}"
        )
    config = read_json(folder / CONFIG)
    names = {label: addressable(name) or name for label, name in label_names(config).items()}
    settings = model_settings(config)
    preprocess = preprocessing_of(read_json(folder / PREPROCESSOR))
    network, stages = _network(settings | {"id2label": names}, preprocess, folder / WEIGHTS)
    return FaceParser(network.eval().float().requires_grad_(False), names, preprocess, stages)


def _instead(folder: Path) -> str:
    """What to do with the kind of weights that a folder has in place of the expected one."""
    if (folder / WEIGHTS).is_file():
        return ""
    others = [
        path.name for path in sorted(folder.glob("*")) if path.suffix in (".bin", ".pth", ".pt", ".onnx")
    ]
    if (folder / f"{WEIGHTS}.index.json").is_file():
        others = [f"{WEIGHTS}.index.json"]
    return "" if not others else (
        f". It has {others[0][:60]}: where you trust that, make the file by `from transformers import "
        f"SegformerForSemanticSegmentation as S; S.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r}, "
        "max_shard_size='9GB')`, or fetch model.safetensors from where the folder came from"
    )  # fmt: skip


def _network(settings: dict[str, Any], preprocess: Preprocessing, weights: Path) -> tuple[nn.Module, Stages]:
    try:
        from transformers import SegformerConfig, SegformerForSemanticSegmentation
    except ImportError as error:
        raise MissingWeightsError(
            "face parsing needs the package transformers, which cannot be imported here "
            f"({error}); install it with: pip install transformers"
        ) from error
    state = read_weights(weights)
    try:
        config = SegformerConfig(**settings, attn_implementation="eager")
        stages = stages_of(config)
        _check_size(stages, preprocess, weights)
        with torch.device("meta"):
            expected = SegformerForSemanticSegmentation(config).state_dict()
        _compare_shapes(state, expected, weights)
        with torch.random.fork_rng(devices=[]):  # the weights are random until the file's are in their place
            # Through the package, because it has renamed the weights since the files were made; without a
            # name, so that it looks for no other file.
            network, report = SegformerForSemanticSegmentation.from_pretrained(
                None,
                config=config,
                state_dict=state,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # they are in the report
                output_loading_info=True,
            )
    except UnsupportedCheckpointError:
        raise
    except (TypeError, ValueError, ZeroDivisionError, RuntimeError, LookupError, AttributeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UnsupportedCheckpointError(
            f"{weights} and its config.json make no working SegFormer ({reason}); fetch both again"
        ) from error
    _check_fit(report, weights)
    return network, stages


def _check_size(stages: Stages, preprocess: Preprocessing, weights: Path) -> None:
    if preprocess.size is None:
        return  # told by the photo, and looked at with it
    largest = stages.largest_result(preprocess.size)
    if largest > MAX_RESULT:
        raise UnsupportedCheckpointError(
            f"{weights.parent}: a picture of {preprocess.size[1]}x{preprocess.size[0]}, as its preprocessor_config.json"
            f" wants, makes {largest:.0f} numbers in one result; expected at most {MAX_RESULT}: make its size smaller"
        )


def _compare_shapes(state: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """The shapes alone: the names differ between versions of the package, and are compared by it."""
    given, wanted = _shapes(state), _shapes(expected)
    extra = Counter(given.values()) - Counter(wanted.values())
    lacking = Counter(wanted.values()) - Counter(given.values())
    for odd, shapes in ((extra, given), (lacking, wanted)):
        if odd:
            name, shape = next((name, shape) for name, shape in sorted(shapes.items()) if shape in odd)
            raise _misfit(max(extra.total(), lacking.total()), f"{name} {list(shape)}", path)


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith(_COUNTER)}


_COUNTER = "num_batches_tracked"  # of training only


def _check_fit(report: dict[str, Any], path: Path) -> None:
    """No weight may stay random, and none be left over."""
    found = [*report["missing_keys"], *report["unexpected_keys"]]
    found += [name for name, *_ in report["mismatched_keys"]]
    wrong = sorted(name for name in found if not name.endswith(_COUNTER))
    if wrong:
        raise _misfit(len(wrong), wrong[0], path)


def _misfit(count: int, first: str, path: Path) -> UnsupportedCheckpointError:
    return UnsupportedCheckpointError(
        f"{path} does not fit its config.json: {count} weights are missing, unknown or of "
        f"another size, the first is {first[:120]}; both must come from one SegFormer for segmentation"
    )
