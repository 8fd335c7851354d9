"""The features of one layer, without what comes after it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...generator.generator import Generator
from ...generator.layers import SynthesisLayer
from ...generator.stylegan3_layers import FilteredLayer

MOST_NUMBERS = 1 << 20  # of one picture's features


class _ReachedError(Exception):
    """Carries the features out of a synthesis that needn't go on."""

    def __init__(self, features: Tensor) -> None:
        self.features = features


def feature_layers(generator: Generator) -> tuple[str, ...]:
    """The convolutions in the order of synthesis."""
    layers = generator.module.synthesis.styled_layers()
    return tuple(name for name, layer in layers if isinstance(layer, SynthesisLayer | FilteredLayer))


def features_of(generator: Generator, layer: str, w: Tensor) -> Tensor:
    """What comes out of a layer for codes w [B,w_dim], a row each: [B,numbers], float32 on the generator's device.

    Where they are more than 2^20 numbers a picture, they are averaged over squares of pixels.
    """

    def stop(_module: nn.Module, _given: Any, result: Tensor) -> None:
        raise _ReachedError(result)

    module = generator.module.get_submodule(f"synthesis.{layer}")
    handle = module.register_forward_hook(stop)
    try:
        with torch.no_grad():
            generator.synthesis(w)
    except _ReachedError as reached:
        return _bounded(reached.features.float()).flatten(1)
    finally:
        handle.remove()
    raise RuntimeError(f"{layer} took no part in the synthesis")


def _bounded(features: Tensor) -> Tensor:
    side = 1
    while features[0].numel() // side**2 > MOST_NUMBERS:
        side += 1
    return features if side == 1 else functional.avg_pool2d(features, side, ceil_mode=True)
