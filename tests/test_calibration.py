"""Calibrated strength: the fit finds the linear part, and strength 1 then means one unit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from chunky_core.editing.response import LinearFit, ResponseCurve, calibrated, fit_response
from chunky_core.errors import InvalidInputError
from chunky_core.evaluation.calibration import CalibrationConfig, calibrate
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.inversion import inversion_from_code
from chunky_core.visualization.response import plot_response

STRENGTHS = torch.tensor([-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0])
FEW = CalibrationConfig(samples=6, strengths=(-0.8, -0.4, 0.0, 0.4, 0.8), unit="score")


class Redness:
    """Scores the mean of red over that of green, and of green over blue."""

    names = ("red", "green")

    def __call__(self, images: Tensor) -> Tensor:
        mean = images.mean((2, 3))
        return torch.stack([mean[:, 0] - mean[:, 1], mean[:, 1] - mean[:, 2]], 1)


def curve(responses: Tensor, unit: float = 1.0) -> ResponseCurve:
    """Of three pictures that begin at different scores."""
    scores = torch.tensor([[0.0], [5.0], [-2.0]]) + unit * responses
    return ResponseCurve("smile", STRENGTHS, scores, unit, unit, "1 deviation of smile")


def test_a_line_is_found_whole() -> None:
    fit = fit_response(curve(0.7 * STRENGTHS, unit=2.0))
    assert fit.slope == pytest.approx(0.7) and fit.r2 == pytest.approx(1.0)
    assert fit.span == (-3.0, 3.0)


def test_saturated_ends_are_left_out() -> None:
    fit = fit_response(curve((0.9 * STRENGTHS).clamp(-0.95, 0.95)))
    assert fit.slope == pytest.approx(0.9, rel=0.05) and fit.span == (-1.0, 1.0)


def test_below_a_threshold_nothing_counts() -> None:
    fit = fit_response(curve(0.8 * STRENGTHS.clamp(min=0.0)))
    assert fit.slope == pytest.approx(0.8) and fit.span[1] == 3.0 and fit.span[0] >= -0.5


def test_scatter_lowers_r2_and_not_the_slope() -> None:
    spread = torch.tensor([[0.5], [1.0], [1.5]])
    fit = fit_response(curve(spread * STRENGTHS))
    assert fit.slope == pytest.approx(1.0) and 0.5 < fit.r2 < 0.95
    assert fit.error == pytest.approx(0.5 / 3**0.5)


@pytest.mark.parametrize("size", [0.0, 0.01])
def test_a_flat_response_is_refused(size: float) -> None:
    with pytest.raises(InvalidInputError, match="hardly changes 'smile'"):
        fit_response(curve(size * STRENGTHS))


def test_a_response_that_only_scatters_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="hardly changes"):
        fit_response(curve(torch.tensor([[1.0], [-1.0], [0.1]]) * STRENGTHS))


def test_a_response_out_of_proportion_asks_for_weaker_strengths() -> None:
    """As that of an edit so strong that pictures break up, each in its own way."""
    with pytest.raises(InvalidInputError, match="is no line: .* up to 1 units.*use weaker strengths"):
        fit_response(curve(torch.tensor([[3.0], [-3.0], [1.0]]) * STRENGTHS))


def test_a_direction_is_scaled_and_turned_round() -> None:
    direction = Direction("sad", "w", torch.tensor([2.0, -4.0]))
    found = calibrated(direction, curve(-0.5 * STRENGTHS), LinearFit(-0.5, (-2.0, 3.0), 0.9, 0.01))
    assert found.tensor.tolist() == [-4.0, 8.0] and found.unit == "1 deviation of smile"
    assert found.calibration is not None and found.calibration.span == (-1.5, 1.0)
    assert found.calibration.response == -0.5 and found.calibration.samples == 3


@pytest.mark.parametrize("strengths", [[0.0, 1.0], [1.0, 2.0, 3.0], [0.0, 2.0, 1.0], [0.0, 1.0, 1.0]])
def test_strengths_that_no_curve_can_have(strengths: list[float]) -> None:
    with pytest.raises(InvalidInputError, match="three or more, ascending, 0 among them"):
        ResponseCurve("a", torch.tensor(strengths), torch.zeros(2, len(strengths)), 1.0, 1.0, "")


def near(generator: Generator, count: int) -> Tensor:
    """Codes near the mean."""
    rng = torch.Generator().manual_seed(3)
    spread = torch.randn(count, generator.w_dim, generator=rng).to(generator.w_avg)
    return generator.w_avg + 0.1 * spread


def red_direction(generator: Generator) -> Direction:
    """Up the slope of redness, so that it surely changes it."""
    w = generator.w_avg[None].clone().requires_grad_()
    picture = generator.synthesis(w[:, None].expand(-1, generator.num_ws, -1))
    (slope,) = torch.autograd.grad(Redness()(picture)[:, 0].sum(), w)
    return Direction("red", "w", slope[0] / slope.norm())


@pytest.mark.parametrize("layers", [(), (0, 1, 2)])
def test_strength_1_of_a_calibrated_direction_is_one_unit(generator: Generator, layers: tuple) -> None:
    codes = LatentCode("w", near(generator, 6))
    config = replace(FEW, layers=layers)
    first = calibrate(generator, red_direction(generator), Redness(), "red", codes=codes, config=config)
    small = replace(config, strengths=tuple(s * first.fit.slope for s in config.strengths))
    again = calibrate(generator, first.direction, Redness(), "red", codes=codes, config=small)
    assert again.fit.slope == pytest.approx(1.0, abs=1e-3)
    assert first.direction.layers == layers and first.direction.unit == "1 of the score red"


def test_a_deviation_is_that_of_the_generators_own_pictures(generator: Generator) -> None:
    config = replace(FEW, unit="deviation", samples=20)
    seen: list[int] = []
    found = calibrate(
        generator, red_direction(generator), Redness(), "red", config=config,
        callback=lambda step, total, image: seen.append(total),
    )  # fmt: skip
    score = calibrate(
        generator, red_direction(generator), Redness(), "red", config=replace(config, unit="score")
    )
    assert found.fit.slope * found.curve.unit == pytest.approx(score.fit.slope, rel=1e-4)
    assert found.curve.scores[:, 2].std() == pytest.approx(found.curve.unit, rel=0.6)
    assert len(set(seen)) == 1 and len(seen) == seen[0]


def test_inversions_answer_with_their_own_codes(generator: Generator) -> None:
    codes = LatentCode("w", near(generator, 2))
    records = [inversion_from_code(generator, LatentCode("w", one[None])) for one in codes.tensor]
    direction = red_direction(generator)
    direct = calibrate(generator, direction, Redness(), "red", codes=codes, config=FEW)
    found = calibrate(generator, direction, Redness(), "red", inversions=records, config=FEW)
    assert torch.allclose(found.curve.scores, direct.curve.scores, atol=1e-5)


def test_what_does_not_fit_is_refused(generator: Generator) -> None:
    direction = red_direction(generator)
    with pytest.raises(InvalidInputError, match="no attribute 'blue'; there are red, green"):
        calibrate(generator, direction, Redness(), "blue", config=FEW)
    with pytest.raises(InvalidInputError, match="use directions made for it"):
        calibrate(generator, Direction("d", "w", torch.ones(3)), Redness(), "red", config=FEW)
    kept = replace(direction, layers=(0, 1))
    with pytest.raises(InvalidInputError, match="of which it moves none"):
        calibrate(generator, kept, Redness(), "red", config=replace(FEW, layers=(3,)))


def test_the_plot_shows_the_span(generator: Generator) -> None:
    found = curve((0.9 * STRENGTHS).clamp(-0.95, 0.95))
    image = plot_response(found, fit_response(found), "smile")
    assert image.shape == (1, 3, 480, 640) and -1 <= image.min() < image.max() <= 1
    wide = plot_response(found, LinearFit(0.9, (-3.0, 3.0), 1.0, 0.0), "smile")
    assert not torch.equal(image, wide)
