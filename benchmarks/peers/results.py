"""What one tool made of a photo, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from benchmarks.lone_cases import Case, lone_figures
from chunky_core.evaluation.metrics import identity_distance, lpips_distance, mse
from chunky_core.images import to_uint8
from chunky_core.losses import IdentityNetwork, PerceptualNetwork


@dataclass(frozen=True)
class Result:
    """rendering: [1,3,H,W], of the whole picture or with the photo around the segment. seconds: CPU time of all that
    led to it. outputs: the 8-bit pictures [H,W,3] that the tool gives for one segment, by its names for them. facts:
    more to report, plain values.
    """

    rendering: Tensor
    seconds: float
    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def whole_figures(
    result: Result, photo: Tensor, network: PerceptualNetwork, identity: IdentityNetwork
) -> dict[str, Any]:
    """Distances of the whole rendering from the photo."""
    return {
        "l2": mse(result.rendering, photo),
        "perceptual": lpips_distance(result.rendering, photo, network),
        "identity": identity_distance(result.rendering, photo, identity),
        "seconds": result.seconds,
        **result.facts,
    }


def segment_figures(result: Result, case: Case, network: PerceptualNetwork) -> dict[str, Any]:
    """`lone_figures`, and what the tool's pictures change where the mask is 0."""
    outputs = result.outputs or {"rendering": to_uint8(result.rendering)[0]}
    return {
        **lone_figures(case, result.rendering, network),
        "seconds": result.seconds,
        "outside": {name: changed_outside(picture, case) for name, picture in outputs.items()},
        **result.facts,
    }


def changed_outside(picture: Tensor, case: Case) -> dict[str, float]:
    """Share of the pixels outside the mask whose levels differ from the photo's, and by how many levels at most.

    picture: uint8 [H,W,3].
    """
    outside = case.segments.masks[0, 0] == 0
    levels = (picture.int() - to_uint8(case.photo)[0].int()).abs().amax(dim=-1)[outside]
    return {"share": (levels > 0).float().mean().item(), "levels": levels.max().item()}


def as_picture(pixels: Any) -> Tensor:
    """A peer's array [H,W,3] of bytes as a tensor of its own."""
    return torch.from_numpy(pixels).clone()
