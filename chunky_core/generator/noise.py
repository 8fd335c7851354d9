"""Where the noise of StyleGAN2's layers comes from: stored maps, given maps, or a random generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..boxes import Box, Size
from ..checks import check_shape
from ..errors import InvalidInputError
from .layers import SynthesisLayer
from .ops import cut
from .region_plan import Window

NOISE_MODES = ("const", "none", "random")
NoiseLayout = tuple[tuple[str, int], ...]
NoiseSizes = tuple[tuple[str, Size], ...]


class NoiseSource:
    """The noise of one pass; the layers take theirs one after the other, in the order of synthesis.

    mode: "const" (the given maps, else the stored ones), "none" or "random" (drawn from `rng`).
    """

    def __init__(self, mode: str, rng: torch.Generator | None, maps: Sequence[Tensor] | None) -> None:
        self.mode, self.rng = mode, rng
        self.maps = iter(maps) if maps else None

    def take(self, layer: SynthesisLayer, batch: int, window: Window) -> Tensor | None:
        """The noise of the next layer's pixels `window`: [1 or B,1,h,w] as the layer takes it, or None."""
        if self.mode == "none":
            return None
        if self.mode == "const" and self.maps is None:
            return _cut(layer.stored_noise()[None, None], batch, window)
        return layer.scale_noise(_cut(self._whole(layer, batch), batch, window))

    def _whole(self, layer: SynthesisLayer, batch: int) -> Tensor:
        if self.maps is not None:
            return next(self.maps).to(layer.noise_const)[None, None]
        assert self.rng is not None  # see check_noise
        # drawn whole, so that a box has the same noise
        drawn = torch.randn(batch, 1, *layer.size, generator=self.rng, device=self.rng.device)
        return drawn.to(layer.noise_const)


def _cut(noise: Tensor, batch: int, window: Window) -> Tensor:
    return cut(noise if isinstance(window.box, Box) else noise.expand(batch, -1, -1, -1), window)


def check_noise(
    mode: str, rng: torch.Generator | None, maps: Sequence[Tensor] | None, sizes: NoiseSizes
) -> None:
    """Raises InvalidInputError unless `mode` exists and has what it needs, and `maps` fit `sizes`.

    sizes: (layer, size) of each map; () for a generator without noise.
    """
    if mode not in NOISE_MODES:
        raise InvalidInputError(f"noise_mode is {mode!r}; expected one of {NOISE_MODES}")
    if mode == "random" and sizes and rng is None:
        raise InvalidInputError("noise_mode 'random' without rng; pass a seeded torch.Generator")
    if not maps:
        return
    if not sizes:
        raise InvalidInputError(f"{len(maps)} noise maps were given; this generator has no noise, pass none")
    if mode != "const":
        raise InvalidInputError(
            f"noise maps were given with noise_mode {mode!r}; they replace those of 'const'"
        )
    _check_shapes(maps, sizes)


def _check_shapes(maps: Sequence[Tensor], sizes: NoiseSizes) -> None:
    if len(maps) != len(sizes):
        raise InvalidInputError(f"{len(maps)} noise maps were given; expected {len(sizes)}, see noise_layout")
    for noise, (name, size) in zip(maps, sizes, strict=True):
        check_shape(noise, f"the noise map of {name}", size)
