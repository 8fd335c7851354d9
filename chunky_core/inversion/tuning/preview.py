"""Previews of a tuning: what its segments looked like when they were drawn last, and the others as they are."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...boxes import Box
from ...segments.blend import blend
from ...segments.masks import mask_box
from ..segment_synthesis import SegmentSynthesizer
from .deltas import segment_generators
from .run import Tuning

Drawn = tuple[Tensor, Box]


@torch.no_grad()
def preview(run: Tuning) -> Tensor:
    """The photo with all segments laid in, [1,3,H,W]."""
    drawn: dict[int, Drawn] = {}
    for part in run.parts:
        last = part.objective.crops or part.draw(run.noise)
        for drawing, crop, box in zip(part.drawings, last, part.objective.boxes, strict=True):
            drawn.update(dict.fromkeys(drawing, (crop, box)))
    if not run.untouched:
        run.untouched = _untouched(run, [i for i in range(len(run.source.names)) if i not in drawn])
    drawn |= run.untouched
    crops, boxes = zip(*(drawn[index] for index in range(len(drawn))), strict=True)
    return blend(run.source.backdrop().to(crops[0]), run.source.masks, crops, boxes)


def _untouched(run: Tuning, which: list[int]) -> dict[int, Drawn]:
    """The other segments, each on its mask's box."""
    generators, found = segment_generators(run.generator, run.source), {}
    for index in which:
        segment = run.source.segments[index]
        box = mask_box(segment.mask)
        synthesizer = SegmentSynthesizer(generators[index], [box], [(box,)], run.generator.img_resolution)
        code = replace(segment.code, tensor=segment.code.tensor.to(run.generator.device))
        found[index] = (synthesizer.synthesize_all([code], run.noise)[0], box)
    return found
