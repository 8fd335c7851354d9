"""A boundary in motion: upwind differences in a narrow band of pixels around it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .signed_distance import REACH, Pieces, band_distance, boundary_pieces, mask_pieces, neighbours

LINE = tuple((0, step) for step in (-2, -1, 1, 2)) + tuple((step, 0) for step in (-2, -1, 1, 2))
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
COURANT = 0.8  # share of the longest stable step, 1 / (sqrt(2) F + 2 b), that is taken (CFL)
TRAVEL = REACH - 2  # pixels that it may move in one band, so that its stencil stays in it


class Front:
    """The zero level of phi, moving toward phi < 0: phi_t = F |grad phi| + b kappa |grad phi|.

    level: [H,W] in -0.5..0.5, > 0 behind the front; force: F >= 0, [H,W]; curvature: b >= 0 in pixels;
    gate: [H,W] factor of the curvature term, or none. `phi` and `first` are the present and the first signed
    distances [H*W], cut to +-REACH.
    """

    def __init__(self, level: Tensor, force: Tensor, curvature: float, gate: Tensor | None) -> None:
        self._size = (level.shape[0], level.shape[1])
        self._force, self._curvature = force.flatten(), curvature
        self._fastest = max(self._force.max().item(), 1e-6)
        self._gate = None if gate is None else gate.flatten()
        self._offsets = LINE + (CORNERS if curvature else ())
        self.phi = level.flatten()
        self._lay_band(mask_pieces(level))
        self.first = self.phi.clone()

    def run(self, distance: float) -> Iterator[float]:
        """Moves on until a front with F = 1 has come `distance` pixels far; yields how far, band by band."""
        steps = math.ceil(distance * (math.sqrt(2) * self._fastest + 2 * self._curvature) / COURANT)
        time = distance / steps
        per_band = max(1, int(TRAVEL / (time * (self._fastest + self._curvature))))
        for first in range(0, steps, per_band):
            if not len(self._band):
                return  # nothing is left
            last = min(first + per_band, steps)
            for _ in range(first, last):
                self._step(time)
            self._lay_band(boundary_pieces(self.phi, self._band, self._size))
            yield last * time

    def _lay_band(self, pieces: Pieces) -> None:
        """Makes phi a signed distance again, and finds the pixels near the front."""
        self.phi, self._band = band_distance(self.phi, pieces, self._size)
        self._around = neighbours(self._band, self._size, self._offsets)
        self._band_force = self._force[self._band]

    def _step(self, time: float) -> None:
        """Heun's method, which keeps maxima (Shu and Osher 1988)."""
        start = self.phi.index_select(0, self._band)
        first = self._rate(start)
        self.phi[self._band] = start + time * first
        second = self._rate(start + time * first)
        self.phi[self._band] = start + time / 2 * (first + second)

    def _rate(self, centre: Tensor) -> Tensor:
        around = self.phi.index_select(0, self._around).view(len(self._offsets), -1)
        rate = self._band_force * _steepness(centre, around[:8].view(2, 4, -1))
        if self._curvature:
            bending = self._curvature * _bending(centre, around)
            rate = rate + (bending if self._gate is None else bending * self._gate[self._band])
        # No exact solution changes faster (maximum principle); differences across the band's edge would.
        return rate.clamp(max=self._fastest + self._curvature)


def _steepness(centre: Tensor, line: Tensor) -> Tensor:
    """|grad phi| with the differences that look back to where the front comes from, i.e. to larger phi.

    centre: [n]; line: [axis,4,n], the pixels at -2, -1, 1, 2. Second order by the smaller of two bendings
    (Shu and Osher 1989), Godunov's choice between the two sides.
    """
    far_before, before, after, far_after = line.unbind(dim=1)
    down, up = centre - before, after - centre
    middle = up - down
    behind = down + 0.5 * _smaller(down - (before - far_before), middle)
    ahead = up - 0.5 * _smaller(middle, (far_after - after) - up)
    steepest = torch.maximum(-behind, ahead).clamp(min=0)
    return steepest.square().sum(dim=0).sqrt()


def _smaller(a: Tensor, b: Tensor) -> Tensor:
    """minmod: the one nearer to 0, or 0 where the signs differ."""
    return torch.minimum(a, b).clamp(min=0) + torch.maximum(a, b).clamp(max=0)


def _bending(centre: Tensor, around: Tensor) -> Tensor:
    """kappa |grad phi| by central differences; kappa is kept to what a grid can show, +-1 per pixel."""
    _, west, east, _, _, north, south, _, nw, ne, sw, se = around.unbind()
    x, y = (east - west) / 2, (south - north) / 2
    xx, yy, xy = east - 2 * centre + west, south - 2 * centre + north, (se - sw - ne + nw) / 4
    squares = (x * x + y * y).clamp(min=1e-6)
    curve = (xx * y * y - 2 * xy * x * y + yy * x * x) / squares
    bound = squares.sqrt()
    return torch.minimum(torch.maximum(curve, -bound), bound)
