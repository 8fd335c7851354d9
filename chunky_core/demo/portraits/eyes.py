"""Painters of eyes, brows and glasses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .attributes import LABEL, Traits
from .colors import brow_color, youth
from .head import EYE_Y, SIDES, Head
from .raster_canvas import RasterCanvas, Window, bump, mix, ramp, rgb, smooth

IRIS = ((0.22, 0.12, 0.07), (0.42, 0.25, 0.12), (0.40, 0.44, 0.20), (0.30, 0.55, 0.44), (0.28, 0.52, 0.80))
EYE_WHITE, PUPIL, MAKEUP = (0.97, 0.965, 0.96), (0.03, 0.03, 0.04), (0.46, 0.28, 0.52)


def _eye_window(canvas: RasterCanvas, sign: int) -> Window:
    return canvas.window(*((-0.64, 0.02) if sign < 0 else (-0.02, 0.64)), -0.52, 0.12)


@dataclass(frozen=True)
class Opening:
    """What is seen between the lids of an eye: coordinates from its centre, its height and its coverage."""

    x: Tensor
    y: Tensor
    height: Tensor
    coverage: Tensor


def paint_eye(canvas: RasterCanvas, traits: Traits, head: Head, sign: int, side: str) -> None:
    window = _eye_window(canvas, sign)
    smile = traits.between("smile", -0.25, 1.2).clamp(min=0.0)
    height = traits.between("eye_size", 0.085, 0.121) * (1.0 + 0.07 * youth(traits))
    half_width = (0.158 + 0.35 * (height - 0.103)) * head.eye_squeeze[side]
    x = window.x - head.eye_x[side]
    y = window.y - EYE_Y + traits.between("eye_tilt", -0.16, 0.22) * x * sign
    across = x / half_width
    arc = (1.0 - across.square()).clamp(min=0.0)
    upper = -height * traits.between("eyelid", 0.62, 1.10) * (1.0 - 0.16 * smile) * arc**0.62
    lower = height * 0.62 * (1.0 - 0.22 * smile) * arc**0.9
    ends = window.cover((across.abs() - 1.0) * half_width)
    opening = Opening(x, y, height, window.cover(upper - y) * window.cover(y - lower) * ends)
    lid_ends = smooth(1.25, 0.75, across.abs())

    window.shade(bump(y - upper + 0.05, 0.055) * lid_ends * traits.between("eye_makeup", 0.0, 0.85), MAKEUP)
    shadow = 0.95 - 0.22 * across.square() - 0.25 * smooth(0.3, 1.0, -y / height)
    window.paint(opening.coverage, rgb(*EYE_WHITE), shadow, LABEL[f"{side}_eye"])
    _paint_iris(window, traits, head, opening)
    line = brow_color(traits) * 0.30
    window.paint(bump(y - upper + 0.004, 0.020) * smooth(1.12, 0.92, across.abs()) * 0.92, line)
    window.shade(bump(y - lower - 0.004, 0.014) * ends * 0.45, (0.60, 0.42, 0.40))
    window.shade(bump(y - upper + 0.055, 0.018) * lid_ends * 0.40, (0.68, 0.50, 0.47))


def _paint_iris(window: Window, traits: Traits, head: Head, opening: Opening) -> None:
    radius = 0.085 * traits.between("iris_size", 0.84, 1.12)
    x = opening.x - traits.between("gaze_x", -0.075, 0.075)
    y = opening.y + 0.010 - traits.between("gaze_y", -0.042, 0.042)
    distance = (x.square() + y.square()).add_(1e-8).sqrt_()
    rim = (distance / radius).square_()
    tone = (1.35 - 0.85 * rim + 0.35 * y / radius).clamp_(0.20, 1.6)
    color = ramp(traits.between("eye_colour"), IRIS)
    window.paint(window.cover(distance - radius) * opening.coverage, color, tone)
    window.paint(window.cover(distance - radius * 0.48) * opening.coverage, rgb(*PUPIL))
    spot = ((x + 0.022 - 0.02 * head.light).square() + (y + 0.030).square()).add_(1e-8).sqrt_()
    window.paint(window.cover(spot - 0.023) * opening.coverage * 0.95, rgb(1.0, 1.0, 1.0))


def paint_brow(canvas: RasterCanvas, traits: Traits, head: Head, sign: int, side: str) -> None:
    window = _eye_window(canvas, sign)
    half_width = 0.205 * head.eye_squeeze[side]
    along = (window.x - head.eye_x[side] - sign * 0.02) / half_width
    outward = along * sign
    lift = traits.between("brow_height", 0.185, 0.265) + traits.between("mouth_open", -0.008, 0.016)
    arch = traits.between("brow_arch", 0.0, 0.085)
    tilt = traits.between("brow_tilt", -0.27, 0.15) * half_width
    droop = 0.03 * outward.clamp(min=0.0).square()
    middle = EYE_Y - lift - arch * (1.0 - along.square()) - tilt * outward + droop
    taper = (1.0 - 0.45 * smooth(-0.3, 1.0, outward)) * (1.0 - 0.6 * along.square().square())
    thickness = traits.between("brow_thickness", 0.016, 0.046) * taper
    distance = torch.maximum((window.y - middle).abs() - thickness, (along.abs() - 1.0) * half_width)
    brow = smooth(0.016, -0.014, distance)
    strength = 0.92 - 0.22 * youth(traits)
    window.paint(brow * strength, brow_color(traits))
    window.mark(brow > 0.5, LABEL[f"{side}_brow"])


def paint_glasses(canvas: RasterCanvas, traits: Traits, head: Head) -> None:
    """Frames that fade in as thin wires and grow thick; labelled where they are at least half visible."""
    window = canvas.window(-0.85, 0.85, -0.42, 0.18)
    visible = smooth(0.26, 0.68, traits.between("glasses"))
    x, y = window.x, window.y - EYE_Y
    rim, lens = torch.zeros(1, 1, 1), torch.zeros(1, 1, 1)
    size, thick = 0.195, mix(0.011, 0.025, smooth(0.26, 1.05, traits.between("glasses")))
    widths = {side: size * 1.16 * head.eye_squeeze[side] for _, side in SIDES}
    for sign, side in SIDES:
        u = ((x - head.eye_x[side] - sign * 0.008) / widths[side]).square()
        v = ((y - 0.02) / size).square()
        distance = ((u * u * u + v * v * v).add_(1e-6) ** (1.0 / 6.0)).sub_(1.0).mul_(size)
        glare = 0.03 + 0.12 * bump(x - head.eye_x[side] + 0.05 - 0.6 * y, 0.06)
        lens = lens + window.cover(distance) * glare
        end = sign * head.face_x(x) - head.half_width * 0.99
        start = (head.eye_x[side] + sign * widths[side] - x) * sign
        arm = torch.maximum(torch.maximum(y.abs() - 0.018, start), end)
        rim = torch.maximum(torch.maximum(rim, window.cover(distance.abs() - thick)), window.cover(arm))
    gap = torch.maximum(head.eye_x["left"] + widths["left"] - x, x - head.eye_x["right"] + widths["right"])
    rim = torch.maximum(rim, window.cover(torch.maximum((y + 0.03).abs() - 0.018, gap)))
    window.paint(lens * visible, rgb(1.0, 1.0, 1.0))
    rim = rim * visible
    window.paint(rim * 0.95, mix(rgb(0.10, 0.09, 0.11), brow_color(traits), torch.tensor(0.2)))
    window.mark(rim >= 0.5, LABEL["glasses"])
