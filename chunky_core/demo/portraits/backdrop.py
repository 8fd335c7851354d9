"""Painters of what surrounds the head: background, neck and clothes."""

from __future__ import annotations

import torch
from torch import Tensor

from .attributes import LABEL, Traits
from .colors import shadow_color, skin_color
from .head import FACE_Y, Head
from .raster_canvas import RasterCanvas, bump, ellipse, mix, ramp, smooth

BACKGROUNDS = (
    (0.86, 0.45, 0.42), (0.90, 0.66, 0.38), (0.62, 0.72, 0.38),
    (0.30, 0.66, 0.60), (0.34, 0.52, 0.80), (0.58, 0.42, 0.74),
)  # fmt: skip
CLOTHES = (
    (0.70, 0.20, 0.24), (0.84, 0.52, 0.20), (0.44, 0.56, 0.24),
    (0.16, 0.50, 0.52), (0.22, 0.32, 0.66), (0.50, 0.24, 0.54),
)  # fmt: skip


def paint_background(canvas: RasterCanvas, traits: Traits) -> None:
    """A soft glow behind the head, darker towards the corners."""
    window = canvas.window()
    hue, lightness = traits.between("background_hue"), traits.between("background_lightness")
    base = ramp(hue, BACKGROUNDS)
    inner = _lightened(base, mix(-0.45, 0.85, lightness)[:, None])
    outer = _lightened(ramp((hue + 0.10).clamp(max=1.0), BACKGROUNDS), mix(-0.75, 0.45, lightness)[:, None])
    x, y = window.x + 0.25, window.y + 0.35
    far = smooth(0.0, 1.0, (0.16 * x.square() + 0.30 * y.square() + 0.12 * (x + y)).clamp(0.0, 1.0))
    window.paint_between(torch.ones(1, 1, 1), outer, inner, 1.0 - far, LABEL["background"])


def _lightened(color: Tensor, amount: Tensor) -> Tensor:
    """Towards white for positive amounts, towards black for negative ones."""
    toward = (amount > 0.0).to(color.dtype)
    return mix(color, toward, amount.abs() * 0.85)


def paint_neck(canvas: RasterCanvas, traits: Traits, head: Head) -> None:
    window = canvas.window(-1.0, 1.0, 0.30, 1.0)
    x = window.x + 0.45 * head.half_width * head.sine
    half_width = 0.27 + 0.4 * (head.half_width - 0.56) + head.traits.between("jaw", -0.015, 0.03)
    slope = 0.25 * smooth(0.70, 1.1, window.y).square()
    chin = ellipse(head.face_x(window.x), window.y - FACE_Y - 0.10, head.half_width * 0.9, 0.80)
    under_chin = smooth(0.13, -0.10, chin)
    tone = (0.80 + 0.3 * head.ray[0] * x / half_width).clamp(0.3, 1.15) * (1.0 - 0.7 * under_chin)
    skin = skin_color(traits)
    shape = window.cover(x.abs() - half_width - slope)
    window.paint_between(shape, shadow_color(skin), skin, tone, LABEL["neck"])


def paint_cloth(canvas: RasterCanvas, traits: Traits, head: Head) -> None:
    window = canvas.window(-1.0, 1.0, 0.66, 1.0)
    x = window.x + 0.45 * head.half_width * head.sine
    depth = traits.between("collar", 0.86, 1.06)
    neckline = depth - 1.5 * x.square()
    shoulder = 0.82 + 0.26 * (x.abs() - 0.33)
    top = torch.maximum(neckline, shoulder)
    lightness = traits.between("cloth_lightness", -0.75, 0.75)[:, None]
    color = _lightened(ramp(traits.between("cloth_hue"), CLOTHES), lightness)
    hem = bump(window.y - top - 0.03, 0.026) * smooth(0.50, 0.34, x.abs())
    tone = 0.90 + 0.25 * head.ray[0] * x - 0.30 * hem
    window.paint(window.cover(top - window.y), color, tone, LABEL["cloth"])
