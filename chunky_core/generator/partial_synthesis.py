"""A pass of synthesis that stopped before some layer, and from where passes with other styles go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InvalidInputError
from .region_plan import SynthesisPlan


@dataclass(frozen=True, eq=False)
class PartialSynthesis:
    """What a pass has made before one of the styled layers.

    plan: of the pass. layer: the one that comes next, its place in `Generator.style_layout`. styles: of the layers
    before it. features, shortcut: what this layer reads, [B,C,..], None where there is nothing yet; images: the RGB
    images so far, from the lowest resolution up.
    """

    plan: SynthesisPlan
    layer: int = 0
    styles: tuple[Tensor, ...] = ()
    features: Tensor | None = None
    shortcut: Tensor | None = None
    images: tuple[Tensor, ...] = ()

    def __repr__(self) -> str:
        return f"PartialSynthesis(before layer {self.layer}, {self.num_bytes} bytes)"

    @property
    def num_bytes(self) -> int:
        """Of its maps, in memory."""
        maps = [one for one in (self.features, self.shortcut, *self.images) if one is not None]
        return sum(one.numel() * one.element_size() for one in maps)

    def fits(self, styles: Sequence[Tensor]) -> bool:
        """Whether a pass with these styles would have made the same."""
        return common_layers(self.styles, styles) == self.layer

    def check(self, styles: Sequence[Tensor]) -> None:
        """Raise InvalidInputError unless it `fits`."""
        if not self.fits(styles):
            differing = common_layers(self.styles, styles)
            raise InvalidInputError(
                f"the pass was begun with other styles from layer {differing} on and ends before layer {self.layer}; "
                "begin one with the same styles up to there"
            )


def common_layers(first: Sequence[Tensor], second: Sequence[Tensor]) -> int:
    """How many layers from the first on have the same styles in both, number for number."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one is not other and not torch.equal(one, other):
            break
        count += 1
    return count
