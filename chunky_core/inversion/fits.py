"""How near each segment's rendering came to the photo, against where its run set out from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from .record import Inversion

ENOUGH_STEPS = 30  # a shorter run says nothing about the generator
_NEAR = 0.8  # an end above this fraction of the start is near it
_MOST = 0.5  # share of a photo below which segments say nothing about the generator
_VISIBLE = 16.0  # grey levels; an end below shows the photo, wherever the run set out from
_ADVICE = (
    "more steps, a lower learning rate, a warm-up, or an inversion of the whole photo as start may find it; a mask "
    "that shows something else than the generator draws never will"
)
_OUT_OF_DOMAIN = (
    "nothing of the photo's detail was met: this generator probably doesn't know such pictures; expected is a photo "
    "like those it was trained on, cut out as they were (a face: aligned)"
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
    Both are drawn at the photo's size. detail: of a copy of the photo of 8x8 pixels; 0 = there is none, or it wasn't
    measured. Raises InvalidInputError for errors that are negative or not finite.
    """

    start: float
    end: float
    detail: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= error < float("inf") for error in (self.start, self.end, self.detail)):
            raise InvalidInputError(
                f"the errors of a fit are {self.start}, {self.end} and {self.detail}; expected 0 or more"
            )

    @property
    def met(self) -> float | None:
        """The share of the photo's detail that the result shows, in [0,1]: 1 - (end / detail)^2; 0 = no more than 8x8
        pixels show. None where there is no detail to be met.
        """
        return max(0.0, 1.0 - (self.end / self.detail) ** 2) if self.detail else None

    @property
    def is_poor(self) -> bool:
        """Whether the end is near the start, and so far from the photo that it shows."""
        return self.end > max(_NEAR * self.start, _VISIBLE)


def poor_segments(fits: Mapping[str, SegmentFit]) -> tuple[str, ...]:
    """The names of those whose end is near their start."""
    return tuple(name for name, fit in fits.items() if fit.is_poor)


def is_out_of_domain(fits: Mapping[str, SegmentFit], areas: Mapping[str, float]) -> bool:
    """Whether segments that cover at least half of a photo show none of its detail together, and visibly so.

    areas: of all segments by name, as shares of the photo.
    """
    known = {name: fit for name, fit in fits.items() if fit.detail}
    end, detail = (
        sum(areas[name] * getattr(fit, error) ** 2 for name, fit in known.items())
        for error in ("end", "detail")
    )
    covered = sum(areas[name] for name in known)
    return covered >= _MOST and end >= max(detail, covered * _VISIBLE**2)


def fit_warnings(inversion: Inversion) -> list[str]:
    """What the fits say and what to do: a text where the generator seems not to know such pictures, and one that names
    the segments that are hardly nearer than at the start.
    """
    warnings = [_OUT_OF_DOMAIN] if inversion.is_out_of_domain else []
    if inversion.poor_fits:
        advice = _TUNING_ADVICE if inversion.state is not None and inversion.state.is_tuning else _ADVICE
        warnings.append(f"hardly better than at the start: {', '.join(inversion.poor_fits)}; {advice}")
    return warnings


def fit_report(inversion: Inversion) -> str:
    """A line per segment with its errors before and after and the share of its detail that was met, then what
    `fit_warnings` says.

    "" where no fit was measured.
    """
    width = max(map(len, inversion.fits), default=0)
    lines = [
        f"{name:{width}}  {fit.start:5.1f} -> {fit.end:5.1f} grey levels{_met(fit)}"
        for name, fit in inversion.fits.items()
    ]
    return "\n".join([*lines, *fit_warnings(inversion)])


def _met(fit: SegmentFit) -> str:
    return "" if fit.met is None else f", {fit.met:4.0%} of its detail"
