"""Painters of the hair behind and before the head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .attributes import LABEL, Traits
from .colors import hair_color
from .head import Head
from .raster_canvas import RasterCanvas, Window, bump, ellipse, mix, round_union, smooth

CROWN_Y = -0.10  # the widest line of the dome of hair


@dataclass(frozen=True)
class HairShape:
    """What both layers of the hair share: full-canvas planes and measures [B,1,1]."""

    outside: Tensor  # signed distance to the outline [B,R,R]
    strand: Tensor  # soft stripes in -1..1 [B,R,R]
    end: Tensor  # height at which the hair ends
    half_width: Tensor
    color: Tensor


def shape_hair(canvas: RasterCanvas, traits: Traits, head: Head) -> HairShape:
    window = canvas.window()
    x, y = head.hair_x(window.x), window.y
    end = traits.between("hair_length", -0.25, 1.12)
    volume = traits.between("hair_volume", -0.035, 0.075)
    wave = traits.between("hair_wave")
    half_width = head.half_width + 0.095 + 0.06 * smooth(-0.15, 0.5, end) + volume
    fall = y - CROWN_Y
    side = half_width + 0.06 * smooth(0.0, 0.9, fall) * smooth(0.2, 0.8, end)
    side = side - 0.07 * smooth(0.15, -0.1, end) * smooth(-0.1, 0.1, y)
    side = side + 0.045 * wave * torch.sin(11.0 * y) * smooth(-0.05, 0.25, fall)
    dome = ellipse(x, fall, half_width, 0.85 + 0.6 * volume)
    outside = torch.where(fall < 0.0, dome, _curtain(x, y, side, end.clamp(min=0.05)))
    phase = 22.0 * x / (1.0 + 0.35 * (y + 0.5).clamp(min=0.0)) + (0.3 + 1.5 * wave) * torch.sin(5.0 * y)
    return HairShape(outside, phase.sin_(), end, half_width, hair_color(traits))


def _curtain(x: Tensor, y: Tensor, half_width: Tensor, bottom: Tensor, rounding: float = 0.14) -> Tensor:
    """Signed distance to the lower half of a box with round corners."""
    across = (x.abs() - half_width).add_(rounding)
    down = y - bottom + rounding
    corner = across.clamp(min=0.0).square_().add_(down.clamp(min=0.0).square()).sqrt_()
    return corner.add_(torch.maximum(across, down).clamp_(max=0.0)).sub_(rounding)


def paint_back_hair(canvas: RasterCanvas, shape: HairShape, head: Head) -> None:
    window = canvas.window()
    tone = (0.52 + 0.22 * head.ray[0] * head.hair_x(window.x) / shape.half_width) + 0.08 * shape.strand
    window.paint(window.cover(shape.outside), shape.color, tone, LABEL["hair"])


def paint_front_hair(canvas: RasterCanvas, shape: HairShape, traits: Traits, head: Head) -> None:
    """Fringe, parting and the locks at the sides, with a soft shadow on the face and a band of shine."""
    window = canvas.window()
    x, y = head.hair_x(window.x), window.y
    parting = window.x + 0.25 * head.half_width * head.sine + traits.between("parting", -0.26, 0.26)
    fringe = smooth(0.05, 1.0, traits.between("fringe"))
    hairline = _hairline(window, parting, fringe, head)
    inner = head.outline(y) * mix(1.0, 0.90, smooth(0.12, 0.45, shape.end))
    sideburn = mix(-0.10, shape.end.clamp(min=-0.10), smooth(0.32, 0.85, shape.end))
    beside = inner - head.face_x(window.x).abs()
    locks = torch.maximum(beside, y - sideburn + 0.8 * beside.clamp(min=-0.15))
    front = round_union(y - hairline, locks, 0.09)
    distance = torch.maximum(front, torch.maximum(shape.outside, y - shape.end.clamp(min=0.0) + 0.03))
    hair = window.cover(distance)
    window.shade(smooth(0.09, -0.03, distance) * (1.0 - hair) * window.face * 0.40, (0.55, 0.42, 0.40))
    shine = bump(y + 0.60 - 0.35 * x.square() - 0.03 * shape.strand, 0.11)
    across = x / shape.half_width
    tone = 0.82 + 0.30 * across * head.ray[0] - 0.22 * smooth(0.4, 1.05, across.abs())
    seam = bump(parting, 0.045) * smooth(-0.45, -0.62, y) * (1.0 - 0.8 * fringe)
    tone = (tone - 0.22 * seam) + 0.10 * shape.strand
    tone = tone * mix(1.0, 0.66, smooth(sideburn - 0.45, sideburn, y))  # runs into the hair behind
    window.paint(hair, shape.color, tone.add_(shine, alpha=0.30).clamp_(0.15, 1.6), LABEL["hair"])
    window.glow(shine.mul_(hair), (0.05, 0.05, 0.05))


def _hairline(window: Window, parting: Tensor, fringe: Tensor, head: Head) -> Tensor:
    """Height of the hair's lower edge above the forehead [B,1,W]."""
    age = head.traits.between("age", 0.03, -0.05)
    start = mix(-0.64, -0.42, fringe) + age
    line = start + mix(0.52, 0.16, fringe) * (parting.abs() / head.half_width) ** mix(1.6, 2.0, fringe)
    outward = (head.face_x(window.x).abs() / head.half_width - 0.66).clamp(min=0.0)
    rim = -0.45 + 3.2 * outward.square() + 0.35 * outward
    return round_union(line, rim, 0.08)
