"""Plots for the eye: the loss of every segment over the steps of its projection."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from torch import Tensor

from ..errors import InvalidInputError
from ..inversion import Inversion
from .plots import FONT, GRID, INK, PIXEL, plot_canvas, plot_font, plot_image
from .sheets import segment_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import FontProperties

Losses = Mapping[str, Sequence[float]]

SCALES = ("log", "linear")
RGB: TypeAlias = tuple[float, float, float]
SMALLEST_SIDE = 160  # pixels
# pixels
_EDGE, _LINE_HEIGHT = 14, 16
_LEFT, _TOP, _BOTTOM = _EDGE + 52, _EDGE + 24, _EDGE + 34  # from the picture's sides to the axes
_LONGEST_TEXT = 200  # characters; names come from files, and measuring takes time
_HALF_DECADE = 10**0.25  # factor around a curve that hardly moves


def plot_losses(
    inversion: Inversion, *, title: str = "", scale: str = "log", width: int = 800, height: int = 480
) -> Tensor:
    """The `loss_curves` of an inversion's projection -> [1,3,height,width] in [-1,1]."""
    return loss_curves(inversion.losses, title, scale=scale, width=width, height=height)


def loss_curves(
    losses: Losses,
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
    if scale not in SCALES:
        raise InvalidInputError(f"the scale is {scale!r}; expected one of {', '.join(SCALES)}")
    if min(width, height) < SMALLEST_SIDE:
        raise InvalidInputError(f"the plot is {width}x{height}; expected at least {SMALLEST_SIDE} a side")
    canvas, font = plot_canvas(width, height), plot_font()
    ruler = _Ruler(canvas, font)
    legend = min(max((ruler.length(name) for name in losses), default=-30) + 30, width / 3)
    sides = (_LEFT, _BOTTOM, width - _EDGE - legend - _LEFT, height - _TOP - _BOTTOM)
    left, bottom, across, up = (side / whole for side, whole in zip(sides, (width, height) * 2, strict=True))
    axes = canvas.figure.add_axes((left, bottom, across, up), facecolor="white")
    colors = [(r, g, b) for r, g, b in ((segment_colors(max(len(losses), 1)) + 1) * 0.4).tolist()]
    _draw_axes(axes, losses, scale, font)
    _draw_curves(axes, losses, scale, colors)
    names = [ruler.shortened(name, legend - 27) for name in losses]
    _draw_legend(axes, names, colors, font)
    heading = ruler.shortened(title, width - 2 * _EDGE - 50)
    canvas.figure.text(
        _LEFT / width, 1 - (_EDGE + _LINE_HEIGHT / 2) / height, heading, va="center", font=font, color=INK
    ).set_parse_math(False)
    return plot_image(canvas)


class _Ruler:
    """Measures texts in pixels, and cuts them."""

    def __init__(self, canvas: FigureCanvasAgg, font: FontProperties) -> None:
        self.renderer, self.font = canvas.get_renderer(), font

    def length(self, text: str) -> float:
        line = " ".join(text[:_LONGEST_TEXT].split())
        return self.renderer.get_text_width_height_descent(line, self.font, False)[0] if line else 0.0

    def shortened(self, text: str, room: float) -> str:
        """The text on one line, cut to `room` pixels."""
        line = " ".join(text[:_LONGEST_TEXT].split())
        if self.length(line) <= room:
            return line
        fitting = bisect_right(range(1, len(line)), room, key=lambda count: self.length(line[:count] + "..."))
        return line[:fitting] + "..."


def _drawable(curve: Sequence[float], scale: str) -> np.ndarray:
    """The curve with NaN for what the scale can't show."""
    values = np.asarray(curve, dtype=float)
    return np.where(np.isfinite(values) & ((values > 0) | (scale != "log")), values, np.nan)


def _span(losses: Losses, scale: str) -> tuple[float, float] | None:
    """What the upright axis shows: all values, and some room where they hardly differ; None without any."""
    values = np.concatenate([_drawable(curve, scale) for curve in losses.values()] or [np.empty(0)])
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    if scale == "log":
        middle = math.sqrt(low) * math.sqrt(high)
        return min(low, middle / _HALF_DECADE), max(high, middle * _HALF_DECADE)
    low = min(low, 0.0)
    return low, high if high > low else low + 1.0


def _draw_axes(axes: Axes, losses: Losses, scale: str, font: FontProperties) -> None:
    """Scales, grid and numbers; words where there is nothing else to draw."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

    steps = max(map(len, losses.values()), default=0)
    span = _span(losses, scale)
    axes.set_yscale(scale)
    axes.set(xlim=(1, max(steps, 2)), ylim=span or (0.1, 1.0))
    digits = (1, 2, 5) if span and span[1] / 1e4 < span[0] else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=digits) if scale == "log" else MaxNLocator(6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    ticks = MaxNLocator(6, integer=True).tick_values(1, max(steps, 2))
    axes.xaxis.set_major_locator(
        FixedLocator([1, *(t for t in ticks if 1 + steps / 20 < t <= steps)][:steps])
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:.0f}"))
    axes.grid(color=GRID, linewidth=PIXEL)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=6 * PIXEL, colors=INK)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(font)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=INK, linewidth=PIXEL)
    axes.set_xlabel("step", font=font, color=INK)
    if span is None:
        axes.text(
            0.5, 0.5, "no losses were recorded", transform=axes.transAxes, ha="center", va="center", font=font
        )


def _draw_curves(axes: Axes, losses: Losses, scale: str, colors: Sequence[RGB]) -> None:
    for curve, color in zip(losses.values(), colors, strict=False):
        values = _drawable(curve, scale)
        steps = np.arange(1, len(values) + 1)
        axes.plot(steps, values, color=color, linewidth=1.5 * PIXEL, solid_capstyle="butt", clip_on=False)
        gaps = np.isnan(np.pad(values, 1, constant_values=np.nan))
        alone = gaps[:-2] & gaps[2:]  # a line would not show them
        axes.plot(steps[alone], values[alone], "o", color=color, markersize=3 * PIXEL, clip_on=False)


def _draw_legend(axes: Axes, names: Sequence[str], colors: Sequence[RGB], font: FontProperties) -> None:
    """As many names as there is room for, at the right of the axes."""
    from matplotlib.lines import Line2D

    rows = int((axes.bbox.height + 24) // _LINE_HEIGHT)
    lines = [Line2D([], [], color=color, linewidth=3 * PIXEL) for color in colors[: min(rows, len(names))]]
    legend = axes.legend(
        lines,
        [" "] * len(lines),  # set below: a name with an underscore at its start would be left out
        loc="upper left",
        bbox_to_anchor=(1, 1),
        borderpad=0,
        borderaxespad=8 / FONT,
        handlelength=14 / FONT,
        handletextpad=5 / FONT,
        labelspacing=(_LINE_HEIGHT - FONT) / FONT,
        frameon=False,
        prop=font,
    )
    for text, name in zip(legend.get_texts(), names, strict=False):
        text.set(text=name, color=INK, parse_math=False)
