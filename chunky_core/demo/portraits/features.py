"""Painters of nose and mouth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .attributes import LABEL, Traits
from .colors import skin_color
from .head import MOUTH_Y, NOSE_Y, SIDES, Head
from .raster_canvas import RasterCanvas, Window, bump, ellipse, mix, rgb, smooth

NOSE_SHADE, NOSTRIL = (0.76, 0.58, 0.54), (0.40, 0.26, 0.24)
INSIDE, TEETH, TONGUE = (0.26, 0.06, 0.08), (0.97, 0.95, 0.91), (0.80, 0.38, 0.40)
LIPSTICK = (0.82, 0.16, 0.26)


def paint_nose(canvas: RasterCanvas, traits: Traits, head: Head) -> None:
    window = canvas.window(-0.32, 0.32, -0.28, 0.40)
    width = traits.between("nose_width", 0.085, 0.145)
    tip_y = NOSE_Y + traits.between("nose_length", -0.045, 0.045)
    tip_x = 0.22 * head.sine
    down = ((window.y + 0.20) / (tip_y + 0.20)).clamp(0.0, 1.0)
    axis = tip_x * down
    bridge = width * mix(traits.between("nose_bridge", 0.10, 0.66), 0.66, down.square())
    x, below = window.x - tip_x, window.y - tip_y
    along = smooth(-0.26, -0.02, window.y) * smooth(0.06, -0.01, below)
    shadow = torch.zeros(1, 1, 1)
    for sign, _ in SIDES:
        strength = (0.34 - sign * (0.85 * head.ray[0] - 1.2 * head.sine)).clamp(0.06, 1.0)
        shadow = shadow + bump(window.x - axis - sign * bridge * 1.15, 0.045) * strength
    window.shade((shadow * along * 0.62).clamp_(0.0, 1.0), NOSE_SHADE)
    window.shade(bump(below - 0.058, 0.030) * bump(x, width * 1.05) * 0.75, NOSE_SHADE)
    for sign, _ in SIDES:
        window.shade(bump(x - sign * width * 0.50, 0.034) * bump(below - 0.032, 0.021) * 0.85, NOSTRIL)
        window.shade(bump(x - sign * width * 1.02, 0.024) * bump(below, 0.045) * 0.5, NOSE_SHADE)
    ridge = bump(window.x - axis - 0.02 * head.light, 0.032) * along
    ridge = ridge * traits.between("nose_bridge", 0.11, 0.04)  # a slender bridge catches more light
    tip = bump(x - 0.03 * head.light, 0.045) * bump(below + 0.02, 0.040) * 0.15
    window.glow(ridge + tip, (1.0, 0.96, 0.92))
    back = torch.maximum((window.x - axis).abs() - bridge * 1.25, torch.maximum(-0.10 - window.y, below))
    window.mark(torch.minimum(ellipse(x, below, width, 0.062), back) < 0.0, LABEL["nose"])


@dataclass(frozen=True)
class Lips:
    """Four curves [B,1,W], from the top of the upper lip to the bottom of the lower one, and their extent."""

    top: Tensor
    upper: Tensor
    lower: Tensor
    bottom: Tensor
    across: Tensor  # -1 at the left corner, 1 at the right one
    inside: Tensor  # coverage of what lies between the corners
    opening: Tensor  # [B,1,1]: 0 pressed, 1 wide open


def paint_mouth(canvas: RasterCanvas, traits: Traits, head: Head) -> None:
    window = canvas.window(-0.42, 0.42, 0.24, 0.84)
    lips = _shape_lips(window, traits)
    makeup = traits.between("lip_colour", 0.0, 0.85)[:, None]
    color = mix(skin_color(traits) * rgb(0.90, 0.62, 0.60), rgb(*LIPSTICK), makeup)
    _paint_inside(window, lips, color)
    lit = head.ray[0] * lips.across
    window.paint(window.band(lips.top, lips.upper) * lips.inside, color, 0.84 + 0.12 * lit)
    depth = ((window.y - lips.lower) / (lips.bottom - lips.lower + 1e-3)).clamp_(0.0, 1.0)
    lower_lip = window.band(lips.lower, lips.bottom) * lips.inside
    window.paint(lower_lip, color, 1.06 + 0.10 * lit - 0.24 * depth)
    window.glow(bump(lips.across - 0.3 * head.light, 0.32) * bump(depth - 0.4, 0.26) * lower_lip * 0.14)
    seam = 0.5 * (lips.upper + lips.lower)
    closed = 1.0 - smooth(0.01, 0.10, lips.lower - lips.upper)
    window.shade(bump(window.y - seam, 0.014) * lips.inside * closed * 0.65, (0.42, 0.26, 0.26))
    _paint_corners(window, traits)


def _mouth_size(traits: Traits) -> tuple[Tensor, Tensor]:
    smile = traits.between("smile", -0.25, 1.2)
    return smile, traits.between("mouth_width", 0.20, 0.265) * (1.0 + 0.14 * smile.clamp(min=0.0))


def _shape_lips(window: Window, traits: Traits) -> Lips:
    smile, half_width = _mouth_size(traits)
    opening = traits.between("mouth_open") ** 1.6
    across = window.x / half_width
    arc = (1.0 - across.square()).clamp(min=0.0)
    # pressed lips are thinner
    thickness = traits.between("lip_thickness", 0.024, 0.056) * (0.72 + 0.4 * traits.between("mouth_open"))
    middle = MOUTH_Y - 0.115 * smile * (across.square() - 0.35)
    gap = 0.035 * smile.clamp(min=0.0) * arc + 0.19 * opening * arc**0.75
    upper, lower = middle - 0.35 * gap, middle + 0.65 * gap
    bow = 1.0 - traits.between("lip_bow", -0.30, 0.95) * bump(across, 0.22)
    return Lips(
        top=upper - thickness * arc**0.65 * bow,
        upper=upper,
        lower=lower,
        bottom=lower + 1.3 * thickness * arc**0.75,
        across=across,
        inside=window.cover((across.abs() - 1.0) * half_width),
        opening=opening,
    )


def _paint_inside(window: Window, lips: Lips, color: Tensor) -> None:
    window.paint(window.band(lips.top, lips.bottom) * lips.inside, color * 0.72, label=LABEL["mouth"])
    cavity = window.band(lips.upper, lips.lower) * lips.inside
    window.paint(cavity, rgb(*INSIDE))
    edge = torch.minimum(lips.lower, lips.upper + 0.034 + 0.045 * lips.opening)
    teeth = window.band(lips.upper, edge) * smooth(0.98, 0.80, lips.across.abs()) * lips.inside
    window.paint(teeth * 0.95, rgb(*TEETH), 1.0 - 0.25 * lips.across.square())
    tongue = smooth(0.075, 0.02, lips.lower - window.y) * smooth(0.06, 0.5, lips.opening) * cavity
    window.paint(tongue * bump(lips.across, 0.5) * 0.9, rgb(*TONGUE))


def _paint_corners(window: Window, traits: Traits) -> None:
    smile, half_width = _mouth_size(traits)
    for sign, _ in SIDES:
        corner = bump(window.x - sign * half_width, 0.026) * bump(window.y - MOUTH_Y + 0.075 * smile, 0.026)
        window.shade(corner * 0.5, (0.55, 0.40, 0.40))
