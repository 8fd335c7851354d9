"""How an attribute answers to a direction: the linear part of a measured curve, and the direction scaled by it.

P2 = Subrtova et al. 2022, section 4.2: the response of a classifier against the strength of an edit, fitted by a line,
makes edits of different methods equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..checks import checked_list
from ..errors import InvalidInputError
from ..generator.spaces import Calibration, Direction
from .edits import checked_strength

TOLERANCE = 0.1  # of the largest mean response, by which the mean may lie beside the line
FLAT = 0.1  # deviations of the score over the whole span, below which there is nothing to calibrate by
SIGNIFICANT = 2.0  # standard errors
CLEAR = 0.5  # deviations of the score: a mean response that is none of a direction without effect
LEAST_R2 = 0.1  # below which the line explains next to nothing of the response


@dataclass(frozen=True, eq=False)
class ResponseCurve:
    """Scores of an attribute for pictures that were edited by several strengths.

    strengths: [S], ascending, 0 among them; scores: [N,S] of N pictures, in the scorer's own unit; deviation: standard
    deviation of the score over the generator's pictures; unit: what is one unit of response; unit_name: for people.
    Raises InvalidInputError for fewer than three strengths, others than said, and scores that aren't finite.
    """

    attribute: str
    strengths: Tensor
    scores: Tensor
    deviation: float
    unit: float
    unit_name: str

    def __post_init__(self) -> None:
        strengths = self.strengths.tolist()
        if len(strengths) < 3 or strengths != sorted(set(strengths)) or 0.0 not in strengths:
            raise InvalidInputError(
                f"the strengths are {strengths}; expected three or more, ascending, 0 among them"
            )
        if self.scores.ndim != 2 or self.scores.shape[1] != len(strengths) or not len(self.scores):
            raise InvalidInputError(
                f"the scores are {list(self.scores.shape)}; expected [pictures, {len(strengths)}]"
            )
        if not bool(self.scores.isfinite().all()):
            raise InvalidInputError(
                f"the scorer gave scores of {self.attribute!r:.80} that aren't finite; use weaker strengths"
            )
        if not 0 < self.deviation < torch.inf:
            raise InvalidInputError(
                f"the scorer's {self.attribute!r:.80} is the same for all of the generator's pictures; choose an "
                "attribute that they differ in"
            )

    @property
    def responses(self) -> Tensor:
        """[N,S]: what each strength adds to the score of a picture at strength 0, in units."""
        start = self.scores[:, self.strengths == 0]
        return (self.scores - start) / self.unit


@dataclass(frozen=True)
class LinearFit:
    """response = slope x strength for strengths within `span`; r2: over all pictures and strengths there, 0 ... 1.

    error: standard error of the slope over the pictures, infinite for one picture.
    """

    slope: float
    span: tuple[float, float]
    r2: float
    error: float


def fit_response(curve: ResponseCurve) -> LinearFit:
    """The line through the unedited pictures that covers most of the response.

    Of all spans of strengths around 0 in which the mean response stays within a tenth of the largest one of its line,
    that one counts over which the line rises most: where the response saturates, and where a threshold keeps it flat,
    the line ends. Raises InvalidInputError where the direction hardly changes the attribute.
    """
    strengths, responses = curve.strengths.double(), curve.responses.double()
    mean = responses.mean(dim=0)
    most = float(mean.abs().max())
    fits = [
        (abs(slope) * float(at[-1] - at[0]), off <= TOLERANCE * most, first, last)
        for first, last in _spans(strengths)
        for at in [strengths[first:last]]
        for slope in [_slope(at, mean[first:last])]
        for off in [float((mean[first:last] - slope * at).abs().max())]
    ]
    straight = [fit for fit in fits if fit[1]] or [min(fits, key=lambda fit: fit[3] - fit[2])]
    rise, _, first, last = max(straight)
    fit = _fitted(strengths[first:last], responses[:, first:last])
    if rise * curve.unit < FLAT * curve.deviation or abs(fit.slope) < SIGNIFICANT * fit.error < torch.inf:
        raise _without_slope(curve, fit, most)
    if fit.r2 < LEAST_R2:
        raise InvalidInputError(
            f"the response of {curve.attribute!r:.80} is flat: a line explains {max(0.0, fit.r2):.0%} of it (R2 "
            f"{fit.r2:.2g}, expected at least {LEAST_R2:g}); choose an attribute that the direction changes"
        )
    return fit


def _without_slope(curve: ResponseCurve, fit: LinearFit, most: float) -> InvalidInputError:
    """The error for a response whose line doesn't rise. most: the largest mean response, in units."""
    low, high = float(curve.strengths[0]), float(curve.strengths[-1])
    span = f"from strength {low:g} to {high:g}"
    slope = f"slope {fit.slope:.2g} ± {fit.error:.2g}"
    if most * curve.unit >= CLEAR * curve.deviation:
        return InvalidInputError(
            f"the response of {curve.attribute!r:.80} is no line: {span} its mean moves by up to {most:.2g} units, but "
            f"not in proportion ({slope}), as where pictures break up; use weaker strengths (3 standard deviations are "
            "strong), or more samples"
        )
    return InvalidInputError(
        f"the direction hardly changes {curve.attribute!r:.80}: {span} its mean response stays within {most:.2g} of a "
        f"unit ({slope}); choose an attribute that it changes, stronger strengths, or more samples"
    )


def checked_strengths(strengths: Iterable[float]) -> tuple[float, ...]:
    """Strengths that a response can be measured at: ascending, on both sides of 0, and 0 itself, up to 100.

    Raises InvalidInputError for others.
    """
    found = tuple(float(checked_strength(one)) for one in checked_list(strengths, "the strengths", object))
    if list(found) != sorted(set(found)) or 0.0 not in found or not found[0] < 0 < found[-1]:
        raise InvalidInputError(
            f"the strengths are {list(found)!s:.80}; expected three or more, ascending, on both sides of 0, and 0"
        )
    return found


def calibrated(direction: Direction, curve: ResponseCurve, fit: LinearFit) -> Direction:
    """The direction scaled so that strength 1 changes the attribute by one unit; where it lessened it, turned round."""
    ends = sorted(end * fit.slope for end in fit.span)
    calibration = Calibration(
        curve.attribute, fit.slope, max(0.0, fit.r2), len(curve.scores), (ends[0], ends[1])
    )
    tensor = direction.tensor / fit.slope
    return replace(direction, tensor=tensor, unit=curve.unit_name, calibration=calibration)


def _spans(strengths: Tensor) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of all spans of three strengths or more, 0 among them."""
    zero = int((strengths == 0).nonzero())
    for first in range(zero + 1):
        for last in range(max(zero + 1, first + 3), len(strengths) + 1):
            yield first, last


def _slope(strengths: Tensor, mean: Tensor) -> float:
    return float((strengths * mean).sum() / strengths.square().sum())


def _fitted(strengths: Tensor, responses: Tensor) -> LinearFit:
    each = (responses * strengths).sum(dim=1) / strengths.square().sum()
    slope = float(each.mean())
    error = float(each.std() / len(each) ** 0.5) if len(each) > 1 else torch.inf
    spread = float((responses - responses.mean()).square().sum())
    r2 = 1 - float((responses - slope * strengths).square().sum()) / spread if spread else 0.0
    return LinearFit(slope, (float(strengths[0]), float(strengths[-1])), r2, error)
