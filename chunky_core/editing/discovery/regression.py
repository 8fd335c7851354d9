"""Linear models of labels and scores, in coordinates in which codes vary alike in all directions."""

from __future__ import annotations

import torch
from torch import Tensor

_PENALTIES = torch.logspace(-4, 4, 33, dtype=torch.float64)  # in mean squares of the singular values
_NEWTON_STEPS = 50
_CONVERGED = 1e-10


def ridge(inputs: Tensor, targets: Tensor) -> Tensor:
    """The weights [D] of the ridge regression of targets [N] on inputs [N,D], both float64; there is an intercept.

    The penalty is that with the least error of every sample predicted from all others (PRESS, Allen 1974).
    """
    turned, sizes, axes = torch.linalg.svd(inputs - inputs.mean(dim=0), full_matrices=False)
    centered = targets - targets.mean()
    along = turned.T @ centered
    errors, weights = [], []
    for penalty in _PENALTIES * sizes.square().mean():
        kept = sizes.square() / (sizes.square() + penalty)
        leverage = turned.square() @ kept + 1 / len(targets)
        residual = (centered - turned @ (kept * along)) / (1 - leverage).clamp(min=1e-6)
        errors.append(residual.square().mean())
        weights.append(axes.T @ (sizes / (sizes.square() + penalty) * along))
    return weights[int(torch.stack(errors).argmin())]


def logistic(inputs: Tensor, labels: Tensor) -> Tensor:
    """The weights [D] of the logistic regression of labels [N] of 0 and 1 on inputs [N,D], both float64.

    A penalty of half the squared length of the weights, the prior N(0, 1) of each, keeps them finite where the labels
    can be told apart without error; the intercept has none. By Newton's method in the span of the inputs.
    """
    turned, sizes, axes = torch.linalg.svd(inputs - inputs.mean(dim=0), full_matrices=False)
    design = torch.cat([turned * sizes, torch.ones(len(labels), 1, dtype=inputs.dtype)], dim=1)
    penalty = torch.ones(design.shape[1], dtype=inputs.dtype)
    penalty[-1] = 1e-6  # a trace, so that labels of one kind have a solution, too
    weights = torch.zeros_like(penalty)
    for _ in range(_NEWTON_STEPS):
        chance = torch.sigmoid(design @ weights)
        slope = design.T @ (chance - labels) + penalty * weights
        curvature = design.T @ (design * (chance * (1 - chance))[:, None]) + penalty.diag()
        step = torch.linalg.solve(curvature, slope)
        weights = weights - step
        if step.norm() <= _CONVERGED * (1 + weights.norm()):
            break
    return axes.T @ weights[:-1]
