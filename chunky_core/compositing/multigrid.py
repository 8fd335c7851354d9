"""Poisson's equation on a set of pixels of any shape: conjugate gradients preconditioned by multigrid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ChunkyError

# Sweeps of Jacobi's method with Chebyshev's dampings for eigenvalues in 0.3..2. Equally many sweeps on either side
# of the coarse correction make the preconditioner symmetric; their order does not matter.
_DAMPINGS = (0.530, 0.870, 2.415)
_COARSEST, _COARSEST_DAMPINGS = 4, (0.8,) * 16
_MAX_STEPS = 60  # about 5 are needed at 1024 x 1024


@dataclass(frozen=True)
class Grid:
    """A graph Laplacian: diagonal [1,1,h,w] minus the weights of the edges to the right and downward.

    diagonal is 0 at pixels that are no unknowns. spread: the share of a coarse correction that a pixel takes,
    which makes up for coarse neighbours that lie beyond the image. screen: what of the diagonal holds an unknown at 0.
    """

    right: Tensor
    down: Tensor
    diagonal: Tensor
    spread: Tensor
    screen: Tensor | None = None

    def residual(self, x: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
        """b - L x for x, b [B,1,h,w], written into `out` if given."""
        y = torch.addcmul(b, self.diagonal, x, value=-1, out=out)
        y[..., :-1].addcmul_(self.right, x[..., 1:])
        y[..., 1:].addcmul_(self.right, x[..., :-1])
        y[..., :-1, :].addcmul_(self.down, x[..., 1:, :])
        y[..., 1:, :].addcmul_(self.down, x[..., :-1, :])
        return y

    @cached_property
    def step(self) -> Tensor:
        """The factors that Jacobi's method multiplies a residual with."""
        return torch.where(self.diagonal > 0, 1 / self.diagonal, 0)

    def smooth_(self, x: Tensor, b: Tensor, dampings: tuple[float, ...]) -> Tensor:
        """Damped Jacobi toward the solution of L x = b, one sweep for each damping. Changes x and returns it."""
        scratch = torch.empty_like(x)  # fresh memory for every sweep would cost as much as the sweep
        for damping in dampings:
            x.addcmul_(self.step, self.residual(x, b, scratch), value=damping)
        return x


class FinestGrid(Grid):
    """The grid of the pixels themselves, where all weights are 1 and x is 0 at pixels that are no unknowns."""

    def residual(self, x: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
        """b - L x at the unknowns, without reading the weights; elsewhere numbers without a meaning."""
        y = torch.addcmul(b, self.diagonal, x, value=-1, out=out)
        y[..., :-1] += x[..., 1:]
        y[..., 1:] += x[..., :-1]
        y[..., :-1, :] += x[..., 1:, :]
        y[..., 1:, :] += x[..., :-1, :]
        return y


def solve_poisson(
    unknown: Tensor, right_hand_side: Tensor, tolerance: float = 1e-3, *, screen: Tensor | None = None
) -> Tensor:
    """x with w_p x_p + sum_q (x_p - x_q) = b_p over the 2..4 neighbours q of every unknown p, and x = 0 elsewhere.

    unknown: bool [h,w]; at least one pixel must be known, or held by the screen. right_hand_side: b, float32 [B,h,w],
    B problems solved at once. screen: w >= 0, float32 [h,w], none = 0; with it the equation is the screened one (Bhat
    et al. 2008). tolerance: of x, in units of max(1, |b|): the last step is the first that changes no pixel by more,
    and it leaves errors of about a tenth of that. Returns [B,h,w]. Raises ChunkyError if it does not converge.
    """
    grids = _hierarchy(_finest(unknown, screen))
    (height, width), (padded_height, padded_width) = unknown.shape, grids[0].diagonal.shape[-2:]
    padding = (0, padded_width - width, 0, padded_height - height)
    residual = F.pad(torch.where(unknown, right_hand_side, 0)[:, None], padding)
    x, direction = torch.zeros_like(residual), torch.zeros_like(residual)
    old_size = residual.new_ones(len(residual), 1, 1, 1)
    goal = tolerance * residual.abs().amax().clamp(min=1)
    for _ in range(_MAX_STEPS):
        guess = _v_cycle(grids, residual)
        done = bool(guess.abs().amax() <= goal)
        size = _dot(residual, guess)
        direction = torch.addcmul(guess, _ratio(size, old_size), direction)
        image = grids[0].residual(direction, torch.zeros_like(x))
        step = _ratio(size, -_dot(direction, image))
        x.addcmul_(step, direction)
        if done:
            return x[:, 0, :height, :width]
        residual.addcmul_(step, image)
        old_size = size
    raise ChunkyError(
        f"the Poisson solver did not reach {tolerance:g} in {_MAX_STEPS} steps; check the picture's values"
    )


def _finest(unknown: Tensor, screen: Tensor | None) -> Grid:
    free = unknown.float()[None, None]
    neighbors = torch.full_like(free, 4)
    for border in (0, -1):
        neighbors[..., border, :] -= 1
        neighbors[..., border] -= 1
    right, down = free[..., 1:] * free[..., :-1], free[..., 1:, :] * free[..., :-1, :]
    if screen is None:
        return FinestGrid(right, down, neighbors * free, free)
    held = screen.to(free) * free
    return FinestGrid(right, down, neighbors * free + held, free, held)


def _hierarchy(grid: Grid) -> list[Grid]:
    """Ever coarser versions of a grid, each of half the size, down to a few pixels."""
    grids, inside = [], torch.ones_like(grid.diagonal)
    while max(grid.diagonal.shape[-2:]) > _COARSEST:
        odd_rows, odd_columns = (size % 2 for size in grid.diagonal.shape[-2:])
        padding = (0, odd_columns, 0, odd_rows)
        right, down, diagonal, inside = (
            F.pad(t, padding) for t in (grid.right, grid.down, grid.diagonal, inside)
        )
        screen = None if grid.screen is None else F.pad(grid.screen, padding)
        coarse_inside = F.max_pool2d(inside, 2)
        spread = (diagonal > 0).to(diagonal) / _up(coarse_inside).clamp(min=0.25)
        grids.append(type(grid)(right, down, diagonal, spread, screen))
        grid, inside = _coarser(grids[-1], len(grids)), coarse_inside
    return [*grids, grid]


def _coarser(grid: Grid, level: int) -> Grid:
    """Galerkin's operator for blocks of 2 x 2 equal pixels, with what joins the blocks halved.

    A block's energy counts a jump at its edge where a smooth function has a slope over two pixels, which is
    twice too much; halving the operator makes it the Laplacian of the coarse grid. What ties a block to known
    pixels loses less than half, since they don't move away as the centres of the blocks do: a pixel's centre
    is 1 from the next known one, that of a block of the given level 1/2 + 1/2^(level + 1) of its width. The screen
    has no slope and loses nothing.
    """
    right, down = grid.right, grid.down
    coarse_right = (right[..., ::2, 1::2] + right[..., 1::2, 1::2]) / 2
    coarse_down = (down[..., 1::2, ::2] + down[..., 1::2, 1::2]) / 2
    ties = grid.diagonal - _joined(right, down)
    tied = 4 * F.avg_pool2d(ties if grid.screen is None else ties - grid.screen, 2)
    finer_distance, distance = (1 + 0.5 ** (level - 1)) / 2, (1 + 0.5**level) / 2
    diagonal = _joined(coarse_right, coarse_down) + tied * (finer_distance / distance / 2)
    if grid.screen is None:
        return Grid(coarse_right, coarse_down, diagonal, grid.spread)
    screen = 4 * F.avg_pool2d(grid.screen, 2)
    return Grid(coarse_right, coarse_down, diagonal + screen, grid.spread, screen)


def _joined(right: Tensor, down: Tensor) -> Tensor:
    """The sum of every pixel's edges."""
    return F.pad(right, (0, 1)) + F.pad(right, (1, 0)) + F.pad(down, (0, 0, 0, 1)) + F.pad(down, (0, 0, 1, 0))


def _v_cycle(grids: list[Grid], b: Tensor) -> Tensor:
    """One V-cycle from zero: a symmetric approximation of the inverse applied to b [B,1,h,w]."""
    grid, coarser = grids[0], grids[1:]
    if not coarser:
        return grid.smooth_(torch.zeros_like(b), b, _COARSEST_DAMPINGS)
    height, width = b.shape[-2:]
    b = F.pad(b, (0, grid.diagonal.shape[-1] - width, 0, grid.diagonal.shape[-2] - height))
    x = grid.smooth_(b * (_DAMPINGS[0] * grid.step), b, _DAMPINGS[1:])  # the first sweep, from zero
    correction = _v_cycle(coarser, _down(grid.residual(x, b).mul_(grid.spread)))
    x = grid.smooth_(x.addcmul_(grid.spread, _up(correction)), b, _DAMPINGS)
    return x[..., :height, :width]


def _up(x: Tensor) -> Tensor:
    """Bilinear interpolation to twice the size, zero beyond the grid. Convolutions were 20 times slower."""
    return _up_along(_up_along(x, 3), 2)


def _up_along(x: Tensor, axis: int) -> Tensor:
    count = x.shape[axis] - 1
    result = torch.stack([0.75 * x] * 2, dim=axis + 1)
    even, odd = result.unbind(axis + 1)
    even.narrow(axis, 1, count).add_(x.narrow(axis, 0, count), alpha=0.25)
    odd.narrow(axis, 0, count).add_(x.narrow(axis, 1, count), alpha=0.25)
    return result.flatten(axis, axis + 1)


def _down(x: Tensor) -> Tensor:
    """The transpose of `_up`."""
    return _down_along(_down_along(x, 2), 3)


def _down_along(x: Tensor, axis: int) -> Tensor:
    even, odd = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
    result, count = (even + odd).mul_(0.75), even.shape[axis] - 1
    result.narrow(axis, 0, count).add_(even.narrow(axis, 1, count), alpha=0.25)
    result.narrow(axis, 1, count).add_(odd.narrow(axis, 0, count), alpha=0.25)
    return result


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))[:, None, None, None]


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where a problem of the batch is already solved to the last bit."""
    return torch.where(b == 0, 0, a / b)
