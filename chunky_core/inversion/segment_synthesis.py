"""Synthesis of many segments, each by its own code, in as few passes of the generator as their boxes allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..boxes import Box, crop
from ..generator.generator import Generator
from ..generator.region_plan import SynthesisPlan
from ..generator.spaces import LatentCode, synthesis_input
from ..losses.pixel import masked_mean
from ..segments.masks import mask_box
from ..segments.segment_masks import SegmentMasks

GRAY_LEVELS = 127.5  # per unit of images in [-1,1]


@dataclass(frozen=True)
class Pass:
    """One pass of the generator: for each sample its segment, the tile wanted of it, and the box made; its plan."""

    segments: tuple[int, ...]
    tiles: tuple[Box, ...]
    boxes: tuple[Box, ...]
    plan: SynthesisPlan


@dataclass(frozen=True)
class SegmentGroup:
    """Segments that one autograd graph holds together, and its size in feature values."""

    segments: tuple[int, ...]
    passes: tuple[Pass, ...]
    activations: int


class SegmentSynthesizer:
    """Makes the crop boxes[i] of segment i from code i; only its tiles are synthesised, the rest of it is zero."""

    def __init__(
        self, generator: Generator, boxes: Sequence[Box], tiles: Sequence[Sequence[Box]], resolution: int
    ) -> None:
        self.generator, self.boxes = generator, tuple(boxes)
        self.out_resolution = None if resolution == generator.img_resolution else resolution
        whole = [i for i, own in enumerate(tiles) if len(own) == 1]
        together = self._passes(whole, [tiles[i][0] for i in whole])
        alone = [self._passes([i] * len(own), own) for i, own in enumerate(tiles) if len(own) > 1]
        self.groups = tuple(self._group(passes) for passes in [*([one] for one in together), *alone])

    def synthesize(
        self, group: SegmentGroup, codes: Sequence[LatentCode], noise: Sequence[Tensor]
    ) -> list[Tensor]:
        """The crops [1,3,h,w] of the group's segments, differentiable.

        codes: one for every segment, batch 1; noise: maps [h,w] of the generator's noise_layout, or () for its own.
        """
        pieces: dict[int, list[tuple[Box, Tensor]]] = {segment: [] for segment in group.segments}
        for one in group.passes:
            each = [self._styles(codes[segment]) for segment in one.segments]
            styles = [torch.cat(layer) for layer in zip(*each, strict=True)]
            images = self.generator.synthesis_boxes(styles, one.plan, noise=noise or None)
            for image, segment, tile, box in zip(images, one.segments, one.tiles, one.boxes, strict=True):
                top, left, bottom, right = tile.within(box)
                pieces[segment].append((tile, image[None, :, top:bottom, left:right]))
        return [_assembled(self.boxes[segment], pieces[segment]) for segment in group.segments]

    @torch.no_grad()
    def synthesize_all(self, codes: Sequence[LatentCode], noise: Sequence[Tensor]) -> list[Tensor]:
        """The crops [1,3,h,w] of all segments in their order, without gradients."""
        crops: dict[int, Tensor] = {}
        for group in self.groups:
            crops.update(zip(group.segments, self.synthesize(group, codes, noise), strict=True))
        return in_order(crops)

    def _styles(self, code: LatentCode) -> list[Tensor]:
        given = synthesis_input(self.generator, code)
        return self.generator.styles(given) if isinstance(given, Tensor) else given

    def _passes(self, segments: Sequence[int], tiles: Sequence[Box]) -> list[Pass]:
        return [
            Pass(
                tuple(segments[i] for i in one.members),
                tuple(tiles[i] for i in one.members),
                one.boxes,
                self.generator.plan(one.boxes, self.out_resolution),
            )
            for one in self.generator.batches(tiles, self.out_resolution)
        ]

    def _group(self, passes: Sequence[Pass]) -> SegmentGroup:
        segments = dict.fromkeys(segment for one in passes for segment in one.segments)
        boxes = [box for one in passes for box in one.boxes]
        activations = sum(self.generator.cost(box, self.out_resolution).activations for box in boxes)
        return SegmentGroup(tuple(segments), tuple(passes), activations)


@torch.no_grad()
def segment_errors(
    generator: Generator,
    photo: Tensor,
    masks: SegmentMasks,
    codes: Sequence[LatentCode],
    noise: Sequence[Tensor] = (),
) -> list[float]:
    """Root mean square error of what each code draws within its segment's mask, in grey levels (0 to 255).

    photo: [1,3,H,W] in [-1,1]; codes: one per segment; noise: maps [h,w] of the generator's noise_layout, or () for its
    own.
    """
    boxes = [mask_box(mask) for mask in masks.masks]
    synthesizer = SegmentSynthesizer(generator, boxes, [(box,) for box in boxes], max(photo.shape[-2:]))
    crops = synthesizer.synthesize_all(codes, noise)
    squares = [
        masked_mean((made - crop(photo, box)).square(), crop(mask, box)[None])
        for made, mask, box in zip(crops, masks.masks, boxes, strict=True)
    ]
    return (GRAY_LEVELS * torch.stack(squares).sqrt()).tolist()


def in_order(by_segment: dict[int, Tensor]) -> list[Tensor]:
    """The values of a dict with the keys 0 ... n - 1."""
    return [by_segment[segment] for segment in range(len(by_segment))]


def _assembled(box: Box, pieces: Sequence[tuple[Box, Tensor]]) -> Tensor:
    """One crop [1,3,h,w] of `box` out of disjoint pieces of it."""
    if len(pieces) == 1 and pieces[0][0] == box:
        return pieces[0][1]
    whole = pieces[0][1].new_zeros(1, 3, box.height, box.width)
    for tile, piece in pieces:
        top, left, bottom, right = tile.within(box)
        whole[..., top:bottom, left:right] = piece
    return whole
