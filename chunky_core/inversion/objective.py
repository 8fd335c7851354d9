"""The two ways of judging codes: every segment by itself (P1 2.1), or the picture that all of them make
(P2 eq. 2). P1 = Futschik et al. 2021, P2 = Subrtova et al. 2022.

Neither holds the graphs of all segments at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from .painter import Group, Painter
from .regions import (
    Region,
    View,
    crop,
    painted_tiles,
    picture_region,
    segment_regions,
    shared_region,
)


@dataclass(frozen=True, eq=False)
class Verdict:
    """losses: one scalar per code, what its step is judged by; shares: one scalar per code, to be shown;
    gradients: by code; noise_gradients: by noise map, () without; crops: what the codes draw, [1,3,h,w] each.
    """

    losses: list[Tensor]
    shares: list[Tensor]
    gradients: list[Tensor]
    noise_gradients: tuple[Tensor, ...]
    crops: list[Tensor]


class Objective(Protocol):
    """boxes: where the crops of its verdicts lie. scales: by code, what a step has to multiply its gradient
    with so that it doesn't shrink with the segment's area.
    """

    boxes: list[Box]
    scales: list[float]

    def __call__(
        self, codes: Sequence[LatentCode], leaves: Sequence[Tensor], noise: Sequence[Tensor]
    ) -> Verdict:
        """codes: one per part, made from `leaves`, by which the gradients are taken; noise: maps of the
        generator's noise_layout that want gradients, or ().
        """


class IndependentObjective:
    """Every code against its own region of the photo."""

    def __init__(self, generator: Generator, regions: Sequence[Region], resolution: int) -> None:
        self.regions = regions
        self.boxes = [region.box for region in regions]
        self.scales = [1.0] * len(regions)  # each loss is a mean over its own mask
        self._painter = Painter(generator, self.boxes, [region.tiles for region in regions], resolution)

    def __call__(
        self, codes: Sequence[LatentCode], leaves: Sequence[Tensor], noise: Sequence[Tensor]
    ) -> Verdict:
        losses: dict[int, Tensor] = {}
        gradients: dict[int, Tensor] = {}
        crops: dict[int, Tensor] = {}
        noise_gradients = tuple(torch.zeros_like(map_) for map_ in noise)
        for group in self._painter.groups:
            painted = self._painter.paint(group, codes, noise or None)
            judged = [self.regions[i].loss(one) for i, one in zip(group.parts, painted, strict=True)]
            sources = [*(leaves[i] for i in group.parts), *noise]
            found = torch.autograd.grad(torch.stack(judged).sum(), sources, materialize_grads=True)
            for place, part in enumerate(group.parts):
                losses[part], crops[part] = judged[place].detach(), painted[place].detach()
                gradients[part] = found[place]
            for total, own in zip(noise_gradients, found[len(group.parts) :], strict=True):
                total += own
        values, slopes, drawn = (_in_order(by_part) for by_part in (losses, gradients, crops))
        return Verdict(values, values, slopes, noise_gradients, drawn)

    @torch.no_grad()
    def draw(self, codes: Sequence[LatentCode], noise: Sequence[Tensor]) -> list[Tensor]:
        """What the codes draw, [1,3,h,w] each."""
        crops: dict[int, Tensor] = {}
        for group in self._painter.groups:
            crops.update(zip(group.parts, self._painter.paint(group, codes, noise or None), strict=True))
        return _in_order(crops)


class JointObjective:
    """All codes together against the picture that they make, with fixed masks.

    Two passes: the picture is formed and judged first; then each segment's graph is made again and given the
    picture's gradient. As many graphs as one whole picture would need stay alive in between and are not made
    twice, so the peak of memory is about that of one global step. Generated masks can be fitted the same way:
    `blend` is differentiable in them.
    """

    def __init__(self, generator: Generator, view: View, picture: Region) -> None:
        self.view, self.picture = view, picture
        masks = view.segments.masks
        self.boxes = [mask_box(mask) for mask in masks]
        self.scales = [(masks.sum() / mask.sum()).item() for mask in masks]
        tiles = [painted_tiles(generator, mask[None], view.resolution) for mask in masks]
        self._painter = Painter(generator, self.boxes, tiles, view.resolution)
        size = self._painter.out_resolution
        self._held = _fitting(
            self._painter.groups, generator.cost(full_box(view.resolution), size).activations
        )

    def __call__(
        self, codes: Sequence[LatentCode], leaves: Sequence[Tensor], noise: Sequence[Tensor]
    ) -> Verdict:
        crops: dict[int, Tensor] = {}
        graphs: dict[Group, list[Tensor]] = {}
        for group in self._painter.groups:
            with torch.set_grad_enabled(group in self._held):
                painted = self._painter.paint(group, codes, noise or None)
            if group in self._held:
                graphs[group] = painted
            crops.update((part, one.detach()) for part, one in zip(group.parts, painted, strict=True))
        drawn = _in_order(crops)
        loss, pulls, shares = self._judge(drawn)
        gradients: dict[int, Tensor] = {}
        noise_gradients = tuple(torch.zeros_like(map_) for map_ in noise)
        for group in sorted(self._painter.groups, key=lambda group: group not in graphs):
            held = group in graphs
            painted = graphs.pop(group) if held else self._painter.paint(group, codes, noise or None)
            sources = [*(leaves[part] for part in group.parts), *noise]
            slopes = [pulls[part] for part in group.parts]
            found = torch.autograd.grad(painted, sources, slopes, materialize_grads=True)
            gradients.update(zip(group.parts, found[: len(group.parts)], strict=True))
            for total, own in zip(noise_gradients, found[len(group.parts) :], strict=True):
                total += own
            del painted
        return Verdict([loss] * len(drawn), shares, _in_order(gradients), noise_gradients, drawn)

    def _judge(self, crops: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor], list[Tensor]]:
        """The picture's loss, its gradient by each crop, and each segment's mean squared error in it."""
        with torch.enable_grad():
            inputs = [one.requires_grad_() for one in crops]
            picture = blend(self.view.photo, self.view.segments, inputs, self.boxes)
            loss = self.picture.loss(crop(picture, self.picture.box))
        pulls = torch.autograd.grad(loss, inputs)
        for one in crops:
            one.requires_grad_(False)
        error = (picture.detach() - self.view.photo).square().mean(dim=1, keepdim=True)
        masks = self.view.segments.masks
        return loss.detach(), pulls, [(error[0] * mask).sum() / mask.sum() for mask in masks]


def shared_objective(
    generator: Generator, view: View, config: ProjectionConfig, networks: LossNetworks
) -> IndependentObjective:
    """One code for everything that isn't static."""
    return IndependentObjective(
        generator, [shared_region(generator, view, config, networks)], view.resolution
    )


def segment_objective(
    generator: Generator, view: View, config: ProjectionConfig, networks: LossNetworks, which: Sequence[int]
) -> Objective:
    """A code for each of the segments `which`; in joint mode these are all."""
    if config.mode == "joint":
        return JointObjective(generator, view, picture_region(generator, view, config, networks))
    regions = segment_regions(generator, view, config, networks, which)
    return IndependentObjective(generator, regions, view.resolution)


def _fitting(groups: Sequence[Group], room: int) -> frozenset[Group]:
    """The groups, largest first, whose graphs together fit into `room` feature values."""
    chosen = set()
    for group in sorted(groups, key=lambda group: -group.activations):
        if group.activations <= room:
            chosen.add(group)
            room -= group.activations
    return frozenset(chosen)


def _in_order(by_part: dict[int, Tensor]) -> list[Tensor]:
    return [by_part[part] for part in range(len(by_part))]
