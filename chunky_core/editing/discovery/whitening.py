"""Codes in units of the generator's own spread: uncorrelated, each coordinate of variance 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...generator.spaces import LatentCode
from ...generator.statistics import GeneratorStatistics

_NEGLIGIBLE = 1e-6  # of the largest variance


@dataclass(frozen=True)
class Whitening:
    """factor: [D,k] with factor @ factor.T the covariance of codes [D]; inverse: [k,D], its pseudo-inverse; float64."""

    factor: Tensor
    inverse: Tensor

    @classmethod
    def of_covariance(cls, covariance: Tensor) -> Whitening:
        """covariance: [D,D]. Where codes don't vary at all nothing is looked at."""
        values, vectors = torch.linalg.eigh(covariance.double())
        varied = values > values.max() * _NEGLIGIBLE
        roots, axes = values[varied].sqrt(), vectors[:, varied]
        return cls(axes * roots, (axes / roots).T)


def whitened(code: LatentCode, statistics: GeneratorStatistics) -> Tensor:
    """Codes of w, w+ or s as rows [B,k], float64 on the CPU. In w+ each layer's vector is whitened as a w is."""
    numbers = code.tensor.detach().cpu().double()
    if code.space == "s":
        return (numbers - statistics.style_mean.double()) * _inverse_deviations(statistics)
    inverse = Whitening.of_covariance(statistics.w_covariance).inverse
    return ((numbers - statistics.w_mean.double()) @ inverse.T).flatten(1)


def pattern(normal: Tensor, space: str, statistics: GeneratorStatistics) -> Tensor:
    """How codes change, in the mean, along a model's weights `normal` [k] in whitened coordinates: w [w_dim], w+
    [num_ws,w_dim] or s [styles] (Haufe et al. 2014, eq. 6).

    The weights themselves would be the way that changes the label at the least distance in W, whatever else changes.
    """
    if space == "s":
        return normal * statistics.style_std.double()
    factor = Whitening.of_covariance(statistics.w_covariance).factor
    vectors = normal.reshape(-1, factor.shape[1]) @ factor.T
    return vectors if space == "w+" else vectors[0]


def _inverse_deviations(statistics: GeneratorStatistics) -> Tensor:
    deviations = statistics.style_std.double()
    varied = deviations > deviations.max() * _NEGLIGIBLE
    return torch.where(varied, 1 / deviations.clamp(min=1e-300), 0.0)
