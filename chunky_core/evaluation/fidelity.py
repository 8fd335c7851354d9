"""How faithful reconstructions are: figures of one rendering against its photo, and what many of them say together
(the numbers of P2, Table 1; P2 = Subrtova et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, median, stdev
from typing import Any

from torch import Tensor

from ..deprecated import old_names
from ..errors import InvalidInputError
from ..losses import LossNetworks
from ..segments.segment_masks import SegmentMasks
from .metrics import both_networks, identity_distance, lpips_distance, mse

__getattr__ = old_names(__name__)

FIGURES = ("perceptual", "identity", "l2")


@dataclass(frozen=True)
class SegmentFidelity:
    """l2: mean squared difference over the segment's mask. perceptual: distance of the photo with only this
    segment replaced, divided by the mask's share of the image.
    """

    l2: float
    perceptual: float


@dataclass(frozen=True)
class Fidelity:
    """Distances of a whole rendering from its photo, 0 = equal, and of its segments by name.

    perceptual: of a perceptual network. identity: 1 - cosine of the embeddings. l2: mean squared difference of
    values in [-1,1].
    """

    perceptual: float
    identity: float
    l2: float
    segments: Mapping[str, SegmentFidelity] = field(default_factory=dict)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Fidelity:
        """What `dataclasses.asdict` made plain. Raises KeyError or TypeError where it is something else."""
        segments = {name: SegmentFidelity(**figures) for name, figures in plain["segments"].items()}
        return cls(**{name: float(plain[name]) for name in FIGURES}, segments=segments)


def measure_fidelity(
    photo: Tensor, rendering: Tensor, segments: SegmentMasks, networks: LossNetworks
) -> Fidelity:
    """Figures of `rendering` against `photo`, [1,3,H,W] in [-1,1] each, whole and by segment.

    Raises InvalidInputError if the sizes differ, or a network is missing: both are needed.
    """
    network, identity_network = both_networks(networks, "fidelity")
    by_name = {
        name: SegmentFidelity(
            mse(rendering, photo, mask[None]), lpips_distance(rendering, photo, network, mask[None])
        )
        for name, mask in zip(segments.names, segments.masks, strict=True)
    }
    identity = identity_distance(rendering, photo, identity_network)
    return Fidelity(lpips_distance(rendering, photo, network), identity, mse(rendering, photo), by_name)


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (0 of a single value)."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value or more."""
        return cls(mean(values), stdev(values) if len(values) > 1 else 0.0)

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.deviation:.4f}"


@dataclass(frozen=True)
class MethodComparison:
    """One method against another on the same photos, pair by pair: what is below 1 is better.

    ratio_of_means: mean of the one over mean of the other. ratios: photo by photo, in their order.
    """

    ratio_of_means: float
    ratios: tuple[float, ...]

    @property
    def better(self) -> int:
        """On how many photos the one is better."""
        return sum(one < 1 for one in self.ratios)

    @property
    def worse(self) -> int:
        """On how many photos the one is worse."""
        return sum(one > 1 for one in self.ratios)

    @property
    def median(self) -> float:
        """Of the ratios."""
        return median(self.ratios)

    @property
    def worst(self) -> float:
        """The highest ratio."""
        return max(self.ratios)


def compare_methods(ours: Sequence[float], others: Sequence[float]) -> MethodComparison:
    """Distances of two methods on the same photos, at least one; two distances of 0 have ratio 1.

    Raises InvalidInputError for different numbers of them, or none.
    """
    if len(ours) != len(others) or not ours:
        raise InvalidInputError(
            f"there are {len(ours)} figures of the one way and {len(others)} of the other; "
            "expected the same photos for both, at least one"
        )
    ratios = tuple(_ratio(one, other) for one, other in zip(ours, others, strict=True))
    return MethodComparison(_ratio(mean(ours), mean(others)), ratios)


def _ratio(one: float, other: float) -> float:
    if other == 0:
        return 1.0 if one == 0 else math.inf
    return one / other
