"""What plots have in common: the canvas, its font and colours, and its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..checks import check_installed

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import FontProperties

INK, GRID = "#282828", "#dedede"
DPI = 64  # a power of two: sizes in inches are exact
PIXEL = 72 / DPI  # in points
FONT = 12  # pixels


def plot_canvas(width: int, height: int) -> FigureCanvasAgg:
    """A white canvas of so many pixels, with an empty figure. Raises MissingPackageError without matplotlib."""
    check_installed("matplotlib", "plots")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return FigureCanvasAgg(Figure((width / DPI, height / DPI), dpi=DPI, facecolor="white"))


def plot_font() -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family="DejaVu Sans", size=FONT * PIXEL)


def plot_image(canvas: FigureCanvasAgg) -> Tensor:
    """What is on the canvas -> [1,3,H,W] in [-1,1]."""
    canvas.draw()
    pixels = torch.from_numpy(np.array(canvas.buffer_rgba())[..., :3])
    return pixels[None].movedim(-1, 1).float() / 127.5 - 1
