"""Boundaries that move while the codes are optimised (P1 = Futschik et al. 2021, 2.3)."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..segments.level_set import boundary_speed, refine_segments
from ..segments.masks import mask_box
from ..segments.segment_masks import Segments
from .config import ProjectionConfig
from .painter import Painter
from .regions import View

_REACH = 4  # pixels beyond the farthest move, so that the differences there are known too


@torch.no_grad()
def refined_segments(
    generator: Generator,
    view: View,
    codes: Sequence[LatentCode],
    noise: Sequence[Tensor],
    config: ProjectionConfig,
) -> Segments:
    """The segments with the boundaries of `config.refine` moved by up to `config.refine_distance` pixels.

    view: at full resolution; codes: one per segment. Each boundary moves with the speed F = |I - I_W|, the
    difference of the photo and what the segment's code draws. Segments so soft that they have no boundary stay
    as they are; where a segment would vanish, all do, and a warning says so.
    """
    solid = view.segments.masks.flatten(1).amax(dim=1) > 0.5
    by_name = dict(zip(view.segments.names, solid.tolist(), strict=True))
    names = [name for name in view.segments.resolve(config.refine) if by_name[name]]
    chosen = [view.segments.names.index(name) for name in names]
    margin = math.ceil(config.refine_distance) + _REACH
    boxes = [mask_box(view.segments.masks[index], margin) for index in chosen]
    painter = Painter(generator, boxes, [(box,) for box in boxes], view.resolution)
    speeds: dict[str, Tensor] = {}
    for group in painter.groups:
        crops = painter.paint(group, [codes[index] for index in chosen], noise or None)
        for part, crop in zip(group.parts, crops, strict=True):
            picture = view.photo.clone()
            top, left, bottom, right = boxes[part]
            picture[..., top:bottom, left:right] = crop
            speeds[names[part]] = boundary_speed(view.photo, picture)
    try:
        return refine_segments(
            view.segments,
            speeds,
            distance=config.refine_distance,
            signs=1 if config.refine_sign == "grow" else -1,
            curvature=config.refine_curvature,
        )
    except InvalidInputError as error:  # nothing would be left of a segment
        logging.getLogger(__name__).warning("boundaries stay where they are this time: %s", error)
        return view.segments
