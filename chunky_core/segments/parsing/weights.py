"""The weights of a SegFormer folder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ...checkpoints.containers.content import open_content
from ...checkpoints.pickles.rebuild import TensorRef
from ...errors import UnsupportedCheckpointError


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, floats in float32. Raises UnsupportedCheckpointError."""
    try:
        with open_content(path) as content:
            if content.container != "safetensors":
                raise UnsupportedCheckpointError(f"it is a {content.container} file")
            return {name: _tensor(name, value) for name, value in content.value.items()}
    except UnsupportedCheckpointError as error:
        found = str(error).removeprefix(f"{path.name}: ").partition(";")[0]
        raise UnsupportedCheckpointError(
            f"{path} can't be used: {found}; expected a SegFormer's weights in safetensors: fetch the file again"
        ) from error


def _tensor(name: str, value: TensorRef) -> Tensor:
    tensor = value.tensor()
    if not tensor.is_floating_point():
        return tensor.clone()
    copy = tensor.to(torch.float32, copy=True)
    if not bool(copy.isfinite().all()):
        raise UnsupportedCheckpointError(f"its tensor {name[:80]} isn't finite")
    return copy
