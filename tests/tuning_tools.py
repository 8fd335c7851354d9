"""What the tests of pivotal tuning share."""

from __future__ import annotations

import torch
from torch import Tensor

from chunky_core.inversion import Inversion, TuningConfig

QUICK = TuningConfig(num_steps=12, learning_rate=0.02, size=0.2, dilation=1)


def deltas(inversion: Inversion) -> list[dict[str, Tensor]]:
    """The inversion's, then those of its segments."""
    return [dict(inversion.delta), *(dict(segment.delta) for segment in inversion.segments)]


def same_deltas(one: Inversion, other: Inversion) -> bool:
    """To the bit."""
    return all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(deltas(one), deltas(other), strict=True)
    )
