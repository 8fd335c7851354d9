"""PaddleGAN's StyleGAN2: rosinality's names in pickled numpy arrays, the linear layers' weights stored [in, out]."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...errors import UnsupportedCheckpointError
from ..checkpoint import Weights, shape_of

NAMES = "StructuredToParameterName@@"  # what paddle.save puts beside the arrays
_SLICES = "UnpackBigParamInfor@@"
_LINEAR = re.compile(r"style\.\d{1,3}\.weight|.*\.modulation\.weight")


def is_paddle(weights: Weights) -> bool:
    """Whether rosinality's names stand for numpy arrays, which only PaddleGAN pickles."""
    return all(isinstance(value, np.ndarray) for value in weights.values())


def in_pytorch_layout(weights: Weights, around: Iterable[Mapping[Any, Any]]) -> tuple[Weights, str]:
    """The weights with linear layers [out, in], and a note on how their layout was known.

    around: the dicts that they lie in. Raises UnsupportedCheckpointError where large tensors are cut in pieces.
    """
    places = list(around)
    if any(_SLICES in place for place in places):
        raise UnsupportedCheckpointError(
            f"its large tensors are cut in pieces ({_SLICES}); save it again with paddle.save(..., protocol=4)"
        )
    marked = any(NAMES in place for place in places)
    outputs_first, inputs_first = _layouts(weights)
    if outputs_first and not inputs_first and not marked:
        return weights, "its numpy arrays have PyTorch's layout [out,in] and are read as such"
    known = inputs_first or marked
    note = "linear layers are stored [in,out], as PaddleGAN does" + (
        "" if known else " (square, so taken for granted)"
    )
    linear = {
        name: value.T
        for name, value in weights.items()
        if _LINEAR.fullmatch(name) and isinstance(value, np.ndarray)
    }
    return {**weights, **linear}, note


def _layouts(weights: Weights) -> tuple[bool, bool]:
    """Whether a style layer that isn't square has as many rows, or as many columns, as its bias has numbers."""
    found = [False, False]
    for name in weights:
        shape, bias = shape_of(weights[name]), weights.get(name.removesuffix("weight") + "bias")
        if _LINEAR.fullmatch(name) and bias is not None and len(shape) == 2 and shape[0] != shape[1]:
            for side in (0, 1):
                found[side] |= shape_of(bias) == (shape[side],)
    return found[0], found[1]
