"""What strength 1 of a direction means."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import Direction
from ..generator.statistics import GeneratorStatistics
from .direction_checks import check_direction, layer_count

Unit = Literal["auto", "sigma", "raw"]


def in_sigma(generator: Generator, direction: Direction, statistics: GeneratorStatistics) -> Direction:
    """The direction scaled so that strength 1 is one standard deviation of the generator's own codes along it.

    Along a vector d of W that is sqrt(d' C d) / |d|, with C the covariance of w. In W+ the layer that moves most, in
    standard deviations along its own vector, moves by one, and the others in proportion; where all layers have the same
    vector, that is W's. In S it is sqrt(sum of d_c^2 sigma_c^2) / |d|: channels are taken to be uncorrelated, and a
    single one moves by its own deviation. Only the direction's layers count. A calibration is dropped.
    Raises InvalidInputError for a direction of another generator, and for one along which no code varies.
    """
    check_direction(generator, direction)
    tensor = _restricted(generator, direction)
    if direction.space == "s":
        factor = _of_styles(tensor, statistics.style_std.double())
    else:
        factor = _of_rows(tensor.reshape(-1, generator.w_dim), statistics.w_covariance.double())
    if not 0 < factor < torch.inf:
        raise InvalidInputError(
            f"the direction {direction.name[:80]!r} has no standard deviation: this generator's codes don't vary "
            "along it; use it raw, or one made for this generator"
        )
    scaled = direction.tensor.double() * factor
    return replace(direction, tensor=scaled.to(direction.tensor.dtype), unit="sigma", calibration=None)


def _of_rows(rows: Tensor, covariance: Tensor) -> float:
    """What vectors of W [n,w_dim] are to be multiplied by."""
    lengths = rows.square().sum(dim=1)
    variances = (
        ((rows @ covariance) * rows).sum(dim=1).clamp(min=0)
    )  # of the codes along each, times its length^2
    moved = lengths > 0
    factors = variances[moved].sqrt() / lengths[moved]
    return float(factors.min()) if len(factors) else 0.0


def _of_styles(tensor: Tensor, deviations: Tensor) -> float:
    """What a direction of S is to be multiplied by."""
    length = float(tensor.square().sum())
    variance = (tensor.square() * deviations.square()).sum()  # times its length^2
    return float(variance.sqrt()) / length if length else 0.0


def _restricted(generator: Generator, direction: Direction) -> Tensor:
    """The tensor in float64 with zeros in the layers of W+ and S that don't take part."""
    tensor = direction.tensor.double().cpu()
    if not direction.layers or direction.space == "w":
        return tensor
    kept = torch.isin(torch.arange(layer_count(generator, direction.space)), torch.tensor(direction.layers))
    if direction.space == "w+":
        return tensor * kept[:, None]
    return tensor * kept.repeat_interleave(torch.tensor([width for _, width in generator.style_layout]))
