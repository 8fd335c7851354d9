"""How near the tuned segments of an inversion come to its photo."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from ...generator.generator import Generator
from ...generator.spaces import LatentCode
from ...segments.segment_masks import SegmentMasks
from ..fits import SegmentFit
from ..photo_detail import segment_details
from ..record import Inversion
from ..segment_synthesis import segment_errors
from .deltas import segment_generators


def tuned_fits(
    generator: Generator, before: Inversion, after: Inversion, which: Iterable[int]
) -> dict[str, SegmentFit]:
    """The fits of `before` with the ends that the segments `which` (their numbers) have in `after`.

    A start that is known stays: it is where the inversion's first run set out from; else it is the error in `before`.
    """
    which = list(which)
    ends = _errors(generator, after, which)
    unknown = [index for index in which if before.names[index] not in before.fits]
    starts = {before.names[index]: error for index, error in _errors(generator, before, unknown).items()}
    details = segment_details(before.backdrop().to(torch.float32), before.masks)
    fits = dict(before.fits)
    for index, end in ends.items():
        name = before.names[index]
        start = fits[name].start if name in fits else starts[name]
        if math.isfinite(start) and math.isfinite(end):
            fits[name] = SegmentFit(start, end, details[index])
    return fits


def _errors(generator: Generator, inversion: Inversion, which: list[int]) -> dict[int, float]:
    """Root mean square errors within the masks, in grey levels, by the segments' numbers."""
    errors: dict[int, float] = {}
    if not which:
        return errors
    generators = segment_generators(generator, inversion)
    photo = inversion.backdrop().to(generator.device, torch.float32)
    noise = [one.to(generator.device) for one in inversion.noise]
    for index in which:
        segment = inversion.segments[index]
        mask = segment.mask.to(photo)
        code = LatentCode(segment.code.space, segment.code.tensor.to(generator.device))
        alone = SegmentMasks((segment.name,), mask, 1 - mask)
        errors[index] = segment_errors(generators[index], photo, alone, [code], noise)[0]
    return errors
