"""The learning-rate schedule against the formula of Karras et al. 2020."""

from __future__ import annotations

import math

import pytest

from chunky_core.inversion.schedule import learning_rate_factor


@pytest.mark.parametrize(
    ("progress", "factor"),
    [(0.0, 0.0), (0.025, 0.5), (0.05, 1.0), (0.4, 1.0), (0.75, 1.0), (0.875, 0.5), (1.0, 0.0)],
)
def test_key_points(progress: float, factor: float) -> None:
    assert learning_rate_factor(progress) == pytest.approx(factor, abs=1e-12)


def test_follows_the_formula_everywhere() -> None:
    for step in range(1000):
        t = step / 1000
        formula = min(1, t / 0.05) * 0.5 * (1 - math.cos(math.pi * min(1, (1 - t) / 0.25)))
        assert learning_rate_factor(t) == pytest.approx(formula, abs=1e-12)


def test_never_rises_after_the_end() -> None:
    assert [learning_rate_factor(1.0 + extra) for extra in (0.0, 0.1, 0.25, 0.5, 3.0)] == [0.0] * 5


def test_never_rises_once_it_falls() -> None:
    factors = [learning_rate_factor(0.05 + step / 500) for step in range(700)]
    assert all(later <= earlier for earlier, later in zip(factors, factors[1:], strict=False))
