"""Soft-edged painting inside rectangular windows of a batch of pictures.

Frame coordinates: x to the right, y down, both in [-1, 1] over the square picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...deprecated import old_names

__getattr__ = old_names(__name__)


EDGE_PIXELS = 1.3  # width of an anti-aliased edge


class RasterCanvas:
    """Pictures in [0, 1] [B,3,R,R], label maps uint8 [B,R,R] and the coverage of the bare face [B,R,R]."""

    def __init__(self, batch: int, resolution: int) -> None:
        self.resolution = resolution
        self.image = torch.zeros(batch, 3, resolution, resolution)
        self.labels = torch.zeros(batch, resolution, resolution, dtype=torch.uint8)
        self.face = torch.zeros(batch, resolution, resolution)

    def window(
        self, left: float = -1.0, right: float = 1.0, top: float = -1.0, bottom: float = 1.0
    ) -> Window:
        return Window(self, left, right, top, bottom)


class Window:
    """A rectangle of a canvas; `x` [1,1,W] and `y` [1,H,1] are the coordinates of its pixel centres."""

    def __init__(self, canvas: RasterCanvas, left: float, right: float, top: float, bottom: float) -> None:
        resolution = canvas.resolution
        pixel = 2.0 / resolution
        first_row, last_row, first_column, last_column = (
            max(0, min(resolution, round((edge + 1.0) / pixel))) for edge in (top, bottom, left, right)
        )
        rows, columns = slice(first_row, last_row), slice(first_column, last_column)
        centers = (torch.arange(resolution) + 0.5) * pixel - 1.0
        self.y, self.x = centers[None, rows, None], centers[None, None, columns]
        self.edge = EDGE_PIXELS * pixel
        self.image, self.labels = canvas.image[:, :, rows, columns], canvas.labels[:, rows, columns]
        self.face = canvas.face[:, rows, columns]

    def cover(self, distance: Tensor) -> Tensor:
        """Coverage in [0, 1] of a shape whose signed distance (negative inside) is given."""
        return (distance * (-1.0 / self.edge)).add_(0.5).clamp_(0.0, 1.0)

    def band(self, top: Tensor, bottom: Tensor) -> Tensor:
        """Coverage of the pixels between two curves y = top and y = bottom."""
        return self.cover(top - self.y).mul_(self.cover(self.y - bottom))

    def paint(
        self, coverage: Tensor, color: Tensor, tone: Tensor | None = None, label: int | None = None
    ) -> None:
        """Blend in `color` [B|1,3,1,1], times `tone` [B,H,W] if given; write the label where it covers."""
        for channel in range(3):
            value = color[:, channel] if tone is None else tone * color[:, channel]
            plane = self.image[:, channel]
            plane.lerp_(value.expand_as(plane), coverage.expand_as(plane))
        if label is not None:
            self.mark(coverage > 0.5, label)

    def paint_between(
        self, coverage: Tensor, dark: Tensor, bright: Tensor, tone: Tensor, label: int | None = None
    ) -> None:
        """Blend in the colour that lies at `tone` in 0..1 between two colours [B|1,3,1,1]."""
        for channel in range(3):
            value = torch.addcmul(dark[:, channel], tone, bright[:, channel] - dark[:, channel])
            plane = self.image[:, channel]
            plane.lerp_(value.expand_as(plane), coverage.expand_as(plane))
        if label is not None:
            self.mark(coverage > 0.5, label)

    def shade(self, amount: Tensor, tint: Sequence[float]) -> None:
        """Multiply by `tint` (red, green, blue) to the extent of `amount` [B,H,W] in [0, 1]."""
        for channel, factor in enumerate(tint):
            plane = self.image[:, channel]
            plane.addcmul_(plane, amount, value=factor - 1.0)

    def glow(self, amount: Tensor, color: Sequence[float] = (1.0, 1.0, 1.0)) -> None:
        """Add light of a colour."""
        for channel, factor in enumerate(color):
            self.image[:, channel].add_(amount, alpha=factor)

    def mark(self, inside: Tensor, label: int) -> None:
        self.labels.masked_fill_(inside.expand_as(self.labels), label)


def smooth(low: float | Tensor, high: float | Tensor, value: Tensor) -> Tensor:
    """Smooth step: 0 at `low`, 1 at `high` (which may be the smaller one)."""
    t = ((value - low) / (high - low)).clamp_(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def mix(first: float | Tensor, second: float | Tensor, t: Tensor) -> Tensor:
    return first + (second - first) * t


def bump(distance: Tensor, width: float | Tensor) -> Tensor:
    """Bell curve exp(-(distance / width)^2)."""
    scaled = distance / width
    return scaled.square().neg_().exp_()


def ellipse(x: Tensor, y: Tensor, half_width: float | Tensor, half_height: float | Tensor) -> Tensor:
    """Approximate signed distance to an axis-parallel ellipse around the origin."""
    u, v = x / half_width, y / half_height
    radius = (u.square() + v.square()).add_(1e-6).sqrt_()
    slope = ((u / half_width).square() + (v / half_height).square()).add_(1e-6).sqrt_()
    return (radius - 1.0).mul_(radius).div_(slope)


def round_union(first: Tensor, second: Tensor, rounding: float) -> Tensor:
    """Minimum of two distances without the crease where they are equal."""
    gap = (first - second).square_().add_(rounding**2).sqrt_()
    return (first + second - gap).mul_(0.5)


def rgb(red: float, green: float, blue: float) -> Tensor:
    """A colour [1,3,1,1]."""
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1)


def ramp(position: Tensor, stops: Sequence[Sequence[float]]) -> Tensor:
    """Colour [B,3,1,1] at `position` [B,1,1] in [0, 1] on a piecewise linear scale of colours."""
    colors = torch.tensor(stops)
    place = position.flatten().clamp(0.0, 1.0) * (len(stops) - 1)
    below = place.floor().clamp_(max=len(stops) - 2).long()
    return torch.lerp(colors[below], colors[below + 1], (place - below)[:, None])[:, :, None, None]
