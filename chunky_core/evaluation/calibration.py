"""Calibrated strength (P2 = Subrtova et al. 2022, section 4.2): directions of which strength 1 means the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..callbacks import Callback
from ..checks import MOST_SEED, check_callback, check_type, check_whole, checked_list
from ..compositing.render import render
from ..editing.direction_checks import check_direction
from ..editing.edits import edited_code
from ..editing.response import LinearFit, ResponseCurve, calibrated, checked_strengths, fit_response
from ..editing.scorers import AttributeScorer, attribute_index
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import Direction, LatentCode, synthesis_input
from ..generator.statistics import draw_codes
from ..inversion.record import Edit, Inversion, check_same_generator, kept_layers

UNITS = ("deviation", "score")
STRENGTHS = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
UNIT_SAMPLES = 100  # of the generator, over which an attribute's deviation is measured
_CHUNK_PIXELS = 1 << 18  # output pixels at a time
_Draw = Callable[[float], Iterator[Tensor]]  # pictures of all samples, edited by a strength, in chunks


@dataclass(frozen=True)
class CalibrationConfig:
    """samples: random codes whose pictures are edited, where no inversions are given; seed: of them. strengths: in the
    direction's present unit, up to 100, ascending, on both sides of 0, and 0. unit: what strength 1 is to change the
    attribute by, one standard deviation of its score over the generator's pictures ("deviation"),
    or 1 in the scorer's own unit ("score").
    layers: which of the direction's are to move, () = all; the calibrated direction keeps to them. segments: of
    inversions, those that are edited.
    """

    samples: int = 24
    seed: int = 0
    strengths: tuple[float, ...] = STRENGTHS
    unit: str = UNITS[0]
    layers: tuple[int, ...] = ()
    segments: tuple[str, ...] = ("all",)

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InvalidInputError(f"unit is {self.unit!r}; expected one of {', '.join(UNITS)}")
        check_whole(self.samples, "samples", 2)
        check_whole(self.seed, "seed", 0, MOST_SEED)
        object.__setattr__(self, "strengths", checked_strengths(self.strengths))


@dataclass(frozen=True, eq=False)
class CalibrationResult:
    """direction: calibrated; curve: what was measured, by the direction's former strengths; fit: its linear part."""

    direction: Direction
    curve: ResponseCurve
    fit: LinearFit

    def __str__(self) -> str:
        calibration = self.direction.calibration
        if calibration is None:
            return self.direction.name
        low, high = calibration.span
        return (
            f"{self.direction.name}: strength 1 = {self.direction.unit} (was {1 / self.fit.slope:.3g} of its former "
            f"unit); linear from {low:.2g} to {high:.2g}, R2 {calibration.r2:.2f} over {calibration.samples} pictures"
        )


@torch.no_grad()
def calibrate(
    generator: Generator,
    direction: Direction,
    scorer: AttributeScorer,
    attribute: str,
    *,
    inversions: Sequence[Inversion] = (),
    codes: LatentCode | None = None,
    config: CalibrationConfig | None = None,
    callback: Callback | None = None,
) -> CalibrationResult:
    """The direction scaled so that strength 1 changes an attribute by one unit, with what was measured on the way.

    The pictures of random codes, of `codes`, or the renderings of `inversions`, in which the segments' own codes move,
    are edited by several strengths and scored; a line is fitted to what that adds to the scores (`fit_response`).
    scorer: see `load_scorer`; attribute: one of its names. callback(step, total, image) is called after every few
    pictures. Raises InvalidInputError for an unknown attribute, a direction or inversions of another generator, and
    where the direction hardly changes the attribute.
    """
    config = config or CalibrationConfig()
    index = attribute_index(scorer, attribute)
    check_direction(generator, direction)
    direction = _kept_to(direction, config.layers)
    inversions = checked_list(inversions, "the inversions", Inversion)
    check_type(codes, "codes", LatentCode | None)
    check_callback(callback)
    for inversion in inversions:
        check_same_generator(generator, inversion)
    w = LatentCode("w", draw_codes(generator, max(UNIT_SAMPLES, config.samples), config.seed)[1])
    own = codes or LatentCode("w", w.tensor[: config.samples])
    draw = _inversions(generator, inversions, direction, config.segments) if inversions else None
    draw = draw or _pictures(generator, own, direction)
    chunks, reference = (-(-len(one.tensor) // _at_once(generator)) for one in (own, w))
    total = reference + (len(inversions) or chunks) * len(config.strengths)
    measure = _Measure(scorer, index, total, callback)
    deviation = float(measure(_pictures(generator, w, direction)(0.0)).std())
    scores = torch.stack([measure(draw(strength)) for strength in config.strengths], 1)
    unit, name = (deviation, f"1 deviation of {attribute}")
    if config.unit == "score":
        unit, name = 1.0, f"1 of the score {attribute}"
    curve = ResponseCurve(attribute, torch.tensor(config.strengths), scores, deviation, unit, name)
    fit = fit_response(curve)
    made_for = replace(direction, fingerprint=generator.fingerprint)
    return CalibrationResult(calibrated(made_for, curve, fit), curve, fit)


class _Measure:
    """Scores of one attribute, [N] of all pictures of an iterator, with a report after each chunk."""

    def __init__(self, scorer: AttributeScorer, index: int, total: int, callback: Callback | None) -> None:
        self.scorer, self.index, self.total, self.callback = scorer, index, total, callback
        self.done = 0

    def __call__(self, pictures: Iterator[Tensor]) -> Tensor:
        found = []
        for images in pictures:
            found.append(self.scorer(images)[:, self.index].float().cpu())
            self.done += 1
            if self.callback is not None:
                self.callback(self.done, self.total, images)
        return torch.cat(found)


def _pictures(generator: Generator, codes: LatentCode, direction: Direction) -> _Draw:
    def draw(strength: float) -> Iterator[Tensor]:
        for tensor in codes.tensor.to(generator.device).split(_at_once(generator)):
            code = edited_code(generator, LatentCode(codes.space, tensor), [Edit(direction, strength)])
            yield generator.synthesis(synthesis_input(generator, code)).float()

    return draw


def _inversions(
    generator: Generator, inversions: Sequence[Inversion], direction: Direction, segments: tuple[str, ...]
) -> _Draw:
    def draw(strength: float) -> Iterator[Tensor]:
        for inversion in inversions:
            yield render(generator, inversion.with_edits(Edit(direction, strength, segments)))

    return draw


def _at_once(generator: Generator) -> int:
    return max(1, _CHUNK_PIXELS // generator.img_size.area)


def _kept_to(direction: Direction, layers: tuple[int, ...]) -> Direction:
    """The direction in these layers alone. Raises InvalidInputError where it moves none of them."""
    return replace(direction, layers=kept_layers(direction, layers, "layers"))
