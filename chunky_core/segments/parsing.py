"""Face parsing: label maps from a SegFormer of the package transformers, read from a folder on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InvalidInputError, MissingWeightsError, UnsupportedCheckpointError
from .parsing_files import Preparation, label_names, model_settings, preparation, read_json

CONFIG, PREPARATION, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"


class FaceParser(nn.Module):
    """A photo's areas by a segmentation network.

    names: label -> name, as the network's own configuration has them.
    """

    def __init__(self, network: nn.Module, names: dict[int, str], prepare: Preparation) -> None:
        super().__init__()
        self.network, self.names, self.prepare = network, names, prepare

    def forward(self, photo: Tensor) -> Tensor:
        """The logits [B,K,H,W] at the size of the photo, [B,3,H,W] in [-1,1] (bilinear, as it was trained)."""
        logits = self.network(pixel_values=self.prepare(photo)).logits
        return F.interpolate(logits, photo.shape[-2:], mode="bilinear", align_corners=False)

    @torch.no_grad()
    def labels(self, photo: Tensor) -> Tensor:
        """The most likely label of every pixel: uint8 [B,H,W] of a photo [B,3,H,W] in [-1,1].

        Raises InvalidInputError for another shape.
        """
        if photo.ndim != 4 or photo.shape[1] != 3:
            raise InvalidInputError(f"the photo is {list(photo.shape)}; expected [B,3,H,W]")
        return self(photo).argmax(dim=1).to(torch.uint8)


def load_parser(folder: Path) -> FaceParser:
    """The SegFormer of a folder with config.json, preprocessor_config.json and model.safetensors.

    Nothing else of the folder is read, nothing is downloaded and no code of it runs. float32, on the CPU.
    Raises MissingWeightsError if a file or the package transformers is missing, UnsupportedCheckpointError
    for another kind of network, damaged files and weights that do not fit the configuration.
    """
    missing = [name for name in (CONFIG, PREPARATION, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise MissingWeightsError(
            f"{folder} has no {', '.join(missing)}; expected the folder of a SegFormer as the package "
            "transformers saves it, with safetensors weights"
        )
    config = read_json(folder / CONFIG)
    names, settings = label_names(config), model_settings(config)
    prepare = preparation(read_json(folder / PREPARATION))
    network = _network(settings | {"id2label": names}, folder / WEIGHTS)
    return FaceParser(network.eval().float().requires_grad_(False), names, prepare)


def _network(settings: dict[str, Any], weights: Path) -> nn.Module:
    try:
        from transformers import SegformerConfig, SegformerForSemanticSegmentation
    except ImportError as error:
        raise MissingWeightsError(
            "face parsing needs the package transformers, which cannot be imported here "
            f"({error}); install it with: pip install transformers"
        ) from error
    state = _read_weights(weights)
    try:
        with torch.random.fork_rng(devices=[]):  # the weights are random until the file's are in their place
            config = SegformerConfig(**settings, attn_implementation="eager")
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
    except (TypeError, ValueError, ZeroDivisionError, RuntimeError, LookupError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedCheckpointError(
            f"{weights} and its config.json make no working SegFormer ({reason}); fetch both again"
        ) from error
    _check_fit(report, weights)
    return network


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UnsupportedCheckpointError(f"{path} cannot be read ({error}); fetch the file again") from error


def _check_fit(report: dict[str, Any], path: Path) -> None:
    """No weight may stay random, and none be left over."""
    found = [*report["missing_keys"], *report["unexpected_keys"]]
    found += [name for name, *_ in report["mismatched_keys"]]
    wrong = sorted(name for name in found if not name.endswith("num_batches_tracked"))  # of training only
    if wrong:
        raise UnsupportedCheckpointError(
            f"{path} does not fit its config.json: {len(wrong)} weights are missing, unknown or of "
            f"another size, the first is {wrong[0]}; both must come from one SegFormer for segmentation"
        )
