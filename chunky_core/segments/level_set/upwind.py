"""A boundary in motion: upwind differences in a narrow band of pixels around it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .narrow_band import (
    BAND_HALF_WIDTH,
    InterfaceElements,
    find_interface,
    mask_interface,
    narrow_band_distance,
    neighbor_indices,
)

LINE = tuple((0, step) for step in (-2, -1, 1, 2)) + tuple((step, 0) for step in (-2, -1, 1, 2))
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
COURANT = 0.8  # share of the longest stable step, 1 / (sqrt(2) F + 2 b), that is taken (CFL)
TRAVEL_PER_BAND = BAND_HALF_WIDTH - 2  # pixels that it may move in one band, so that its stencil stays in it


class LevelSet:
    """The zero level of phi in motion toward phi < 0: phi_t = F |grad phi| + b kappa |grad phi|.

    level: [H,W] in -0.5..0.5, > 0 behind the interface; speed: F >= 0, [H,W]; curvature: b >= 0 in pixels;
    gate: [H,W] factor of the curvature term, or none. `phi` and `first` are the present and the first signed
    distances [H*W], cut to +-BAND_HALF_WIDTH.
    """

    def __init__(self, level: Tensor, speed: Tensor, curvature: float, gate: Tensor | None) -> None:
        self._size = (level.shape[0], level.shape[1])
        self._speed, self._curvature = speed.flatten(), curvature
        self._fastest = max(self._speed.max().item(), 1e-6)
        self._gate = None if gate is None else gate.flatten()
        self._offsets = LINE + (CORNERS if curvature else ())
        self.phi = level.flatten()
        self._reinitialize(mask_interface(level))
        self.first = self.phi.clone()

    def run(self, distance: float) -> Iterator[float]:
        """Moves on until an interface with F = 1 has come `distance` pixels far; yields how far, band by band."""
        steps = math.ceil(distance * (math.sqrt(2) * self._fastest + 2 * self._curvature) / COURANT)
        time = distance / steps
        per_band = max(1, int(TRAVEL_PER_BAND / (time * (self._fastest + self._curvature))))
        for first in range(0, steps, per_band):
            if not len(self._band):
                return  # nothing is left
            last = min(first + per_band, steps)
            for _ in range(first, last):
                self._step(time)
            self._reinitialize(find_interface(self.phi, self._band, self._size))
            yield last * time

    def _reinitialize(self, elements: InterfaceElements) -> None:
        """Makes phi a signed distance again, and finds the pixels near the interface."""
        self.phi, self._band = narrow_band_distance(self.phi, elements, self._size)
        self._around = neighbor_indices(self._band, self._size, self._offsets)
        self._band_speed = self._speed[self._band]

    def _step(self, time: float) -> None:
        """Heun's method, which keeps maxima (Shu and Osher 1988)."""
        start = self.phi.index_select(0, self._band)
        first = self._rate(start)
        self.phi[self._band] = start + time * first
        second = self._rate(start + time * first)
        self.phi[self._band] = start + time / 2 * (first + second)

    def _rate(self, center: Tensor) -> Tensor:
        around = self.phi.index_select(0, self._around).view(len(self._offsets), -1)
        rate = self._band_speed * godunov_grad_norm(center, around[:8].view(2, 4, -1))
        if self._curvature:
            smoothing = self._curvature * curvature_term(center, around)
            rate = rate + (smoothing if self._gate is None else smoothing * self._gate[self._band])
        # No exact solution changes faster (maximum principle); differences across the band's edge would.
        return rate.clamp(max=self._fastest + self._curvature)


def godunov_grad_norm(center: Tensor, line: Tensor) -> Tensor:
    """|grad phi| by upwind differences: those that look back to where the interface comes from, i.e. to larger phi.

    center: [n]; line: [axis,4,n], the pixels at -2, -1, 1, 2. Second order by the smaller of two second
    differences (ENO, Shu and Osher 1989), Godunov's choice between the two sides (Osher and Sethian 1988).
    """
    far_before, before, after, far_after = line.unbind(dim=1)
    down, up = center - before, after - center
    middle = up - down
    behind = down + 0.5 * minmod(down - (before - far_before), middle)
    ahead = up - 0.5 * minmod(middle, (far_after - after) - up)
    upwind = torch.maximum(-behind, ahead).clamp(min=0)
    return upwind.square().sum(dim=0).sqrt()


def minmod(a: Tensor, b: Tensor) -> Tensor:
    """The one nearer to 0, or 0 where the signs differ."""
    return torch.minimum(a, b).clamp(min=0) + torch.maximum(a, b).clamp(max=0)


def curvature_term(center: Tensor, around: Tensor) -> Tensor:
    """kappa |grad phi| by central differences; kappa is kept to what a grid can show, +-1 per pixel."""
    _, west, east, _, _, north, south, _, nw, ne, sw, se = around.unbind()
    x, y = (east - west) / 2, (south - north) / 2
    xx, yy, xy = east - 2 * center + west, south - 2 * center + north, (se - sw - ne + nw) / 4
    squares = (x * x + y * y).clamp(min=1e-6)
    curve = (xx * y * y - 2 * xy * x * y + yy * x * x) / squares
    bound = squares.sqrt()
    return torch.minimum(torch.maximum(curve, -bound), bound)
