"""How near each segment's rendering came to the photo, against where its run set out from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from .record import Inversion

_NEAR = 0.8  # an end above this fraction of the start is near it
_VISIBLE = 16.0  # grey levels; an end below shows the photo, wherever the run set out from
_ADVICE = (
    "more steps, a lower learning rate, a warm-up, or an inversion of the whole photo as start may find it; a mask "
    "that shows something else than the generator draws never will"
)
_TUNING_ADVICE = (
    "more steps, a larger size, a higher learning rate, or a longer projection before the tuning may "
    "bring it near"
)


@dataclass(frozen=True)
class SegmentFit:
    """Root mean square errors within a segment's own mask, over pixels and channels, in grey levels (0 to 255,
    and more where a rendering leaves [-1,1]).

    start: of the code that the run set out from, the mean code or that of an earlier inversion; end: of the result.
    Both are drawn at the photo's size. Raises InvalidInputError for errors that are negative or not finite.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        if not (0 <= self.start < float("inf") and 0 <= self.end < float("inf")):
            raise InvalidInputError(
                f"the errors of a fit are {self.start} and {self.end}; expected 0 or more"
            )

    @property
    def is_poor(self) -> bool:
        """Whether the end is near the start, and so far from the photo that it shows."""
        return self.end > max(_NEAR * self.start, _VISIBLE)


def poor_segments(fits: Mapping[str, SegmentFit]) -> tuple[str, ...]:
    """The names of those whose end is near their start."""
    return tuple(name for name, fit in fits.items() if fit.is_poor)


def fit_report(inversion: Inversion) -> str:
    """A line per segment with its errors before and after, and a last one that names the poor ones and what to do.

    "" where no fit was measured.
    """
    width = max(map(len, inversion.fits), default=0)
    lines = [
        f"{name:{width}}  {fit.start:5.1f} -> {fit.end:5.1f} grey levels"
        for name, fit in inversion.fits.items()
    ]
    if inversion.poor_fits:
        advice = _TUNING_ADVICE if inversion.state is not None and inversion.state.is_tuning else _ADVICE
        lines.append(f"hardly better than at the start: {', '.join(inversion.poor_fits)}; {advice}")
    return "\n".join(lines)
