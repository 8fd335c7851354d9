"""What a delta is judged by: what its segments draw with it, each on its own region of the photo (P1 2.1, fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...boxes import Box
from ...generator.generator import Generator
from ...generator.replaced_parameters import with_parameters
from ...generator.spaces import LatentCode
from ...losses import LossNetworks
from ..config import ProjectionConfig
from ..loss_regions import PyramidLevel, segment_regions
from ..segment_synthesis import SegmentSynthesizer, in_order

CODE = "code/"  # what the names of codes that move begin with


@dataclass(frozen=True, eq=False)
class TuningGrads:
    """losses: one per drawing; grads: by the names of weights, and of codes that move."""

    losses: list[float]
    grads: dict[str, Tensor]

    def is_finite(self) -> bool:
        """Whether all gradients are."""
        return bool(torch.stack([grad.isfinite().all() for grad in self.grads.values()]).all())


class TuningObjective:
    """The drawings that one delta is tuned for, each a code on the region of the photo that it is compared with.

    generator: without this delta. level: photo and masks, one for each drawing. boxes: where their crops lie; crops:
    what was drawn last, [1,3,h,w] each, none before that.
    """

    def __init__(
        self, generator: Generator, level: PyramidLevel, config: ProjectionConfig, networks: LossNetworks
    ) -> None:
        self.generator = generator
        self.crops: list[Tensor] = []
        self.regions = segment_regions(generator, level, config, networks, range(len(level.masks.names)))
        self.boxes: list[Box] = [region.box for region in self.regions]
        tiles = [region.tiles for region in self.regions]
        self._synthesizer = SegmentSynthesizer(generator, self.boxes, tiles, level.resolution)

    def __call__(
        self,
        weights: Mapping[str, Tensor],
        codes: Sequence[LatentCode],
        moving: Mapping[str, Tensor],
        noise: Sequence[Tensor],
    ) -> TuningGrads:
        """weights: the generator's, which want gradients; codes: one per drawing; moving: those of their tensors that
        want gradients; noise: maps of the generator's noise_layout, or ().

        No more graphs are held at once than one pass makes.
        """
        self._synthesizer.generator = with_parameters(self.generator, weights)
        sources = {**weights, **moving}
        losses: dict[int, Tensor] = {}
        crops: dict[int, Tensor] = {}
        totals: list[Tensor] = []
        for group in self._synthesizer.groups:
            made = self._synthesizer.synthesize(group, codes, noise)
            own = [self.regions[i].loss(one) for i, one in zip(group.segments, made, strict=True)]
            loss = torch.stack(own).sum()
            found = torch.autograd.grad(loss, list(sources.values()), materialize_grads=True)
            totals = [total + more for total, more in zip(totals, found, strict=True)] if totals else [*found]
            losses.update((i, one.detach()) for i, one in zip(group.segments, own, strict=True))
            crops.update((i, one.detach()) for i, one in zip(group.segments, made, strict=True))
        self.crops = in_order(crops)
        numbers: list[float] = torch.stack(in_order(losses)).tolist()
        return TuningGrads(numbers, dict(zip(sources, totals, strict=True)))

    def draw(
        self, weights: Mapping[str, Tensor], codes: Sequence[LatentCode], noise: Sequence[Tensor]
    ) -> list[Tensor]:
        """The crops alone, without gradients."""
        self._synthesizer.generator = with_parameters(self.generator, weights)
        return self._synthesizer.synthesize_all(codes, noise)
