"""The plot of a calibration: what an edit's strength does to an attribute."""

from __future__ import annotations

from torch import Tensor

from ..editing.response import LinearFit, ResponseCurve
from .plots import FONT, GRID, INK, PIXEL, plot_canvas, plot_font, plot_image

MEAN, LINE, EACH, SPAN = "#1f5fa8", "#c0392b", "#a9c3de", "#f3ece4"


def plot_response(
    curve: ResponseCurve, fit: LinearFit, title: str = "", *, width: int = 640, height: int = 480
) -> Tensor:
    """Responses against strengths -> [1,3,height,width] in [-1,1], on white: a thin line for each picture, a thick
    one for the mean, the fitted line, and its span shaded.
    """
    canvas, font = plot_canvas(width, height), plot_font()
    axes = canvas.figure.add_axes((0.12, 0.12, 0.84, 0.78), facecolor="white")
    strengths, responses = curve.strengths.tolist(), curve.responses
    axes.axvspan(*fit.span, color=SPAN)
    axes.plot(strengths, responses.T.tolist(), color=EACH, linewidth=PIXEL)
    axes.plot(
        strengths, responses.mean(dim=0).tolist(), "o-", color=MEAN, linewidth=2 * PIXEL, markersize=5 * PIXEL
    )
    axes.plot(fit.span, [fit.slope * end for end in fit.span], "--", color=LINE, linewidth=2 * PIXEL)
    axes.grid(color=GRID, linewidth=PIXEL)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=INK, labelsize=0.8 * FONT * PIXEL)
    for name, spine in axes.spines.items():
        spine.set(visible=name in ("left", "bottom"), color=INK, linewidth=PIXEL)
    axes.set_xlabel("strength before calibration", font=font, color=INK)
    axes.set_ylabel(f"response (1 = {curve.unit_name})", font=font, color=INK, parse_math=False)
    axes.set_title(title, font=font, color=INK, parse_math=False)
    return plot_image(canvas)
