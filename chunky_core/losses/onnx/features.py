"""Perceptual networks from ONNX files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...errors import UnsupportedCheckpointError
from ..perceptual import lpips_unit_length
from ..resize import Size, resize
from ..trial_run import try_network
from .files import load_onnx

_SMALLEST = 64
_SIZES: tuple[Size, ...] = ((256, 256), (_SMALLEST, 80))  # at which a network of any size is tried


class OnnxFeatures:
    """Feature maps of unit length in each pixel: the distance of LPIPS without its weights of channels.

    The file takes [B,3,h,w] in [-1,1], RGB, and gives one map or several, [B,C,h',w']. Where it declares a size,
    every picture is brought to it. Raises as `load_onnx`, and UnsupportedCheckpointError for other outputs.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        network = load_onnx(path, device, _SIZES[0], several=True)
        self._run, self._size = network.run, network.size
        self.smallest_side = _SMALLEST
        for size in [self._size] if self._size else _SIZES:
            try_network(path.name, self._maps, size, device, _check_maps)

    def features(self, images: Tensor) -> list[Tensor]:
        """See PerceptualNetwork."""
        pictures = images.float() if self._size is None else resize(images.float(), self._size)
        # One by one: many an exported network holds the batch size that it was exported with.
        each = [self._maps(picture[None]) for picture in pictures]
        return [lpips_unit_length(torch.cat(maps)) for maps in zip(*each, strict=True)]

    def _maps(self, picture: Tensor) -> Sequence[Tensor]:
        found = self._run(picture)
        return found if isinstance(found, list | tuple) else [found]


def _check_maps(name: str, maps: Sequence[object]) -> None:
    found = [list(map_.shape) if isinstance(map_, Tensor) else type(map_).__name__ for map_ in maps]
    if not all(isinstance(shape, list) and len(shape) == 4 and shape[0] == 1 for shape in found):
        raise UnsupportedCheckpointError(
            f"{name} gives {found} for one picture; expected maps of features [1,C,h,w], without the layers that "
            "classify or embed"
        )
