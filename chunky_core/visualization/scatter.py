"""A scatter plot of one method's figures against others' (as P2, figure 4; P2 = Subrtova et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import InvalidInputError
from .plots import FONT, GRID, INK, PIXEL, plot_canvas, plot_font, plot_image
from .sheets import segment_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP"
SMALLEST_SIDE = 160  # pixels
_ROOM = 1.25  # factor around the outermost points


def method_scatter(
    points: Mapping[str, Sequence[tuple[float, float]]],
    title: str = "",
    *,
    across: str = "",
    up: str = "",
    side: int = 360,
) -> Tensor:
    """Distances of methods against those of another one on the same photos -> [1,3,side,side] in [-1,1], on white.

    points: per method pairs (distance of the other one, its own), one for each photo, above 0; drawn on logarithmic
    axes of one span, with the line on which both are equal: below it the method is better. across, up: names of the
    axes. Raises InvalidInputError for a side below 160 pixels, no points, and values that are not above 0.
    """
    values = [value for pairs in points.values() for pair in pairs for value in pair]
    if side < SMALLEST_SIDE:
        raise InvalidInputError(f"the plot is {side} pixels wide; expected at least {SMALLEST_SIDE}")
    if not values or not all(0 < value < math.inf for value in values):
        raise InvalidInputError("a scatter plot needs one point or more, all of numbers above 0")
    canvas, font = plot_canvas(side, side), plot_font()
    axes = canvas.figure.add_axes((0.16, 0.14, 0.80, 0.78), facecolor="white")
    span = (min(values) / _ROOM, max(values) * _ROOM)
    _draw_axes(axes, span)
    colors = [(r, g, b) for r, g, b in ((segment_colors(len(points)) + 1) * 0.4).tolist()]
    dots = []
    for index, (pairs, color) in enumerate(zip(points.values(), colors, strict=True)):
        marker, places = MARKERS[index % len(MARKERS)], zip(*pairs, strict=True) if pairs else ([], [])
        dots += axes.plot(*places, marker, color=color, markersize=5 * PIXEL, clip_on=False)
    legend = axes.legend(
        dots, [" "] * len(dots), loc="upper left", frameon=False, prop=font, handletextpad=0.2
    )
    for text, name in zip(legend.get_texts(), points, strict=True):
        text.set(
            text=name, color=INK, parse_math=False
        )  # a name with an underscore at its start would be left out
    axes.set_xlabel(across, font=font, color=INK, labelpad=2)
    axes.set_ylabel(up, font=font, color=INK, labelpad=2)
    axes.set_title(title, font=font, color=INK)
    return plot_image(canvas)


def _draw_axes(axes: Axes, span: tuple[float, float]) -> None:
    """Equal logarithmic scales, grid, and the line of equality."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set(xscale="log", yscale="log", xlim=span, ylim=span)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if span[1] < 50 * span[0] else (1,)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.grid(color=GRID, linewidth=PIXEL)
    axes.set_axisbelow(True)
    axes.plot(span, span, color=INK, linewidth=PIXEL)
    axes.tick_params(length=0, colors=INK, labelsize=0.8 * FONT * PIXEL)
    for name, spine in axes.spines.items():
        spine.set(visible=name in ("left", "bottom"), color=INK, linewidth=PIXEL)
