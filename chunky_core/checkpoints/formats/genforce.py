"""StyleGAN2 of GenForce and SeFa: names -> NVlabs' names, in TensorFlow's conventions.

Styles are stored without the 1 that is added to them, and doubling convolutions as TensorFlow has them, flipped.
"""

from __future__ import annotations

import re

from torch import Tensor

from ...errors import UnsupportedCheckpointError
from ..checkpoint import PartialCheckpoint, Weights, as_tensor

_LAYER = re.compile(r"synthesis\.(layer|output)(\d{1,3})\.([\w.]+)")
_PARTS = {
    "weight": "weight",
    "bias": "bias",
    "style.weight": "affine.weight",
    "style.bias": "affine.bias",
    "noise_strength": "noise_strength",
    "noise": "noise_const",
    "filter.kernel": "resample_filter",
}
_DIMENSIONS = {"const": 3, "noise_const": 2, "resample_filter": 2, "noise_strength": 0}
_UPSAMPLE = "synthesis.upsample.kernel"
_CONST = "synthesis.early_layer.const"


def partial_checkpoint(weights: Weights) -> PartialCheckpoint:
    """A partial checkpoint from a generator's weights under GenForce's names.

    Raises UnsupportedCheckpointError for a name that such a StyleGAN2 does not have, e.g. of their StyleGAN1.
    """
    if _CONST not in weights:
        raise UnsupportedCheckpointError(
            f"it holds a network of GenForce or SeFa that is no StyleGAN2 ({_CONST} is missing); expected a StyleGAN2"
        )
    state: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name != _UPSAMPLE:
            target = _target(name)
            state[target] = _converted(target, as_tensor(name, value))
    if _UPSAMPLE in weights:
        kernel = _converted("resample_filter", as_tensor(_UPSAMPLE, weights[_UPSAMPLE]))
        for block in {".".join(name.split(".")[:2]) for name in state if ".conv0." in name}:
            state[f"{block}.resample_filter"] = kernel
    return PartialCheckpoint("GenForce StyleGAN2", state)


def _target(name: str) -> str:
    mapping = re.fullmatch(r"mapping\.dense(\d{1,3})\.(weight|bias)", name)
    layer = _LAYER.fullmatch(name)
    if mapping:
        return f"mapping.fc{mapping[1]}.{mapping[2]}"
    if name == "truncation.w_avg":
        return "mapping.w_avg"
    if name == _CONST:
        return "synthesis.b4.const"
    if layer and layer[3] in _PARTS and int(layer[2]) < 32:
        return f"synthesis.{_place(layer[1], int(layer[2]))}.{_PARTS[layer[3]]}"
    raise UnsupportedCheckpointError(
        f"the tensor {name[:80]} does not belong to a StyleGAN2 of GenForce or SeFa without classes and residual blocks"
    )


def _place(kind: str, index: int) -> str:
    """Layers 0, 1, 2, ... are 4x4's convolution, then two of each resolution; outputs one of each."""
    if kind == "output":
        return f"b{4 << index}.torgb"
    block, second = divmod(index + 1, 2)
    return f"b{4 << block}.conv{second}"


def _converted(target: str, tensor: Tensor) -> Tensor:
    part = target.rpartition(".")[2]
    if part == "weight" and target.endswith("conv0.weight") and tensor.ndim == 4:
        return tensor.flip(2, 3)
    if target.endswith("affine.bias"):
        return tensor + 1
    dimensions = _DIMENSIONS.get(part, tensor.ndim)
    while tensor.ndim > dimensions and tensor.shape[0] == 1:
        tensor = tensor[0]
    return tensor / 4 if part == "resample_filter" else tensor
