"""Draws parts of a picture, each by its own code, in as few passes of the generator as their boxes allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..boxes import Box
from ..generator.generator import Generator
from ..generator.spaces import LatentCode, synthesis_input


@dataclass(frozen=True)
class Pass:
    """One pass of the generator: for each sample the part it draws, the tile wanted and the box made."""

    parts: tuple[int, ...]
    tiles: tuple[Box, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Group:
    """Parts that are drawn together, and what one graph of them holds, in feature values."""

    parts: tuple[int, ...]
    passes: tuple[Pass, ...]
    activations: int


class Painter:
    """Draws part i, the pixels boxes[i], by code i; only its tiles are made, the rest of the box is zero."""

    def __init__(
        self, generator: Generator, boxes: Sequence[Box], tiles: Sequence[Sequence[Box]], resolution: int
    ) -> None:
        self.generator, self.boxes, self.resolution = generator, tuple(boxes), resolution
        self.out_resolution = None if resolution == generator.img_resolution else resolution
        single = [i for i, own in enumerate(tiles) if len(own) == 1]
        together = self._passes(single, [tiles[i][0] for i in single])
        alone = [self._passes([i] * len(own), own) for i, own in enumerate(tiles) if len(own) > 1]
        self.groups = tuple(self._group(passes) for passes in [*([one] for one in together), *alone])

    def paint(
        self, group: Group, codes: Sequence[LatentCode], noise: Sequence[Tensor] | None
    ) -> list[Tensor]:
        """The crops [1,3,h,w] of the group's parts; `codes` has one for every part, batch 1; differentiable."""
        pieces: dict[int, list[tuple[Box, Tensor]]] = {part: [] for part in group.parts}
        for one in group.passes:
            each = [self._styles(codes[part]) for part in one.parts]
            styles = [torch.cat(layer) for layer in zip(*each, strict=True)]
            images = self.generator.synthesis_boxes(
                styles, one.boxes, noise=noise, out_resolution=self.out_resolution
            )
            for image, part, tile, box in zip(images, one.parts, one.tiles, one.boxes, strict=True):
                top, left, bottom, right = tile.within(box)
                pieces[part].append((tile, image[None, :, top:bottom, left:right]))
        return [_assembled(self.boxes[part], pieces[part]) for part in group.parts]

    def _styles(self, code: LatentCode) -> list[Tensor]:
        given = synthesis_input(self.generator, code)
        return self.generator.styles(given) if isinstance(given, Tensor) else given

    def _passes(self, parts: Sequence[int], tiles: Sequence[Box]) -> list[Pass]:
        return [
            Pass(tuple(parts[i] for i in one.members), tuple(tiles[i] for i in one.members), one.boxes)
            for one in self.generator.batches(tiles, self.out_resolution)
        ]

    def _group(self, passes: Sequence[Pass]) -> Group:
        parts = dict.fromkeys(part for one in passes for part in one.parts)
        boxes = [box for one in passes for box in one.boxes]
        held = sum(self.generator.cost(box, self.out_resolution).activations for box in boxes)
        return Group(tuple(parts), tuple(passes), held)


def _assembled(box: Box, pieces: Sequence[tuple[Box, Tensor]]) -> Tensor:
    """One crop [1,3,h,w] of `box` out of disjoint pieces of it."""
    if len(pieces) == 1 and pieces[0][0] == box:
        return pieces[0][1]
    whole = pieces[0][1].new_zeros(1, 3, box.height, box.width)
    for tile, piece in pieces:
        top, left, bottom, right = tile.within(box)
        whole[..., top:bottom, left:right] = piece
    return whole
