"""Plots of losses and of methods: what is drawn where, and what can't be drawn."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chunky_core.errors import InvalidInputError, MissingPackageError
from chunky_core.visualization.curves import loss_curves
from chunky_core.visualization.scatter import method_scatter

INK = 0.35  # how far a colour's channels lie apart, to be told from the grey of axes and text


def coloured(picture: Tensor) -> Tensor:
    """Where a curve or its legend was drawn, [H,W]."""
    return (picture[0].amax(0) - picture[0].amin(0)) > INK


def rows_of_curve(picture: Tensor) -> tuple[list[int], list[float]]:
    """Columns that hold the curve, and its mean row there; the legend at the right is left out."""
    drawn = coloured(picture)
    drawn[:, 3 * drawn.shape[1] // 4 :] = False
    columns = drawn.any(0).nonzero()[:, 0].tolist()
    return columns, [drawn[:, column].nonzero().float().mean().item() for column in columns]


def test_the_picture_has_the_size_and_range_asked_for() -> None:
    picture = loss_curves({"mouth": [1.0, 0.5]}, "a title", width=320, height=200)
    assert picture.shape == (1, 3, 200, 320) and picture.dtype == torch.float32
    assert picture.min() >= -1 and picture.max() == 1
    assert torch.equal(picture, loss_curves({"mouth": [1.0, 0.5]}, "a title", width=320, height=200))


def test_a_geometric_curve_is_straight_on_the_logarithmic_scale_only() -> None:
    curve = {"mouth": [0.9**step for step in range(100)]}
    for scale, bend in (("log", 0.0), ("linear", 1.0)):
        columns, rows = rows_of_curve(loss_curves(curve, scale=scale))
        first, last, middle = rows[5], rows[-5], rows[len(rows) // 2]
        assert len(columns) > 300
        off_line = abs(middle - (first + last) / 2)
        assert off_line < 4 if bend == 0 else off_line > 60, scale


def test_lower_losses_are_drawn_lower() -> None:
    for scale in ("log", "linear"):
        _, rows = rows_of_curve(loss_curves({"a": [1.0, 0.1, 0.01]}, scale=scale))
        assert rows == sorted(rows) and rows[0] + 50 < rows[-1]


def test_values_that_cannot_be_drawn_leave_a_gap() -> None:
    whole = {"mouth": [1 / step for step in range(1, 101)]}
    for bad in (math.nan, math.inf, 0.0, -1.0):
        broken = {"mouth": [*whole["mouth"][:30], *[bad] * 20, *whole["mouth"][50:]]}
        full, _ = rows_of_curve(loss_curves(whole))
        gap, _ = rows_of_curve(loss_curves(broken))
        missing = sorted(set(full) - set(gap))
        share = len(missing) / (full[-1] - full[0])
        assert missing == list(range(missing[0], missing[-1] + 1))
        assert (gap[0], gap[-1]) == (full[0], full[-1]) and share > 0.15, bad


def test_every_segment_has_a_colour_and_a_place_in_the_legend() -> None:
    losses = {f"part {index}": [1.0 + index, 0.5 + index] for index in range(13)}
    legend = coloured(loss_curves(losses))[:, 600:]
    starts = (legend.any(1)[1:] & ~legend.any(1)[:-1]).sum()
    assert starts >= 13


@pytest.mark.parametrize("losses", [{}, {"mouth": []}, {"mouth": [math.nan]}, {"mouth": [0.0]}])
def test_nothing_to_draw_gives_empty_axes(losses: dict[str, list[float]]) -> None:
    picture = loss_curves(losses)
    columns, _ = rows_of_curve(picture)
    assert columns == [] and picture.min() < 0  # but axes and words


@pytest.mark.parametrize("value", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_any_size_of_loss_finds_room(value: float) -> None:
    for scale in ("log", "linear"):
        assert rows_of_curve(loss_curves({"a": [value]}, scale=scale))[0]
        assert rows_of_curve(loss_curves({"a": [value, value]}, scale=scale))[0]
        assert rows_of_curve(loss_curves({"a": [value, 2.0, 1e-9]}, scale=scale))[0]


def test_long_titles_and_names_stay_inside() -> None:
    picture = loss_curves({"long " * 60_000: [1.0, 0.5]}, "word\n" * 200_000)
    edge = torch.ones(480, 800, dtype=torch.bool)
    edge[2:-2, 2:-2] = False
    assert (picture[0, :, edge] == 1).all()


def lines_across(picture: Tensor) -> int:
    """How many horizontal lines of the grid there are, where neither a curve nor a vertical line is."""
    clear = ((picture[0, :, :, 80:110] + 1) * 127.5).round() == 0xDE
    return int(clear.all(0).all(1).sum())


@pytest.mark.parametrize("low", [1e-200, 3e-7, 0.02, 5.0])
@pytest.mark.parametrize("factor", [1.5, 40, 1e9, 1e80])
def test_any_range_of_losses_gets_a_few_lines(low: float, factor: float) -> None:
    curve = {"a": [low, *[math.nan] * 500, low * factor]}
    assert 2 <= lines_across(loss_curves(curve)) <= 16


def test_names_are_drawn_as_they_are() -> None:
    """Not as formulas, and with an underscore at the start."""
    plain, formula, hidden = (loss_curves({name: [1.0, 0.5]}) for name in ("x^2", "$x^2$", "_x^2"))
    inked = [(picture[0, :, :60, 600:] < 0).sum() for picture in (plain, formula, hidden)]
    assert inked[1] > inked[0] and inked[2] > inked[0]


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="the scale is 'cubic'; expected one of log, linear"):
        loss_curves({}, scale="cubic")
    with pytest.raises(InvalidInputError, match="the plot is 800x20"):
        loss_curves({}, height=20)


def test_a_missing_matplotlib_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chunky_core.checks.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="plots need the package matplotlib"):
        loss_curves({"mouth": [1.0, 0.5]})


def test_scattered_points_lie_where_their_distances_are() -> None:
    """On the line of equality; below it by the factor; every method in its own colour."""
    points = {"same": [(1.0, 1.0)], "": [(1.0, 0.1), (10.0, 1.0)]}
    picture = method_scatter(points, side=400)
    drawn = coloured(picture)
    legend = drawn[:120, :120]
    assert (legend.any(1).int().diff() == 1).sum() == len(points)  # a marker for each
    legend[:] = False
    left, bottom, wide, high = 0.16 * 400, 0.14 * 400, 0.80 * 400, 0.78 * 400
    span = math.log(10 * 1.25) - math.log(0.1 / 1.25)
    for x, y in (pair for pairs in points.values() for pair in pairs):
        column, row = (
            round(start + size * (math.log(value) - math.log(0.1 / 1.25)) / span)
            for value, start, size in ((x, left, wide), (y, bottom, high))
        )
        assert drawn[400 - row, column], (x, y)
        drawn[400 - row - 8 : 400 - row + 8, column - 8 : column + 8] = False
    assert not drawn.any()


@pytest.mark.parametrize("points", [{}, {"a": []}, {"a": [(1.0, 0.0)]}, {"a": [(1.0, math.inf)]}])
def test_points_without_a_place_are_refused(points: dict[str, list[tuple[float, float]]]) -> None:
    with pytest.raises(InvalidInputError, match="numbers above 0"):
        method_scatter(points)
