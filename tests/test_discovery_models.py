"""The models behind found directions, each against the same thing computed another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chunky_core.editing.discovery.regression import logistic, ridge
from chunky_core.editing.discovery.running_pca import RunningPCA
from chunky_core.editing.discovery.whitening import Whitening, pattern, whitened
from chunky_core.generator.spaces import LatentCode
from chunky_core.generator.statistics import GeneratorStatistics

pytestmark = pytest.mark.float64


def rows(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).cpu()


def test_running_pca_is_exact_as_long_as_it_keeps_all() -> None:
    data = rows(40, 200) * torch.linspace(3, 0.1, 200, dtype=torch.float64).cpu() + 5
    running = RunningPCA(64)
    for batch in data.split(7):
        running.add(batch)
    turned, sizes, _ = torch.linalg.svd(data - data.mean(dim=0), full_matrices=False)
    torch.testing.assert_close(running.scores(6).abs(), (turned * sizes)[:, :6].abs(), rtol=1e-6, atol=1e-6)


def test_running_pca_keeps_few_rows_and_still_finds_what_stands_out() -> None:
    strong = rows(600, 5, 1) * torch.tensor([9.0, 7.0, 5.0, 4.0, 3.0], dtype=torch.float64).cpu()
    data = strong @ rows(5, 300, 2) + 0.3 * rows(600, 300, 3)
    running = RunningPCA(20)
    for batch in data.split(30):
        running.add(batch)
        assert running._basis is not None and len(running._basis) <= 20
    turned, sizes, _ = torch.linalg.svd(data - data.mean(dim=0), full_matrices=False)
    exact = (turned * sizes)[:, :5]
    overlap = torch.nn.functional.cosine_similarity(running.scores(5), exact, dim=0).abs()
    assert overlap.min() > 0.9999


def test_the_penalty_of_ridge_predicts_samples_left_out_best() -> None:
    inputs = rows(30, 12)
    targets = inputs @ rows(1, 12, 4)[0] + 2 * rows(1, 30, 5)[0]
    found = ridge(inputs, targets)
    errors = {}
    for exponent in np.linspace(-4, 4, 33):
        total = 0.0
        size = np.linalg.svd(inputs - inputs.mean(0), compute_uv=False)
        penalty = 10**exponent * float((size**2).mean())
        for left in range(30):
            others = [index for index in range(30) if index != left]
            x, y = inputs[others], targets[others]
            centered = x - inputs.mean(0)  # the intercept of all, as leverages have it, changes by 1/N alone
            design = torch.cat([centered, torch.ones(29, 1, dtype=torch.float64).cpu()], dim=1)
            punished = torch.diag(torch.tensor([penalty] * 12 + [0.0], dtype=torch.float64).cpu())
            weights = torch.linalg.solve(design.T @ design + punished, design.T @ y)
            guess = (inputs[left] - inputs.mean(0)) @ weights[:-1] + weights[-1]
            total += float((targets[left] - guess) ** 2)
        errors[penalty] = total
    best = min(errors, key=lambda one: errors[one])
    centered = inputs - inputs.mean(0)
    system = centered.T @ centered + best * torch.eye(12, dtype=torch.float64).cpu()
    torch.testing.assert_close(found, torch.linalg.solve(system, centered.T @ (targets - targets.mean())))


@pytest.mark.parametrize(("count", "width"), [(40, 6), (8, 30)])
def test_logistic_regression_against_scipy(count: int, width: int) -> None:
    from scipy.optimize import minimize

    inputs = rows(count, width)
    labels = (inputs[:, 0] + 0.3 * rows(1, count, 6)[0] > 0).double()
    centered = (inputs - inputs.mean(0)).numpy()
    signs = 2 * labels.numpy() - 1

    def loss(weights: np.ndarray) -> float:
        margins = signs * (centered @ weights[:-1] + weights[-1])
        return float(np.logaddexp(0, -margins).sum() + 0.5 * (weights[:-1] ** 2).sum())

    expected = minimize(loss, np.zeros(width + 1), method="BFGS", options={"gtol": 1e-8}).x[:-1]
    np.testing.assert_allclose(logistic(inputs, labels).numpy(), expected, atol=2e-5)


def statistics(width: int = 4) -> GeneratorStatistics:
    root = rows(width, width, 7)
    return GeneratorStatistics(
        rows(1, width, 8)[0].float(),
        (root @ root.T).float(),
        rows(1, 6, 9)[0].float(),
        rows(1, 6, 10)[0].abs().float(),
    )


@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_a_pattern_is_how_codes_go_with_the_score(space: str) -> None:
    """cov(code, score) / var(score) over codes that are spread as the statistics say."""
    known = statistics()
    width = {"w": 4, "w+": 8, "s": 6}[space]
    white = rows(4000, width, 11)
    white = torch.linalg.svd(white - white.mean(dim=0), full_matrices=False)[0] * 4000**0.5  # exactly white
    normal = rows(1, width, 12)[0]
    normal = normal / normal.norm()
    if space == "s":
        codes = known.style_mean.double() + white * known.style_std.double()
    else:
        factor = Whitening.of_covariance(known.w_covariance).factor
        codes = known.w_mean.double() + white.unflatten(1, (-1, 4)) @ factor.T
        codes = codes if space == "w+" else codes[:, 0]
    code = LatentCode(space, codes)
    torch.testing.assert_close(whitened(code, known), white, rtol=1e-4, atol=1e-3)
    scores = white @ normal
    together = torch.einsum("n,n...->...", scores, codes - codes.mean(dim=0)) / len(scores)
    torch.testing.assert_close(pattern(normal, space, known), together, rtol=1e-4, atol=1e-4)


def test_whitening_leaves_out_what_never_varies() -> None:
    flat = torch.diag(torch.tensor([4.0, 1.0, 0.0]))
    made = Whitening.of_covariance(flat)
    assert made.factor.shape == (3, 2)
    torch.testing.assert_close(made.factor @ made.factor.T, flat.double())
    torch.testing.assert_close(made.inverse @ made.factor, torch.eye(2, dtype=torch.float64))
