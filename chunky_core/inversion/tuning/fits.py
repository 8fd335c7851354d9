"""How near the segments of an inversion are to the photo, drawn with their deltas."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import torch

from ...generator.generator import Generator
from ...segments.segment_masks import SegmentMasks
from ..record import Inversion
from ..segment_synthesis import segment_errors
from .deltas import segment_generators


def fitting_errors(generator: Generator, inversion: Inversion, names: Iterable[str]) -> dict[str, float]:
    """Root mean square error of what each named segment shows of the photo within its mask, without edits, in grey
    levels (0 to 255). One that isn't finite is left out.
    """
    wanted, found = set(names), {}
    groups: dict[int, list[int]] = {}
    generators = segment_generators(generator, inversion)
    for index, name in enumerate(inversion.names):
        if name in wanted:
            groups.setdefault(id(generators[index]), []).append(index)
    for indices in groups.values():
        found |= _errors(generators[indices[0]], inversion, indices)
    return {name: error for name, error in found.items() if math.isfinite(error)}


def _errors(generator: Generator, inversion: Inversion, indices: list[int]) -> dict[str, float]:
    """Of segments that the same generator draws."""
    device = generator.device
    masks = inversion.masks.masks[indices].detach().clone().to(device, torch.float32)
    names = tuple(inversion.names[index] for index in indices)
    shown = SegmentMasks(names, masks, (1.0 - masks.sum(dim=0, keepdim=True)).clamp(min=0.0))
    codes = [inversion.segments[index].code for index in indices]
    photo = inversion.backdrop().detach().clone().to(device, torch.float32)
    on_device = [replace(code, tensor=code.tensor.detach().clone().to(device)) for code in codes]
    noise = [one.detach().clone().to(device) for one in inversion.noise]
    return dict(zip(names, segment_errors(generator, photo, shown, on_device, noise), strict=True))
