"""Plots for the eye: the loss of every segment over the steps of its projection."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import InvalidInputError
from .sheets import segment_colours

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

SCALES = ("log", "linear")
SMALLEST_SIDE = 160  # pixels
_FINER = 2  # drawn this many times as large, then reduced: the library draws jagged lines
_LINE_HEIGHT, _EDGE = 16, 14  # pixels
_LONGEST_TEXT = 200  # characters; names come from files, and measuring takes time
_INK, _GRID, _WHITE = (40, 40, 40), (222, 222, 222), (255, 255, 255)
_HALF_DECADE = 10**0.25  # factor around a curve that hardly moves

Span = tuple[float, float]


def loss_curves(
    losses: Mapping[str, Sequence[float]],
    title: str = "",
    *,
    scale: str = "log",
    width: int = 800,
    height: int = 480,
) -> Tensor:
    """One curve per segment with a legend -> [1,3,height,width] in [-1,1], on white.

    losses: per name one value for each step 1, 2, ...; the colours are those of `segment_overlay` for the same
    segments, a shade darker. scale: of the losses, "log" or "linear". What can't be drawn (not finite, and not
    above 0 on a logarithmic scale) leaves a gap; without any value the axes are empty and say so.
    Raises InvalidInputError for an unknown scale, and for a side below 160 pixels.
    """
    from PIL import Image, ImageDraw

    if scale not in SCALES:
        raise InvalidInputError(f"the scale is {scale!r}; expected one of {', '.join(SCALES)}")
    if min(width, height) < SMALLEST_SIDE:
        raise InvalidInputError(f"the plot is {width}x{height}; expected at least {SMALLEST_SIDE} a side")
    image = Image.new("RGB", (width * _FINER, height * _FINER), _WHITE)
    pen = _Pen(ImageDraw.Draw(image))
    plot = _Plot(losses, scale, _frame(pen, losses, width, height), width - _EDGE)
    pen.text(plot.frame.left, _EDGE + _LINE_HEIGHT / 2, pen.shortened(title, width - 2 * _EDGE - 50), "lm")
    plot.draw(pen)
    pixels = torch.frombuffer(bytearray(image.reduce(_FINER).tobytes()), dtype=torch.uint8)
    return pixels.view(1, height, width, 3).movedim(-1, 1).float() / 127.5 - 1


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float


class _Pen:
    """Draws in pixels of the finished picture."""

    def __init__(self, canvas: ImageDraw) -> None:
        from PIL import ImageFont

        self.canvas, self.font = canvas, ImageFont.load_default(12 * _FINER)

    def line(self, points: Sequence[tuple[float, float]], colour: tuple[int, ...], width: float = 1) -> None:
        scaled = [(x * _FINER, y * _FINER) for x, y in points]
        self.canvas.line(scaled, fill=colour, width=round(width * _FINER), joint="curve")

    def dot(self, x: float, y: float, colour: tuple[int, ...]) -> None:
        self.canvas.circle((x * _FINER, y * _FINER), 1.5 * _FINER, fill=colour)

    def text(self, x: float, y: float, text: str, anchor: str) -> None:
        self.canvas.text((x * _FINER, y * _FINER), text, fill=_INK, font=self.font, anchor=anchor)

    def length(self, text: str) -> float:
        return self.canvas.textlength(text, font=self.font) / _FINER

    def shortened(self, text: str, room: float) -> str:
        """The text on one line, cut to `room` pixels."""
        line = " ".join(text[:_LONGEST_TEXT].split())
        if self.length(line) <= room:
            return line
        fitting = bisect_right(range(1, len(line)), room, key=lambda count: self.length(line[:count] + "..."))
        return line[:fitting] + "..."


def _frame(pen: _Pen, names: Collection[str], width: int, height: int) -> _Box:
    """Where the curves go: the legend at the right takes what its names need, up to a third."""
    longest = max((pen.length(name[:_LONGEST_TEXT]) for name in names), default=-30)
    legend = min(longest + 30, width / 3)
    return _Box(_EDGE + 52, _EDGE + 24, width - _EDGE - legend, height - _EDGE - 34)


class _Plot:
    """The axes and what is drawn on them; the legend reaches to `right`."""

    def __init__(self, losses: Mapping[str, Sequence[float]], scale: str, frame: _Box, right: float) -> None:
        self.losses, self.frame, self.right, self.logarithmic = losses, frame, right, scale == "log"
        self.steps = max((len(curve) for curve in losses.values()), default=0)
        self.values = [value for curve in losses.values() for value in curve if self.drawable(value)]
        self.span = self._span()

    def drawable(self, value: float) -> bool:
        return math.isfinite(value) and (value > 0 or not self.logarithmic)

    def _span(self) -> Span:
        """What the upright axis shows: all values, and some room where they hardly differ."""
        if not self.values:
            return (0.1, 1.0)
        low, high = min(self.values), max(self.values)
        if self.logarithmic:
            middle = math.sqrt(low) * math.sqrt(high)
            return min(low, middle / _HALF_DECADE), max(high, middle * _HALF_DECADE)
        low = min(low, 0.0)
        return low, high if high > low else low + 1.0

    def x(self, step: float) -> float:
        share = (step - 1) / max(self.steps - 1, 1)
        return self.frame.left + share * (self.frame.right - self.frame.left)

    def y(self, value: float) -> float:
        low, high = self.span
        if self.logarithmic:
            share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        else:
            share = (value - low) / (high - low)
        return self.frame.bottom - share * (self.frame.bottom - self.frame.top)

    def draw(self, pen: _Pen) -> None:
        self._axes(pen)
        colours = ((segment_colours(max(len(self.losses), 1)) + 1) * 0.4 * 255).round().int().tolist()
        for row, (name, curve) in enumerate(self.losses.items()):
            self._curve(pen, curve, tuple(colours[row]))
            self._legend(pen, row, name, tuple(colours[row]))
        if not self.values:
            frame = self.frame
            middle = ((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2)
            pen.text(*middle, "no losses were recorded", "mm")

    def _axes(self, pen: _Pen) -> None:
        frame = self.frame
        for value in (log_ticks if self.logarithmic else linear_ticks)(*self.span):
            pen.line([(frame.left, self.y(value)), (frame.right, self.y(value))], _GRID)
            pen.text(frame.left - 6, self.y(value), f"{value:.4g}", "rm")
        for step in step_ticks(self.steps):
            pen.line([(self.x(step), frame.top), (self.x(step), frame.bottom)], _GRID)
            pen.text(self.x(step), frame.bottom + 6, str(step), "mt")
        pen.line([(frame.left, frame.top), (frame.left, frame.bottom), (frame.right, frame.bottom)], _INK)
        pen.text((frame.left + frame.right) / 2, frame.bottom + 24, "step", "mt")

    def _curve(self, pen: _Pen, curve: Sequence[float], colour: tuple[int, ...]) -> None:
        for run in drawable_runs(curve, self.drawable):
            points = [(self.x(step), self.y(value)) for step, value in run]
            pen.line(points, colour, 1.5) if len(points) > 1 else pen.dot(*points[0], colour)

    def _legend(self, pen: _Pen, row: int, name: str, colour: tuple[int, ...]) -> None:
        left, middle = self.frame.right + 8, self.frame.top + _LINE_HEIGHT * (row + 0.5)
        if middle > self.frame.bottom + 24:  # no room for more names
            return
        pen.line([(left, middle), (left + 14, middle)], colour, 3)
        pen.text(left + 19, middle, pen.shortened(name, self.right - left - 19), "lm")


def drawable_runs(curve: Sequence[float], drawable: Callable[[float], bool]) -> list[list[tuple[int, float]]]:
    """(step, value) of the unbroken stretches of a curve, steps counted from 1."""
    runs: list[list[tuple[int, float]]] = [[]]
    for step, value in enumerate(curve, 1):
        if drawable(value):
            runs[-1].append((step, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def log_ticks(low: float, high: float) -> list[float]:
    """Round values within [low, high]: 1, 2 and 5 of every decade, over many decades fewer of them."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = -(-len(decades) // 8)
    digits = (1, 2, 5) if len(decades) <= 4 else (1,)
    ticks = [digit * 10.0**decade for decade in decades[::every] for digit in digits]
    kept = [tick for tick in ticks if low <= tick <= high]
    return kept if len(kept) > 1 else linear_ticks(low, high)


def linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most about `most` equally spaced round values within [low, high]."""
    rough = (high - low) / most
    size = 10.0 ** math.floor(math.log10(rough))
    spacing = next(digit * size for digit in (1, 2, 5, 10) if digit * size >= rough)
    first, last = math.ceil(low / spacing - 1e-9), math.floor(high / spacing + 1e-9)
    return [index * spacing for index in range(first, last + 1)]


def step_ticks(steps: int) -> list[int]:
    """Round step numbers from 1 to `steps`, the first among them."""
    if steps <= 1:
        return [1] * steps
    ticks = [round(tick) for tick in linear_ticks(1, steps) if abs(tick - round(tick)) < 1e-9]
    return [1, *(tick for tick in ticks if tick > 1 + steps / 20)]
