"""Poisson's equation on a set of pixels of any shape: conjugate gradients preconditioned by multigrid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ChunkyError

_DAMPING = 0.8  # of Jacobi's method, near the best for the 5-point Laplacian
_SWEEPS = 3  # on either side of the coarse correction; equally many, so that the preconditioner is symmetric
_COARSEST, _COARSEST_SWEEPS = 4, 16
_MAX_STEPS = 100  # about 12 are needed at 1024 x 1024

Edges = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Grid:
    """A graph Laplacian: diagonal [1,1,h,w] minus the weights of the edges to the right and downward.

    diagonal is 0 at pixels that are no unknowns. spread: the share of a coarse correction that a pixel takes,
    which makes up for coarse neighbours that lie beyond the image.
    """

    right: Tensor
    down: Tensor
    diagonal: Tensor
    spread: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """The Laplacian of x [B,1,h,w]."""
        y = self.diagonal * x
        _add_neighbours(y, x, (-self.right, -self.right, -self.down, -self.down))
        return y

    @cached_property
    def step(self) -> Tensor:
        """The factors that Jacobi's method multiplies a residual with."""
        return torch.where(self.diagonal > 0, _DAMPING / self.diagonal, 0)

    @cached_property
    def _steps_of_edges(self) -> Edges:
        step, right, down = self.step, self.right, self.down
        return (
            step[..., :-1] * right,
            step[..., 1:] * right,
            step[..., :-1, :] * down,
            step[..., 1:, :] * down,
        )

    def smooth(self, x: Tensor, b: Tensor, sweeps: int) -> Tensor:
        """`sweeps` sweeps of damped Jacobi, x + step (b - L x), toward the solution of L x = b."""
        constant = self.step * b
        for _ in range(sweeps):
            y = torch.add(constant, x, alpha=1 - _DAMPING)
            _add_neighbours(y, x, self._steps_of_edges)
            x = y
        return x


def _add_neighbours(y: Tensor, x: Tensor, weights: Edges) -> None:
    """y += weights * neighbours of x, for the neighbours on the right, on the left, below and above."""
    of_right, of_left, of_below, of_above = weights
    y[..., :-1].addcmul_(of_right, x[..., 1:])
    y[..., 1:].addcmul_(of_left, x[..., :-1])
    y[..., :-1, :].addcmul_(of_below, x[..., 1:, :])
    y[..., 1:, :].addcmul_(of_above, x[..., :-1, :])


def solve_poisson(unknown: Tensor, right_hand_side: Tensor, tolerance: float = 1e-6) -> Tensor:
    """x with sum_q (x_p - x_q) = b_p over the 2..4 neighbours q of every unknown p, and x = 0 elsewhere.

    unknown: bool [h,w]; at least one pixel must be known. right_hand_side: b, [B,h,w], B problems solved at
    once. tolerance: of the residual's norm, relative to that of b; 1e-6 leaves errors of about 1e-5 of the
    largest value. Returns [B,h,w]. Raises ChunkyError if it does not converge.
    """
    exact = _finest(unknown, right_hand_side.dtype)
    grids = _hierarchy(_finest(unknown, torch.float32))
    residual = torch.where(unknown, right_hand_side, 0)[:, None]
    x, direction = torch.zeros_like(residual), torch.zeros_like(residual)
    old_size = residual.new_ones(len(residual), 1, 1, 1)
    goal = residual.flatten(1).norm(dim=1) * tolerance
    for _ in range(_MAX_STEPS):
        if bool((residual.flatten(1).norm(dim=1) <= goal).all()):
            return x[:, 0]
        guess = _v_cycle(grids, residual.float()).to(
            residual
        )  # approximate by nature, so single precision serves
        size = _dot(residual, guess)
        direction = guess + _ratio(size, old_size) * direction
        image = exact.apply(direction)
        step = _ratio(size, _dot(direction, image))
        x, residual, old_size = x + step * direction, residual - step * image, size
    raise ChunkyError(
        f"the Poisson solver did not reach {tolerance:g} in {_MAX_STEPS} steps; check the picture's values"
    )


def _finest(unknown: Tensor, dtype: torch.dtype) -> Grid:
    free = unknown.to(dtype)[None, None]
    neighbours = torch.full_like(free, 4)
    for border in (0, -1):
        neighbours[..., border, :] -= 1
        neighbours[..., border] -= 1
    return Grid(free[..., 1:] * free[..., :-1], free[..., 1:, :] * free[..., :-1, :], neighbours * free, free)


def _hierarchy(grid: Grid) -> list[Grid]:
    """Ever coarser versions of a grid, each of half the size, down to a few pixels."""
    grids, inside = [], torch.ones_like(grid.diagonal)
    while max(grid.diagonal.shape[-2:]) > _COARSEST:
        odd_rows, odd_columns = (size % 2 for size in grid.diagonal.shape[-2:])
        padding = (0, odd_columns, 0, odd_rows)
        right, down, diagonal, inside = (
            F.pad(t, padding) for t in (grid.right, grid.down, grid.diagonal, inside)
        )
        coarse_inside = F.max_pool2d(inside, 2)
        spread = (diagonal > 0).to(diagonal) / _up(coarse_inside).clamp(min=0.25)
        grids.append(Grid(right, down, diagonal, spread))
        grid, inside = _coarser(grids[-1]), coarse_inside
    return [*grids, grid]


def _coarser(grid: Grid) -> Grid:
    """Galerkin's operator for blocks of 2 x 2 equal pixels, halved.

    A block's energy counts a jump at its edge where a smooth function has a slope over two pixels, which is
    twice too much; halving the operator makes it the Laplacian of the coarse grid.
    """
    right, down = grid.right, grid.down
    within = (right[..., ::2, ::2] + right[..., 1::2, ::2]) + (down[..., ::2, ::2] + down[..., ::2, 1::2])
    diagonal = 4 * F.avg_pool2d(grid.diagonal, 2) - 2 * within
    coarse_right = right[..., ::2, 1::2] + right[..., 1::2, 1::2]
    coarse_down = down[..., 1::2, ::2] + down[..., 1::2, 1::2]
    return Grid(coarse_right / 2, coarse_down / 2, diagonal / 2, grid.spread)


def _v_cycle(grids: list[Grid], b: Tensor) -> Tensor:
    """One V-cycle from zero: a symmetric approximation of the inverse applied to b [B,1,h,w]."""
    grid, coarser = grids[0], grids[1:]
    if not coarser:
        return grid.smooth(grid.step * b, b, _COARSEST_SWEEPS)
    height, width = b.shape[-2:]
    b = F.pad(b, (0, grid.diagonal.shape[-1] - width, 0, grid.diagonal.shape[-2] - height))
    x = grid.smooth(grid.step * b, b, _SWEEPS - 1)  # the first sweep, from zero
    correction = _v_cycle(coarser, _down(grid.spread * (b - grid.apply(x))))
    x = grid.smooth(torch.addcmul(x, grid.spread, _up(correction)), b, _SWEEPS)
    return x[..., :height, :width]


def _up(x: Tensor) -> Tensor:
    """Bilinear interpolation to twice the size, zero beyond the grid. Convolutions were 20 times slower."""
    return _up_along(_up_along(x, 3), 2)


def _up_along(x: Tensor, axis: int) -> Tensor:
    count = x.shape[axis] - 1
    even, odd = 0.75 * x, 0.75 * x
    even.narrow(axis, 1, count).add_(x.narrow(axis, 0, count), alpha=0.25)
    odd.narrow(axis, 0, count).add_(x.narrow(axis, 1, count), alpha=0.25)
    return torch.stack([even, odd], dim=axis + 1).flatten(axis, axis + 1)


def _down(x: Tensor) -> Tensor:
    """The transpose of `_up`."""
    return _down_along(_down_along(x, 2), 3)


def _down_along(x: Tensor, axis: int) -> Tensor:
    even, odd = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
    result, count = 0.75 * (even + odd), even.shape[axis] - 1
    result.narrow(axis, 0, count).add_(even.narrow(axis, 1, count), alpha=0.25)
    result.narrow(axis, 1, count).add_(odd.narrow(axis, 0, count), alpha=0.25)
    return result


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(1, 2, 3), keepdim=True)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where a problem of the batch is already solved to the last bit."""
    return torch.where(b == 0, 0, a / b)
