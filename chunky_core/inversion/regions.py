"""What each code answers for: a part of the photo at one resolution, and how it is judged there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..boxes import Box
from ..generator.generator import Generator
from ..losses import LossNetworks, RegionLoss
from ..segments.masks import check_reach, feather, grow, mask_box
from ..segments.segment_masks import Segments
from ..segments.tiles import cover
from .config import ProjectionConfig

_SMALLEST_LEVEL = 32  # pixels; below it a face has no parts any more


@dataclass(frozen=True, eq=False)
class View:
    """Photo [1,3,r,r] and segments at one resolution r, in pixels of which all boxes are."""

    photo: Tensor
    segments: Segments
    reach: Tensor  # [N,1,r,r] in [0,1]: how much each pixel counts in the loss of each segment

    @property
    def resolution(self) -> int:
        return self.photo.shape[-1]

    def at(self, resolution: int) -> View:
        """This view at a resolution that is lower by a power of two; every pixel the mean of those below it."""
        factor = self.resolution // resolution
        if factor == 1:
            return self
        masks, static = self.segments.masks, self.segments.static
        smaller = replace(
            self.segments, masks=F.avg_pool2d(masks, factor), static=F.avg_pool2d(static, factor)
        )
        return View(F.avg_pool2d(self.photo, factor), smaller, F.avg_pool2d(self.reach, factor))


@dataclass(frozen=True, eq=False)
class Region:
    """box: what the loss looks at; tiles: disjoint boxes inside it that hold every pixel that counts, all
    that has to be synthesised; loss: of a crop [1,3,h,w] of the box.
    """

    box: Box
    tiles: tuple[Box, ...]
    loss: RegionLoss


def reach_of(masks: Tensor, config: ProjectionConfig) -> Tensor:
    """[N,1,H,W]: the masks dilated and softened (P1 2.1), with a weaker neighbourhood around them if wanted.

    Raises InvalidInputError for a feather of more than half the masks' shorter side.
    """
    check_reach(config.feather, (masks.shape[-2], masks.shape[-1]), "feather")
    grown = grow(masks, config.dilation)
    if config.feather:
        soft = [feather(mask[0].cpu().double(), config.feather) for mask in grown]
        grown = torch.maximum(torch.stack(soft)[:, None].to(grown), masks)
    if config.neighbourhood:
        around = grow(masks, config.dilation + config.neighbourhood_width)
        grown = torch.maximum(grown, config.neighbourhood * around)
    return grown


def levels(config: ProjectionConfig, resolution: int) -> tuple[tuple[int, int], ...]:
    """(first step, resolution) of each stretch of the run, from coarse to fine."""
    coarse = round(config.coarse * config.steps)
    stretches = [(0, resolution // 4), (coarse // 2, resolution // 2)] if coarse else []
    kept = [(step, size) for step, size in stretches if size >= _SMALLEST_LEVEL]
    if kept:
        kept[0] = (0, kept[0][1])
    return (*kept, (coarse if kept else 0, resolution))


def segment_regions(
    generator: Generator, view: View, config: ProjectionConfig, networks: LossNetworks, which: Sequence[int]
) -> list[Region]:
    """One region for each of the segments `which`."""
    return [_region(generator, view, view.reach[i : i + 1], config, networks) for i in which]


def shared_region(
    generator: Generator, view: View, config: ProjectionConfig, networks: LossNetworks
) -> Region:
    """The region of one code that stands for all segments."""
    masks = view.segments.masks if config.mode == "joint" else view.reach
    mask = masks.sum(dim=0, keepdim=True).clamp(max=1.0)
    return _region(generator, view, mask, config, networks)


def picture_region(
    generator: Generator, view: View, config: ProjectionConfig, networks: LossNetworks
) -> Region:
    """The region of the picture that all segments make together: every pixel that isn't the photo's alone.

    The picture holds the photo's share already, so all of them count in full.
    """
    moving = (view.segments.static < 1).to(view.photo)
    box = mask_box(moving, config.losses.margin)
    return Region(box, (box,), RegionLoss(config.losses, networks, view.photo, box, crop(moving, box)))


def painted_tiles(generator: Generator, mask: Tensor, resolution: int) -> tuple[Box, ...]:
    """Disjoint boxes that hold every pixel > 0 of a mask [1,1,r,r], as cheap to synthesise as can be found."""
    if not generator.supports_boxes:
        return (mask_box(mask),)
    size = None if resolution == generator.img_resolution else resolution
    return cover(mask, lambda box: generator.effort(box, size))


def crop(image: Tensor, box: Box) -> Tensor:
    """The pixels `box` of an image [...,H,W]."""
    return image[..., box.top : box.bottom, box.left : box.right]


def _region(
    generator: Generator, view: View, mask: Tensor, config: ProjectionConfig, networks: LossNetworks
) -> Region:
    box = mask_box(mask, config.losses.margin if config.losses.is_structural else 0)
    loss = RegionLoss(config.losses, networks, view.photo, box, crop(mask, box))
    return Region(box, painted_tiles(generator, mask, view.resolution), loss)
