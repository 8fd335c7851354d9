"""What each code is fitted to: photo and masks at one resolution, and the part of them that a loss looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..boxes import Box, Size, crop
from ..generator.generator import Generator
from ..losses import LossNetworks, MaskedLoss
from ..segments.masks import check_extent, feather, grow, mask_box
from ..segments.segment_masks import SegmentMasks
from ..segments.tiles import tile_mask
from .config import ProjectionConfig


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """photo [1,3,h,w] and masks at one resolution, in pixels of which all boxes are.

    loss_mask: [N,1,h,w] in [0,1], how much each pixel counts in the loss of each segment.
    """

    photo: Tensor
    masks: SegmentMasks
    loss_mask: Tensor
    _coarser: dict[int, PyramidLevel] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def full(cls, photo: Tensor, masks: SegmentMasks, config: ProjectionConfig) -> PyramidLevel:
        """The level at the photo's own resolution."""
        return cls(photo, masks, loss_mask(masks, config))

    @property
    def size(self) -> Size:
        return Size(*self.photo.shape[-2:])

    @property
    def resolution(self) -> int:
        """The longer side."""
        return max(self.size)

    def at(self, resolution: int) -> PyramidLevel:
        """The level of a resolution that is lower by a power of two; every pixel the mean of those below it."""
        factor = self.resolution // resolution
        if factor == 1:
            return self
        if resolution not in self._coarser:
            tensors = (self.photo, self.masks.masks, self.masks.static, self.loss_mask)
            photo, masks, static, loss_mask = (F.avg_pool2d(one, factor) for one in tensors)
            smaller = replace(self.masks, masks=masks, static=static)
            self._coarser[resolution] = PyramidLevel(photo, smaller, loss_mask)
        return self._coarser[resolution]


@dataclass(frozen=True, eq=False)
class LossRegion:
    """box: what the loss looks at; tiles: disjoint boxes inside it that hold every pixel that counts, all
    that has to be synthesised; loss: of a crop [1,3,h,w] of the box.
    """

    box: Box
    tiles: tuple[Box, ...]
    loss: MaskedLoss


def loss_mask(segments: SegmentMasks, config: ProjectionConfig) -> Tensor:
    """[N,1,H,W]: the masks, what they gain by being dilated and softened (P1 2.1) with a weight of its own, and a
    weaker neighborhood around them if wanted.

    With a weight below 1 the gain doesn't count in static parts, where nobody will see what the code draws. Raises
    InvalidInputError for a feather of more than half the masks' shorter side.
    """
    masks = segments.masks
    check_extent(config.feather, segments.size, "feather")
    grown = grow(masks, config.dilation)
    if config.feather:
        soft = [feather(mask[0].cpu().double(), config.feather) for mask in grown]
        grown = torch.stack(soft)[:, None].to(grown)
    if config.dilation_weight < 1:
        grown = config.dilation_weight * (1 - segments.static) * grown
    grown = torch.maximum(grown, masks)
    if config.neighborhood:
        around = grow(masks, config.dilation + config.neighborhood_width)
        grown = torch.maximum(grown, config.neighborhood * around)
    return grown


def segment_regions(
    generator: Generator,
    level: PyramidLevel,
    config: ProjectionConfig,
    networks: LossNetworks,
    which: Sequence[int],
) -> list[LossRegion]:
    """One region for each of the segments `which`."""
    return [_region(generator, level, level.loss_mask[i : i + 1], config, networks) for i in which]


def shared_region(
    generator: Generator, level: PyramidLevel, config: ProjectionConfig, networks: LossNetworks
) -> LossRegion:
    """The region of one code that stands for all segments."""
    masks = level.masks.masks if config.mode == "joint" else level.loss_mask
    mask = masks.sum(dim=0, keepdim=True).clamp(max=1.0)
    return _region(generator, level, mask, config, networks)


def photo_region(
    generator: Generator, level: PyramidLevel, config: ProjectionConfig, networks: LossNetworks
) -> LossRegion:
    """The whole photo, static parts included."""
    return _region(generator, level, torch.ones_like(level.masks.static), config, networks)


def image_region(level: PyramidLevel, config: ProjectionConfig, networks: LossNetworks) -> LossRegion:
    """The region of the image that all segments make together: every pixel that isn't the photo's alone.

    The image holds the photo's share already, so all of them count in full.
    """
    moving = (level.masks.static < 1).to(level.photo)
    box = mask_box(moving, config.loss.margin)
    return LossRegion(box, (box,), MaskedLoss(config.loss, networks, level.photo, box, crop(moving, box)))


def synthesis_tiles(generator: Generator, mask: Tensor, resolution: int) -> tuple[Box, ...]:
    """Disjoint boxes that hold every pixel > 0 of a mask [1,1,h,w], as cheap to synthesise as can be found."""
    if not generator.supports_boxes:
        return (mask_box(mask),)
    size = None if resolution == generator.img_resolution else resolution
    return tile_mask(mask, lambda box: generator.relative_cost(box, size))


def _region(
    generator: Generator, level: PyramidLevel, mask: Tensor, config: ProjectionConfig, networks: LossNetworks
) -> LossRegion:
    box = mask_box(mask, config.loss.margin if config.loss.is_structural else 0)
    loss = MaskedLoss(config.loss, networks, level.photo, box, crop(mask, box))
    return LossRegion(box, synthesis_tiles(generator, mask, level.resolution), loss)
