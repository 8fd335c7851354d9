"""Boundary refinement: boundaries that move while the codes are optimized (P1 = Futschik et al. 2021, 2.3)."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...generator.spaces import LatentCode
from ...segments.level_set import boundary_speed, refine_segments
from ...segments.masks import mask_box
from ...segments.segment_masks import SegmentMasks
from ..config import ProjectionConfig
from ..loss_regions import PyramidLevel
from ..projection import Hook, Projection
from ..segment_synthesis import SegmentSynthesizer

_MARGIN = 4  # pixels beyond the farthest move, so that the differences there are known too


class BoundaryRefinement(Hook):
    """Moves the boundaries of some segments every `config.refine_every` steps, once each segment has its code.

    Its state is the projection's masks.
    """

    def __init__(self, config: ProjectionConfig) -> None:
        self.config = config

    def before_loss(self, run: Projection) -> None:
        if run.step > 0 and run.step % self.config.refine_every == 0 and not run.is_shared:
            latents, full = run.latents, run.full
            masks = refined_masks(
                run.generator, full, latents.latent_codes(), list(latents.noise_maps), self.config
            )
            run.full = PyramidLevel.full(full.photo, masks, self.config)
            run.losses_changed = True


@torch.no_grad()
def refined_masks(
    generator: Generator,
    level: PyramidLevel,
    codes: Sequence[LatentCode],
    noise: Sequence[Tensor],
    config: ProjectionConfig,
) -> SegmentMasks:
    """The masks with the boundaries of `config.refine` moved by up to `config.refine_distance` pixels.

    level: at full resolution; codes: one per segment. Each boundary moves with the speed F = |I - I_W|, the
    difference of the photo and what the segment's code draws. Segments so soft that they have no boundary stay
    as they are; where a segment would vanish, all do, and a warning says so.
    """
    masks = level.masks
    solid = masks.masks.flatten(1).amax(dim=1) > 0.5
    by_name = dict(zip(masks.names, solid.tolist(), strict=True))
    names = [name for name in masks.resolve(config.refine) if by_name[name]]
    if not names:
        return masks
    chosen = [masks.names.index(name) for name in names]
    margin = math.ceil(config.refine_distance) + _MARGIN
    boxes = [mask_box(masks.masks[index], margin) for index in chosen]
    synthesizer = SegmentSynthesizer(generator, boxes, [(box,) for box in boxes], level.resolution)
    crops = synthesizer.synthesize_all([codes[index] for index in chosen], noise)
    speeds: dict[str, Tensor] = {}
    for name, box, crop in zip(names, boxes, crops, strict=True):
        rendering = level.photo.clone()
        rendering[..., box.top : box.bottom, box.left : box.right] = crop
        speeds[name] = boundary_speed(level.photo, rendering)
    try:
        return refine_segments(
            masks,
            speeds,
            distance=config.refine_distance,
            signs=1 if config.refine_sign == "grow" else -1,
            curvature=config.refine_curvature,
        )
    except InvalidInputError as error:  # nothing would be left of a segment
        logging.getLogger(__name__).warning("boundaries stay where they are this time: %s", error)
        return masks
