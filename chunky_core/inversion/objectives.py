"""The two ways of judging codes: every segment by itself (P1 2.1), or the image that all of them make
(P2 eq. 2). P1 = Futschik et al. 2021, P2 = Subrtova et al. 2022.

Neither holds the graphs of all segments at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from ..boxes import Box, full_box
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..losses import LossNetworks
from ..segments.blend import blend
from ..segments.masks import mask_box
from .config import ProjectionConfig
from .loss_regions import (
    LossRegion,
    PyramidLevel,
    crop,
    image_region,
    photo_region,
    segment_regions,
    shared_region,
    synthesis_tiles,
)
from .mask_code import MaskCode
from .segment_synthesis import SegmentGroup, SegmentSynthesizer, in_order


@dataclass(frozen=True, eq=False)
class LossAndGrads:
    """losses: one scalar per code, what its step is judged by; per_segment_mse: mean squared errors in the image that
    all make together, () where each segment is judged by itself; grads: by code; noise_grads: by noise map, ()
    without; crops: what the codes draw, [1,3,h,w] each; mask_grad: by the masks, [N,1,h,w], where they move, too.
    """

    losses: list[Tensor]
    per_segment_mse: list[Tensor]
    grads: list[Tensor]
    noise_grads: tuple[Tensor, ...]
    crops: list[Tensor]
    mask_grad: Tensor | None = None

    @cached_property
    def values(self) -> list[float]:
        """The losses as numbers."""
        return torch.stack(self.losses).tolist()


class Objective(Protocol):
    """boxes: where the crops of what it finds lie. scales: by code, what a step has to multiply its gradient
    with so that it doesn't shrink with the segment's area.
    """

    boxes: list[Box]
    scales: list[float]

    def __call__(
        self, codes: Sequence[LatentCode], leaves: Sequence[Tensor], noise: Sequence[Tensor]
    ) -> LossAndGrads:
        """codes: one per segment, made from `leaves`, by which the gradients are taken; noise: maps of the
        generator's noise_layout that want gradients, or ().
        """


class IndependentObjective:
    """Every code against its own region of the photo."""

    def __init__(self, generator: Generator, regions: Sequence[LossRegion], resolution: int) -> None:
        self.regions = regions
        self.boxes = [region.box for region in regions]
        self.scales = [1.0] * len(regions)  # each loss is a mean over its own mask
        self.synthesizer = SegmentSynthesizer(
            generator, self.boxes, [region.tiles for region in regions], resolution
        )

    def __call__(
        self, codes: Sequence[LatentCode], leaves: Sequence[Tensor], noise: Sequence[Tensor]
    ) -> LossAndGrads:
        losses: dict[int, Tensor] = {}
        grads: dict[int, Tensor] = {}
        crops: dict[int, Tensor] = {}
        noise_grads = tuple(torch.zeros_like(noise_map) for noise_map in noise)
        for group in self.synthesizer.groups:
            made = self.synthesizer.synthesize(group, codes, noise)
            own = [self.regions[i].loss(one) for i, one in zip(group.segments, made, strict=True)]
            sources = [*(leaves[i] for i in group.segments), *noise]
            found = torch.autograd.grad(torch.stack(own).sum(), sources, materialize_grads=True)
            for place, segment in enumerate(group.segments):
                losses[segment], crops[segment] = own[place].detach(), made[place].detach()
                grads[segment] = found[place]
            _add(noise_grads, found[len(group.segments) :])
        return LossAndGrads(in_order(losses), [], in_order(grads), noise_grads, in_order(crops))


class JointObjective:
    """All codes together against the image that they make, with fixed masks or those of a code of their own.

    Two passes: the image is formed and judged first; then each segment's graph is made again and given the
    image's gradient. As many graphs as one whole image would need stay alive in between and are not made
    twice, so the peak of memory is about that of one global step. Where a `mask_code` gives the masks of each step,
    dL/dS_i = <dL/dO, G(X_i)> comes with the rest, and `MaskCode.gradient` carries it on.
    """

    def __init__(
        self, generator: Generator, level: PyramidLevel, image: LossRegion, mask_code: MaskCode | None = None
    ) -> None:
        self.level, self.image, self.mask_code = level, image, mask_code
        masks = level.masks.masks
        extents = masks if mask_code is None else mask_code.extents(level.size)
        self.boxes = [mask_box(mask) for mask in extents]
        self._areas = [mask.sum() for mask in masks]
        self.scales = [(masks.sum() / area).item() for area in self._areas]
        tiles = [synthesis_tiles(generator, mask[None], level.resolution) for mask in extents]
        self.synthesizer = SegmentSynthesizer(generator, self.boxes, tiles, level.resolution)
        room = generator.cost(full_box(level.size), self.synthesizer.out_resolution).activations
        self._held = _fitting(self.synthesizer.groups, room)

    def __call__(
        self, codes: Sequence[LatentCode], leaves: Sequence[Tensor], noise: Sequence[Tensor]
    ) -> LossAndGrads:
        crops: dict[int, Tensor] = {}
        graphs: dict[SegmentGroup, list[Tensor]] = {}
        for group in self.synthesizer.groups:
            with torch.set_grad_enabled(group in self._held):
                made = self.synthesizer.synthesize(group, codes, noise)
            if group in self._held:
                graphs[group] = made
            crops.update((segment, one.detach()) for segment, one in zip(group.segments, made, strict=True))
        loss, crop_grads, errors, mask_grad = self._judge(in_order(crops))
        grads: dict[int, Tensor] = {}
        noise_grads = tuple(torch.zeros_like(noise_map) for noise_map in noise)
        for group in sorted(self.synthesizer.groups, key=lambda group: group not in graphs):
            held = group in graphs
            made = graphs.pop(group) if held else self.synthesizer.synthesize(group, codes, noise)
            sources = [*(leaves[segment] for segment in group.segments), *noise]
            outer = [crop_grads[segment] for segment in group.segments]
            found = torch.autograd.grad(made, sources, outer, materialize_grads=True)
            grads.update(zip(group.segments, found, strict=False))
            _add(noise_grads, found[len(group.segments) :])
            del made
        return LossAndGrads(
            [loss] * len(crops), errors, in_order(grads), noise_grads, in_order(crops), mask_grad
        )

    def _judge(self, crops: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor], list[Tensor], Tensor | None]:
        """The image's loss, its gradient by each crop, each segment's mean squared error in it, and the gradient by the
        masks where they move.
        """
        photo, masks, areas = self.level.photo, self.level.masks, self._areas
        if self.mask_code is not None:
            masks = replace(masks, masks=self.mask_code.draw(self.level.size))
            areas = [mask.sum() for mask in masks.masks]
        moving = [] if self.mask_code is None else [masks.masks]
        with torch.enable_grad():
            inputs = [one.requires_grad_() for one in (*crops, *moving)]
            image = blend(photo, masks, inputs[: len(crops)], self.boxes)
            loss = self.image.loss(crop(image, self.image.box))
        grads = torch.autograd.grad(loss, inputs)
        for one in inputs:
            one.requires_grad_(False)
        error = (image.detach() - photo).square().mean(dim=1, keepdim=True)
        errors = [(error[0] * mask).sum() / area for mask, area in zip(masks.masks, areas, strict=True)]
        return loss.detach(), grads[: len(crops)], errors, grads[-1] if moving else None


def shared_objective(
    generator: Generator, level: PyramidLevel, config: ProjectionConfig, networks: LossNetworks
) -> IndependentObjective:
    """One code for everything that isn't static."""
    region = shared_region(generator, level, config, networks)
    return IndependentObjective(generator, [region], level.resolution)


def warm_up_objective(
    generator: Generator, level: PyramidLevel, config: ProjectionConfig, networks: LossNetworks
) -> IndependentObjective:
    """One code for the whole photo."""
    region = photo_region(generator, level, config, networks)
    return IndependentObjective(generator, [region], level.resolution)


def segment_objective(
    generator: Generator,
    level: PyramidLevel,
    config: ProjectionConfig,
    networks: LossNetworks,
    which: Sequence[int],
    mask_code: MaskCode | None = None,
) -> Objective:
    """A code for each of the segments `which`; in joint mode these are all, and mask_code may give their masks."""
    if config.mode == "joint":
        return JointObjective(generator, level, image_region(level, config, networks), mask_code)
    regions = segment_regions(generator, level, config, networks, which)
    return IndependentObjective(generator, regions, level.resolution)


def _fitting(groups: Sequence[SegmentGroup], room: int) -> frozenset[SegmentGroup]:
    """The groups, largest first, whose graphs together fit into `room` feature values."""
    chosen = set()
    for group in sorted(groups, key=lambda group: -group.activations):
        if group.activations <= room:
            chosen.add(group)
            room -= group.activations
    return frozenset(chosen)


def _add(totals: Sequence[Tensor], more: Sequence[Tensor]) -> None:
    for total, own in zip(totals, more, strict=True):
        total += own
